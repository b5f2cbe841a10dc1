# SPDX-License-Identifier: Apache-2.0
"""What a call left out is asked of its FHIR server: the state table of prefetch, with a token.

CDS Hooks 2.0.1, "Prefetch Template" and "FHIR Resource Access". The FHIR server misbehaves as it is
told; the real one is in `tests/vignettes/test_from_a_server.py`.
"""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from cds_service.log import configure_log
from cds_service.settings import Settings
from cds_service.web.server.request_parts import ELAPSED
from tests.fhir_client.faulty import Asked, Faulty, Reply, faulty, searchset
from tests.web.http_fixtures import (
    ALT,
    AST,
    LOINC,
    PATIENT,
    SERVICE,
    Json,
    bundle,
    call,
    client,
    founding,
    observation,
    patient,
    without,
)

TOKEN = "canary-token-of-the-user"
ERROR = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}
SEARCHES = (
    "Observation",
    "Condition",
    "MedicationRequest",
    "MedicationStatement",
    "ServiceRequest",
)
DEVELOPMENT = Settings(profile="development", explain="always", deadline_ms=20_000)


@pytest.fixture(name="server")
def _server() -> Iterator[Faulty]:
    """A FHIR server that has the founding patient and nothing else."""
    with faulty() as state:
        for name in SEARCHES:
            state.answers[name] = Reply(searchset())
        state.answers["Observation"] = Reply(searchset(observation(ALT, 1)))
        state.answers[f"Patient/{PATIENT}"] = Reply(patient())
        yield state


def with_token(body: Json, server: Faulty, **more: object) -> Json:
    authorization = {
        "access_token": TOKEN,
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.rs",
        "subject": "cds",
        **more,
    }
    return {**body, "fhirServer": server.base, "fhirAuthorization": authorization}


def bare(server: Faulty, **more: object) -> Json:
    return with_token(without(founding(), "prefetch"), server, **more)


def answer(body: Json, settings: Settings = DEVELOPMENT) -> tuple[int, Json]:
    response = client(settings).post(SERVICE, json=body)
    return response.status_code, json.loads(response.text)


def rules(body: Json) -> list[str]:
    return [card["extension"]["org.cds-service.card"]["rule"] for card in body["cards"]]


def test_ch_pf_020_ch_fa_003_t02_without_prefetch_everything_is_fetched(server: Faulty) -> None:
    status, body = answer(bare(server))

    assert status == 200
    assert body["cards"] == answer({**founding(), "fhirServer": server.base})[1]["cards"]
    assert sorted(server.paths()) == sorted([*SEARCHES, f"Patient/{PATIENT}"])


def test_ch_fa_001_ch_fa_002_the_token_is_presented_on_each_call(server: Faulty) -> None:
    answer(bare(server))

    assert {request.authorization for request in server.asked} == {f"Bearer {TOKEN}"}


def test_ch_pf_020_the_queries_are_those_of_discovery(server: Faulty) -> None:
    answer(bare(server))

    (asked,) = (request for request in server.asked if request.path == "Observation")
    assert asked.parameters["patient"] == PATIENT
    assert f"{LOINC}|{ALT}" in asked.parameters["code"].split(",")


def test_ch_pf_020_t03_only_what_is_absent_is_fetched(server: Faulty) -> None:
    status, body = answer(with_token(without(founding(), "prefetch", "conditions"), server))

    assert (status, rules(body)) == (200, ["alt-very-low"])
    assert server.paths() == ["Condition"]


@pytest.mark.parametrize(
    "sent",
    [None, bundle(), {"resourceType": "Bundle", "type": "searchset", "total": 0}],
    ids=["null", "empty", "total 0"],
)
def test_t11_t12_what_was_asked_for_and_is_nothing_is_not_asked_for_again(
    server: Faulty, sent: Any
) -> None:
    status, body = answer(with_token(call(observations=sent), server))

    assert (status, body["cards"]) == (200, [])
    assert server.asked == []


def test_t14_what_the_client_could_not_fetch_is_not_asked_for_again(server: Faulty) -> None:
    status, body = answer(with_token(call(observations=ERROR), server))

    assert status == 412
    assert "not asked for again" in body["issue"][0]["diagnostics"]
    assert server.asked == []


