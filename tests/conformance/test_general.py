# SPDX-License-Identifier: Apache-2.0
"""What holds for every message (conformance.md, 2.1 to 2.3, 2.5, 2.6 and 2.12)."""

import json
import random
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any

import pytest
import structlog

from cds_service.copying import replace
from cds_service.knowledge.model.pack import INDICATORS
from cds_service.log import configure_log
from cds_service.service import prepare
from cds_service.settings import Settings
from cds_service.web import create_app
from cds_service.web.outcomes import STATUS
from tests.call_counts import with_calls
from tests.conformance.shapes import epic_page, epic_result, epic_view
from tests.web.http_fixtures import (
    ALT,
    INSTANCE,
    NOW,
    SERVICE,
    Json,
    call,
    client,
    explained,
    founding,
    knowledge,
    observation,
)

DISCOVERY: list[Json] = json.loads(knowledge().discovery)["services"]


def strictly(text: str) -> Any:
    """JSON without NaN, Infinity and members that stand twice."""

    def once(pairs: list[tuple[str, Any]]) -> Json:
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    def never(word: str) -> Any:
        raise AssertionError(word)

    return json.loads(text, object_pairs_hook=once, parse_constant=never)


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("GET", "/cds-services", None),
        ("POST", SERVICE, founding()),
        ("POST", SERVICE, explained(founding())),
        ("POST", SERVICE, {}),
        ("POST", f"{SERVICE}/feedback", {"feedback": []}),
        ("POST", "/cds-services/nothing", {}),
    ],
)
def test_every_body_is_strict_json_in_utf_8(method: str, address: str, body: Json | None) -> None:
    response = client().open(address, method=method, json=body)

    assert response.content_type == "application/json; charset=utf-8"
    assert strictly(response.data.decode("utf-8"))


def noisy(value: Any, chance: random.Random) -> Any:
    """The same with members that nobody knows, everywhere."""
    if isinstance(value, list):
        return [noisy(item, chance) for item in value]
    if not isinstance(value, dict):
        return value
    made = {name: noisy(member, chance) for name, member in value.items()}
    noise = chance.choice([None, 1, "x", [], {}, {"a": [1]}, [[None]]])
    return {"zz-unknown": noise, **made, "extension2": noise, "_zz": {"extension": [{"url": "x"}]}}


@pytest.mark.parametrize("seed", range(20))
def test_ch_gen_009_t63_unknown_members_change_nothing(seed: int) -> None:
    body = founding()
    changed = noisy(body, random.Random(seed))
    for name in ("zz-unknown", "extension2", "_zz"):
        changed["prefetch"].pop(name)  # there they would be keys

    assert client().post(SERVICE, json=changed).data == client().post(SERVICE, json=body).data


def test_ch_gen_010_a_huge_or_deep_body_is_refused_at_once() -> None:
    http = client()
    deep = b'{"x":' * 10_000 + b"1" + b"}" * 10_000

    assert http.post(SERVICE, data=b" " * 50_000_000, content_type="application/json").status_code
    assert http.post(SERVICE, data=deep, content_type="application/json").status_code == 413
    assert Settings().max_body_bytes < 50_000_000


@pytest.mark.parametrize("path", [SERVICE, f"{SERVICE}/feedback"])
def test_ch_gen_010_json_over_the_set_depth_is_413_and_says_how_deep_it_may_be(path: str) -> None:
    http = client(Settings(max_depth=20))
    levels = {n: b'{"x":' * n + b'"[["' + b"}" * n for n in (20, 21)}

    fits, over = (
        http.post(path, data=levels[n], content_type="application/json") for n in (20, 21)
    )

    assert (fits.status_code, over.status_code) == (400, 413)
    assert "at most 20 levels" in over.text


def test_ch_disc_004_to_012_every_entry_is_whole_and_its_address_works() -> None:
    http = client()
    for service in DISCOVERY:
        assert all(isinstance(service[name], str) and service[name] for name in ("hook", "title"))
        assert all(service[name] for name in ("description", "id", "usageRequirements"))
        assert all(isinstance(query, str) for query in service["prefetch"].values())
        assert set(service) == {
            "hook", "title", "description", "id", "prefetch", "usageRequirements"
        }  # fmt: skip
        assert http.post(f"/cds-services/{service['id']}", json={}).status_code == 400
        assert re.fullmatch(r"[A-Za-z0-9._-]+", service["id"])


def test_ch_disc_010_and_011_ids_are_stable_and_each_has_one_hook() -> None:
    assert {(service["id"], service["hook"]) for service in DISCOVERY} >= {
        ("liver-patient-view", "patient-view"),
        ("liver-order-select", "order-select"),
        ("liver-order-sign", "order-sign"),
        ("liver-encounter-discharge", "encounter-discharge"),
    }
    assert len({service["id"] for service in DISCOVERY}) == len(DISCOVERY)