def test_a_key_of_the_site_that_failed_is_told_as_the_clients_failure(server: Faulty) -> None:
    body = call(labs90=ERROR)
    del body["prefetch"]["observations"]
    settings = DEVELOPMENT.model_copy(update={"prefetch_keys": "labs90=observations"})

    status, said = answer(with_token(body, server), settings)

    assert (status, server.asked) == (412, [])
    assert "not asked for again" in said["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "sent", ["123", 7, [], {}, "<html></html>", {"resourceType": "Patient", "id": PATIENT}]
)
def test_t19_what_is_no_answer_counts_as_absent_and_is_fetched(server: Faulty, sent: Any) -> None:
    status, body = answer(with_token(call(observations=sent), server))

    assert (status, rules(body)) == (200, ["alt-very-low"])
    assert server.paths() == ["Observation"]


def test_t15_a_next_page_is_fetched(server: Faulty) -> None:
    first = {**bundle(), "link": [{"relation": "next", "url": f"{server.base}/Observation?page=2"}]}

    status, body = answer(with_token(call(observations=first), server))

    assert (status, rules(body)) == (200, ["alt-very-low"])
    assert [(request.path, dict(request.parameters)) for request in server.asked] == [
        ("Observation", {"page": "2"})
    ]
    assert "only a part" not in body["cards"][0]["detail"]


@pytest.mark.parametrize("broken", ["expired", "away", "fails"])
def test_t15_t16_a_next_page_that_cannot_be_had_makes_a_part(server: Faulty, broken: str) -> None:
    with faulty() as trap:
        base = trap.base if broken == "away" else server.base
        if broken == "fails":
            server.answers["Observation"] = Reply(status=500)
        first = {
            **bundle(observation(ALT, 1)),
            "link": [{"relation": "next", "url": f"{base}/Observation?page=2"}],
        }
        seconds = 0 if broken == "expired" else 300

        status, body = answer(with_token(call(observations=first), server, expires_in=seconds))

        assert (status, rules(body)) == (200, ["alt-very-low"])
        assert "only a part" in body["cards"][0]["detail"]
        assert trap.asked == []


def deep() -> Json:
    page = searchset(observation(ALT, 1))
    for _ in range(100):
        page = searchset(page)
    return page