def test_ch_disc_009_t07_one_id_on_two_hooks_is_served_by_the_hook_that_is_named() -> None:
    (pack,) = (pack for pack in knowledge().packs if pack.id == "liver")
    services = tuple(replace(service, id="both") for service in pack.services[:2])
    prepared = prepare((replace(pack, services=services),), zone=knowledge().zone)
    http = create_app(Settings(), clock=lambda: NOW, knowledge=prepared).test_client()
    view, select = founding(), founding()
    select["hook"] = "order-select"
    select["context"] |= {"selections": [], "draftOrders": {"resourceType": "Bundle"}}
    other = {**founding(), "hook": "order-sign", "context": select["context"]}

    listed = json.loads(http.get("/cds-services").text)["services"]

    assert [(service["id"], service["hook"]) for service in listed] == [
        ("both", "patient-view"),
        ("both", "order-select"),
    ]
    assert [
        http.post("/cds-services/both", json=body).status_code for body in (view, select, other)
    ] == [200, 200, 400]


def test_ch_disc_013_features_of_version_3_are_not_written() -> None:
    text = knowledge().discovery.decode()
    answer = client().post(SERVICE, json=founding()).text

    assert '"version"' not in text
    assert '"hookVersion"' not in text
    for member in ("actionSelectionBehavior", "autolaunchable", "systemActions", "hard-stop"):
        assert member not in answer


def test_ch_req_004_t67_one_instance_many_times_at_once_gives_one_answer() -> None:
    http = client()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: http.post(SERVICE, json=founding()).data, range(40)))

    assert len(set(answers)) == 1


@pytest.fixture(name="listener")
def _listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)  # who has called stands in the queue already
        yield server


def test_ch_req_007_ch_fa_006_no_fhir_server_is_called_and_no_token_sent(
    listener: socket.socket,
) -> None:
    body = epic_view(observations={"resourceType": "Bundle", "entry": []})
    body["fhirServer"] = f"http://127.0.0.1:{listener.getsockname()[1]}/fhir"
    body["prefetch"]["observations"]["link"] = [{"relation": "next", "url": body["fhirServer"]}]

    assert client().post(SERVICE, json=body).status_code == 412
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.fixture(name="log")
def _log() -> Iterator[StringIO]:
    stream = StringIO()
    configure_log("debug", stream=stream)
    yield stream
    structlog.reset_defaults()


def test_ch_fa_005_the_token_for_fhir_is_never_logged_kept_or_sent_back(log: StringIO) -> None:
    http = client()
    good = epic_view(labs=epic_page(epic_result()))
    bad = {**good, "context": {}}

    said = [http.post(SERVICE, json=body).text for body in (good, bad)]

    everything = " ".join([*said, log.getvalue(), http.get("/metrics").text])
    assert "ZZCANARYTOKEN" not in everything
    assert good["fhirAuthorization"]["subject"] not in everything


def test_ch_ops_001_a_call_leaves_its_service_outcome_and_versions_and_no_patient(
    log: StringIO,
) -> None:
    client().post(SERVICE, json=founding())

    line = json.loads(log.getvalue().splitlines()[-1])
    assert (line["service"], line["outcome"], line["pack"]) == (
        "liver-patient-view",
        "cards",
        "liver",
    )
    assert INSTANCE not in log.getvalue()


def test_ch_resp_005_every_status_that_is_suggested_has_a_reason_here() -> None:
    assert {400, 401, 403, 404, 408, 412, 413, 415, 500, 503} == set(STATUS.values())


def test_ch_resp_007_the_work_of_an_answer_is_bounded_and_grows_no_faster_than_the_results() -> (
    None
):
    """Calls of Python functions are counted, which no busy neighbour changes.

    How long an answer takes is measured and reported in docs/performance.md.
    """
    http = client()

    def work(results: int) -> int:
        body = call(*(observation(ALT, 30 + n, id=f"o{n}") for n in range(results)))
        http.post(SERVICE, json=body)  # what is found once and kept is found now
        answer, calls = with_calls(lambda: http.post(SERVICE, json=body))
        assert answer.status_code == 200
        return calls

    few, many = work(50), work(500)

    assert few < 100_000
    assert many < 10 * few


def test_ch_card_011_topic_codes_are_plain_unique_and_stable() -> None:
    codes = [rule.replace("-", "") for pack in knowledge().packs for rule in pack.rules]

    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[A-Za-z0-9]{1,100}", code) for code in codes)
    # Clients remember by them what was acknowledged: none of these may go or change.
    assert {"altverylow", "altmild", "altsevere", "altborderline"} <= set(codes)


def test_ch_resp_009_cards_are_in_one_order_whatever_the_order_of_results() -> None:
    results = [
        observation(ALT, 150, referenceRange=[{"high": {"value": 40, "unit": "U/L"}}]),
        observation("1975-2", 4, "mg/dL"),
        observation("1920-8", 20, "furlongs"),
    ]
    http = client()

    forward, backward = (
        json.loads(http.post(SERVICE, json=call(*sent)).text)["cards"]
        for sent in (results, results[::-1])
    )

    assert forward == backward
    severities = [INDICATORS.index(card["indicator"]) for card in forward]
    assert severities == sorted(severities, reverse=True)


def test_ch_ops_002_openapi_and_discovery_name_the_same_addresses() -> None:
    text = client().get("/openapi.yaml").text

    assert "/cds-services/{id}:" in text
    assert "/cds-services/{id}/feedback:" in text