FAULTS: dict[str, Reply] = {
    "unauthorized": Reply(status=401),
    "forbidden": Reply(status=403),
    "not-found": Reply(status=404),
    "gone": Reply(status=410),
    "busy": Reply(status=429, headers={"Retry-After": "3600"}),
    "broken": Reply(status=500),
    "redirected": Reply(status=302, headers={"Location": "https://169.254.169.254/"}),
    "html": Reply(b"<html></html>"),
    "truncated": Reply(searchset(observation(ALT, 1)), cut=True),
    "outcome": Reply(ERROR),
    "outcome in a Bundle": Reply(searchset(ERROR)),
    "another patient's": Reply(
        searchset(observation(ALT, 1, subject={"reference": "Patient/other"}))
    ),
    "one of another patient": Reply(
        searchset(observation(ALT, 30), observation(ALT, 1, subject={"reference": "Patient/other"}))
    ),
    "patient ignored": Reply(
        searchset(observation(ALT, 1), link=[{"relation": "self", "url": "Observation?code=x"}])
    ),
    "unknown parameter refused": Reply(ERROR, status=400),
    "Bundles without end": Reply(deep()),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_ch_fa_007_results_that_cannot_be_fetched_are_412(server: Faulty, fault: str) -> None:
    server.answers["Observation"] = FAULTS[fault]

    status, body = answer(bare(server))

    assert status == 412
    assert "the FHIR server did not give them" in body["issue"][0]["diagnostics"]


def unsorted(server: Faulty, *pages: list[Json]) -> None:
    """The server refuses `_sort` and `_count`, and sends these pages."""

    def answer(asked: Asked) -> Reply:
        if {"_sort", "_count"} & set(asked.parameters):
            return Reply(ERROR, status=400)
        number = int(asked.parameters.get("page", "0"))
        following = f"{server.base}/Observation?page={number + 1}"
        return Reply(
            searchset(*pages[number], following=following if number + 1 < len(pages) else None)
        )

    server.answers["Observation"] = answer


def test_ch_fa_007_a_server_that_cannot_sort_is_asked_without(server: Faulty) -> None:
    old = observation(ALT, 30, id="old", effectiveDateTime="2026-03-01T08:00:00Z")
    unsorted(server, [old], [observation(ALT, 1)])

    status, body = answer(bare(server))

    assert (status, rules(body)) == (200, ["alt-very-low"])
    assert "previous test 30 U/L on 2026-03-01" in body["cards"][0]["detail"]
    fetched = body["extension"]["org.cds-service.explanation"]["fetched"]
    assert fetched["observations"] == "whole-without-parameters"


def test_ch_fa_007_unsorted_results_that_are_cut_short_are_412(server: Faulty) -> None:
    settings = DEVELOPMENT.model_copy(update={"fhir_max_pages": 2})
    unsorted(server, [observation(ALT, 1)], [observation(AST, 20)], [observation(ALT, 1500)])

    status, body = answer(bare(server), settings)

    assert status == 412
    assert "(too-many-pages)" in body["issue"][0]["diagnostics"]


@pytest.mark.parametrize("fault", FAULTS)
def test_ch_fa_007_conditions_that_cannot_be_fetched_are_said_on_the_card(
    server: Faulty, fault: str
) -> None:
    server.answers["Condition"] = FAULTS[fault]
    if "patient" in fault:
        other = {"resourceType": "Condition", "subject": {"reference": "Patient/other"}}
        server.answers["Condition"] = Reply(searchset(other))

    status, body = answer(bare(server))

    assert (status, rules(body)) == (200, ["alt-very-low"])
    assert "conditions: could not be fetched" in body["cards"][0]["detail"]


@pytest.mark.parametrize("reply", [Reply(searchset(), hang=True), Reply(searchset(), drip=True)])
def test_ch_fa_007_t66_a_slow_server_is_412_before_the_deadline(
    server: Faulty, reply: Reply
) -> None:
    """The clock of the call stands at 15.6 of 20 seconds: 0.4 are left for the server."""
    server.answers["Observation"] = reply

    response = client(DEVELOPMENT).post(
        SERVICE, json=bare(server), environ_overrides={ELAPSED: lambda: 15_600.0}
    )

    assert response.status_code == 412
    assert "(late)" in json.loads(response.text)["issue"][0]["diagnostics"]


def test_ch_fa_004_a_token_that_is_over_is_never_sent(server: Faulty) -> None:
    status, body = answer(bare(server, expires_in=0))

    assert status == 412
    assert "(token-over)" in body["issue"][0]["diagnostics"]
    assert server.asked == []


def test_ch_fa_004_the_token_of_one_call_is_not_used_for_another(server: Faulty) -> None:
    http = client(DEVELOPMENT)
    http.post(SERVICE, json=bare(server))
    server.asked.clear()

    http.post(SERVICE, json=bare(server, access_token="of-the-second-call"))

    assert {request.authorization for request in server.asked} == {"Bearer of-the-second-call"}


def test_ch_fa_008_a_part_in_no_order_tells_of_nothing(server: Faulty) -> None:
    links = [
        {"relation": "self", "url": f"Observation?patient={PATIENT}"},
        {"relation": "next", "url": f"{server.base}/Condition?page=2"},
    ]
    old = observation(ALT, 30, effectiveDateTime="2020-01-01T00:00:00Z")
    server.answers["Observation"] = Reply({**searchset(old), "link": links})
    server.answers["Condition"] = Reply(status=500)

    assert answer(bare(server))[0] == 412


@pytest.mark.parametrize("pages", [1, 2])
def test_ch_pf_026_a_server_that_sends_fewer_than_it_counts_makes_a_part(
    server: Faulty, pages: int
) -> None:
    def answer_page(asked: Asked) -> Reply:
        n = int(asked.parameters.get("page", "1"))
        following = f"Observation?page={n + 1}" if n < pages else None
        result = observation(ALT, 30, id=f"o{n}")
        return Reply(searchset(result, following=following, total=pages + 1))

    server.answers["Observation"] = answer_page

    status, body = answer(bare(server))

    assert status == 412
    assert "Only a part" in body["issue"][0]["diagnostics"]


def test_another_patient_in_place_of_the_one_is_not_used(server: Faulty) -> None:
    server.answers[f"Patient/{PATIENT}"] = Reply({**patient(), "id": "other"})

    status, body = answer(bare(server))

    assert status == 200
    assert "the patient's own data: could not be fetched" in body["cards"][0]["detail"]


def test_ch_fa_006_in_production_no_server_is_called_that_is_not_listed(server: Faulty) -> None:
    status, body = answer(bare(server), Settings())

    assert status == 412
    assert "no FHIR server with a token that the service may ask" in body["issue"][0]["diagnostics"]
    assert server.asked == []


def test_ch_req_008_without_a_token_a_listed_server_is_not_asked(
    server: Faulty, tmp_path: Any
) -> None:
    file = tmp_path / "servers.yaml"
    file.write_text(f"servers:\n  - base: {server.base}\n    this machine: yes\n", encoding="utf-8")
    settings = Settings(fhir_servers=file)
    body = {**without(founding(), "prefetch"), "fhirServer": server.base}

    assert answer(body, settings)[0] == 412
    assert server.asked == []
    assert answer(bare(server), settings)[0] == 200


def test_ch_fa_005_the_token_and_the_patient_are_in_no_log_and_no_error(
    server: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = StringIO()
    configure_log("debug", stream=lines)
    said = ""
    for fault in ("broken", "unauthorized", "html", "redirected"):
        server.answers["Observation"] = FAULTS[fault]
        said += client(DEVELOPMENT).post(SERVICE, json=bare(server)).text
    metrics = client(DEVELOPMENT)
    metrics.post(SERVICE, json=bare(server))
    said += metrics.get("/metrics").text + lines.getvalue() + "".join(capsys.readouterr())

    assert '"failed":1' in lines.getvalue().replace(" ", "")
    assert 'cds_fhir_queries_total{outcome="redirected"} 1.0' in said
    assert TOKEN not in said
    assert PATIENT not in said


def test_medicines_that_are_only_referred_to_are_read(server: Faulty) -> None:
    prescribed = {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "intent": "order",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "medicationReference": {"reference": f"{server.base}/Medication/a b/_history/2"},
    }
    server.answers["MedicationRequest"] = Reply(searchset(prescribed))
    server.answers["Medication/a%20b"] = Reply(
        {"resourceType": "Medication", "id": "a b", "code": {"text": "Isoniazid 300 mg"}}
    )

    _, body = answer(bare(server))

    assert "Medication/a%20b" in server.paths()
    fired = {"alt-very-low", "b6-lowering-drug-review"}
    assert fired <= set(rules(body))


def test_what_is_referred_to_elsewhere_is_never_read(server: Faulty) -> None:
    with faulty() as trap:
        prescribed = {
            "resourceType": "MedicationRequest",
            "id": "m1",
            "status": "active",
            "subject": {"reference": f"Patient/{PATIENT}"},
            "medicationReference": {"reference": f"{trap.base}/Medication/1"},
        }
        server.answers["MedicationRequest"] = Reply(searchset(prescribed))

        assert answer(bare(server))[0] == 200
        assert trap.asked == []
        assert not any("Medication/1" in path for path in server.paths())


def test_a_patient_id_cannot_leave_its_place_in_a_query(server: Faulty) -> None:
    body = bare(server)
    body["context"]["patientId"] = "1&_include=*/../../x?y"

    answer(body)

    assert {
        request.parameters.get("patient") for request in server.asked if "?" not in request.path
    } <= {
        "1&_include=*/../../x?y",
        None,
    }
    assert not any("_include" in request.parameters for request in server.asked)


def test_each_call_says_what_was_fetched_in_its_explanation(server: Faulty) -> None:
    server.answers["Condition"] = Reply(status=403)

    _, body = answer(bare(server))

    fetched = body["extension"]["org.cds-service.explanation"]["fetched"]
    assert fetched["observations"] == "whole"
    assert fetched["conditions"] == "forbidden"


def test_answers_that_come_together_are_asked_for_together(server: Faulty) -> None:
    """Each query waits until all are there: one after another they would never end."""
    from threading import Barrier

    together = Barrier(6, timeout=15)

    def waiting(reply: Reply) -> Any:
        def wait(_: Asked) -> Reply:
            together.wait()
            return reply

        return wait

    for path, reply in list(server.answers.items()):
        assert isinstance(reply, Reply)
        server.answers[path] = waiting(reply)

    assert answer(bare(server))[0] == 200


# What a silence may mean

VITAL = observation("8867-4", 60, "/min", id="pulse")
OLD = observation(ALT, 30, id="old", effectiveDateTime="2020-01-01T08:00:00Z")


def test_ch_pf_027_vital_signs_are_not_the_laboratory(server: Faulty) -> None:
    body = call(vitals=bundle(VITAL))
    del body["prefetch"]["observations"]

    assert answer(body)[0] == 412
    status, said = answer(with_token(body, server))
    assert (status, rules(said)) == (200, ["alt-very-low"])


def test_ch_pf_027_results_of_the_pack_are_the_laboratory_under_any_name() -> None:
    body = call(chemistry=bundle(VITAL, observation(ALT, 1)))
    del body["prefetch"]["observations"]

    status, said = answer(body)

    assert (status, rules(said)) == (200, ["alt-very-low"])


@pytest.mark.parametrize(
    "first",
    [
        bundle(OLD),
        bundle(OLD, observation(ALT, 30)),
        bundle(observation(ALT, 30), {**OLD, "effectiveDateTime": "sometime"}),
        bundle(observation(ALT, 30), OLD, ERROR),
    ],
    ids=["one", "rising", "without a time", "with an error"],
)
def test_ch_pf_029_a_part_that_proves_no_order_is_no_reason_to_be_silent(first: Json) -> None:
    page = {**first, "link": [{"relation": "next", "url": "https://fhir.example/next"}]}

    assert answer(call(observations=page))[0] == 412


def test_ch_pf_026_a_part_that_the_service_fetched_is_no_reason_to_be_silent(
    server: Faulty,
) -> None:
    def pages(asked: Asked) -> Reply:
        if "page" in asked.parameters:
            return Reply(status=500)
        return Reply(searchset(observation(ALT, 30), OLD, following="Observation?page=2"))

    server.answers["Observation"] = pages

    assert answer(bare(server))[0] == 412


def test_a_result_that_cannot_be_read_is_no_reason_to_be_silent() -> None:
    odd = {**observation(ALT, 1), "status": 7}

    assert answer(call(odd))[0] == 412
    assert answer(call(odd, observation(ALT, 2, id="b")))[0] == 200


@pytest.mark.parametrize(
    "inner",
    [
        {"resource": {**bundle(OLD), "total": 50}},
        {"resource": {**bundle(OLD), "link": [{"relation": "next", "url": "x"}]}},
        {"response": {"status": "403 Forbidden"}},
    ],
    ids=["total", "next", "refused"],
)
def test_a_batch_whose_parts_are_not_whole_is_not_whole(inner: Json) -> None:
    batch = {"resourceType": "Bundle", "type": "batch-response", "entry": [inner]}

    assert answer(call(observations=batch))[0] == 412


def prescribed(**more: object) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "medicationReference": {"reference": "Medication/m"},
        **more,
    }


def test_many_specimens_do_not_crowd_out_a_medicine(server: Faulty) -> None:
    results = [
        observation(ALT, 1, id=f"o{n}", specimen={"reference": f"Specimen/{n}"}) for n in range(60)
    ]
    server.answers["Observation"] = Reply(searchset(*results))
    server.answers["MedicationRequest"] = Reply(searchset(prescribed()))
    server.answers["Medication/m"] = Reply(
        {"resourceType": "Medication", "id": "m", "code": {"text": "Isoniazid 300 mg"}}
    )

    _, body = answer(bare(server))

    assert "b6-lowering-drug-review" in rules(body)
    fetched = body["extension"]["org.cds-service.explanation"]["fetched"]
    assert (fetched["medications"], fetched["specimens"]) == ("whole", "not-found")
    assert "some data: only a part was sent" in body["cards"][0]["detail"]


@pytest.mark.parametrize(
    "sent",
    [
        {"resourceType": "Patient", "id": "other"},
        observation(ALT, 400),
        searchset(),
        {"resourceType": "Medication", "id": "another", "code": {"text": "Isoniazid"}},
    ],
)
def test_what_is_read_in_place_of_a_medicine_is_not_used_and_said(
    server: Faulty, sent: Json
) -> None:
    server.answers["MedicationRequest"] = Reply(searchset(prescribed()))
    server.answers["Medication/m"] = Reply(sent)

    status, body = answer(bare(server))

    assert (status, rules(body)) == (200, ["alt-very-low"])
    assert "medicines: only a part was sent" in body["cards"][0]["detail"]


def test_nothing_that_the_client_sent_is_lost_for_what_is_fetched(server: Faulty) -> None:
    body = call(observations=patient())
    del body["prefetch"]["patient"]

    _, said = answer(with_token(body, server))

    assert rules(said) == ["alt-very-low"]
    assert "Not known: age" not in said["cards"][0]["detail"]


def test_more_resources_than_a_call_may_have_are_not_used(server: Faulty) -> None:
    server.answers["Observation"] = Reply(
        searchset(*(observation(ALT, 1, id=f"o{n}") for n in range(30)))
    )

    status, body = answer(bare(server), DEVELOPMENT.model_copy(update={"max_entries": 20}))

    assert (status, "(too-long)" in body["issue"][0]["diagnostics"]) == (412, True)
