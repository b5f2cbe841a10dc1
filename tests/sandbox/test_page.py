# SPDX-License-Identifier: Apache-2.0
"""The sandbox page over HTTP: its three ways in, what it shows, and what it refuses."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from io import BytesIO, StringIO
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from cds_service.call_context import SANDBOX
from cds_service.log import configure_log
from cds_service.settings import Settings
from cds_service.store import open_store
from cds_service.store.tables import feedback
from cds_service.web import create_app
from tests.sandbox.fake_fhir_server import Double, history, outcome, running
from tests.trust.signing import site
from tests.web.http_fixtures import (
    ALT,
    AST,
    NAME,
    NOW,
    PATIENT,
    bundle,
    client,
    founding,
    knowledge,
    observation,
    patient,
)

DEVELOPMENT = Settings(profile="development")
CARDS = "/sandbox/cards"


@pytest.fixture(name="http")
def _http() -> FlaskClient:
    return client(DEVELOPMENT)


@pytest.fixture(name="server")
def _server() -> Iterator[Double]:
    with running() as double:
        double.resources = history()
        yield double


def example(http: FlaskClient, name: str = "founding-patient", **fields: str) -> TestResponse:
    return http.post(CARDS, data={"way": "example", "example": name, **fields})


def pasted(http: FlaskClient, value: object, **fields: str) -> TestResponse:
    text = value if isinstance(value, str) else json.dumps(value)
    return http.post(CARDS, data={"way": "text", "text": text, **fields})


def heading(page: TestResponse) -> str:
    found = re.search(r"<h1>(.*?)</h1>", page.text, re.DOTALL)
    assert found is not None
    return unescape(re.sub(r"<[^>]+>", "", found[1]))


def in_box(page: TestResponse, name: str) -> str:
    """The text of a box with a raw message."""
    found = re.search(rf'<pre id="{name}"[^>]*>(.*?)</pre>', page.text, re.DOTALL)
    assert found is not None
    return unescape(found[1])


def test_it_is_there_in_development_and_nowhere_in_production(http: FlaskClient) -> None:
    assert http.get("/sandbox").status_code == 200
    assert 'href="/sandbox"' in http.get("/").text
    production = client(Settings())
    assert production.get("/sandbox").status_code == 404
    assert 'href="/sandbox"' not in production.get("/").text
    assert example(production).status_code == 404


def test_it_can_be_switched_on_and_off() -> None:
    assert client(Settings(sandbox=True)).get("/sandbox").status_code == 200
    off = client(Settings(profile="development", sandbox=False))
    assert off.get("/sandbox").status_code == 404


@pytest.mark.parametrize(
    "name", [example.id for pack in knowledge().packs for example in pack.examples]
)
def test_every_bundled_patient_has_cards(http: FlaskClient, name: str) -> None:
    page = example(http, name)

    assert page.status_code == 200
    assert "card" in heading(page).lower()
    assert heading(page) != "No card"
    assert "object to nothing" in page.text  # the examples are valid FHIR


@pytest.mark.parametrize("service", list(knowledge().services))
def test_a_bundled_patient_can_be_shown_to_every_service(http: FlaskClient, service: str) -> None:
    page = example(http, "injury", service=service)

    assert page.status_code == 200
    assert heading(page) != "The service refused"


def test_the_call_is_the_one_that_an_ehr_would_make(http: FlaskClient) -> None:
    page = example(http)

    request, response = in_box(page, "request"), json.loads(in_box(page, "response"))
    again = http.post(
        "/cds-services/liver-patient-view", data=request, content_type="application/json"
    )
    assert without_uuids(json.loads(again.text)["cards"]) == without_uuids(response["cards"])
    assert "org.cds-service.explanation" in response["extension"]
    assert in_box(page, "curl").startswith(
        "curl --json @- http://localhost/cds-services/liver-patient-view <<'REQUEST'\n{"
    )


def without_uuids(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The cards without what names the call and its client: the sandbox is one of its own."""
    for card in cards:
        for part in (card, *card.get("suggestions", [])):
            part.pop("uuid")
    return cards


def test_a_card_is_shown_whole(http: FlaskClient) -> None:
    page = example(http)

    (card,) = json.loads(in_box(page, "response"))["cards"]
    text = unescape(page.text)
    for said in (card["summary"], card["source"]["label"], card["source"]["topic"]["display"]):
        assert said in text
    for suggestion in card["suggestions"]:
        assert suggestion["label"] in text
        assert f'name="suggestion" value="{suggestion["uuid"]}"' in text
    for reason in card["overrideReasons"]:
        assert f'value="{reason["system"]}|{reason["code"]}">{reason["display"]}' in text
    assert text.count("What would be created") == len(card["suggestions"])


def test_a_decision_is_explained(http: FlaskClient) -> None:
    page = example(http, "injury")

    text = " ".join(re.sub(r"<[^>]+>", " ", unescape(page.text)).split())
    assert "Moderately raised ALT alt-moderate" in text
    assert "the card Hy's law pattern took its place" in text
    assert "would need" in text


def test_a_bundle_is_sorted_into_the_keys_of_discovery(http: FlaskClient) -> None:
    page = pasted(http, bundle(patient(), observation(ALT, 1), observation("777-3", 200, "10*9/L")))

    request = json.loads(in_box(page, "request"))
    assert set(request["prefetch"]) == {"patient", "observations"}
    assert request["context"]["patientId"] == PATIENT
    assert heading(page) == "One card"


def test_what_no_key_asks_for_goes_along() -> None:
    http = client(DEVELOPMENT)
    medication = {"resourceType": "Medication", "id": "m", "code": {"text": "levodopa"}}

    page = pasted(http, bundle(patient(), observation(ALT, 1), medication))

    entries = json.loads(in_box(page, "request"))["prefetch"]["observations"]["entry"]
    assert [entry["resource"]["resourceType"] for entry in entries] == ["Observation", "Medication"]
    assert entries[1]["search"] == {"mode": "include"}


def test_numbers_keep_their_digits(http: FlaskClient) -> None:
    text = json.dumps(bundle(patient(), observation(ALT, 7))).replace(
        '"value": 7', '"value": 1.230'
    )

    assert '"value": 1.230,' in in_box(pasted(http, text), "request")


def test_an_order_being_made_is_a_draft_of_the_context(http: FlaskClient) -> None:
    draft = {
        "resourceType": "MedicationRequest",
        "id": "d",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "medicationCodeableConcept": {"text": "isoniazid"},
    }

    page = pasted(
        http, bundle(patient(), observation(ALT, 300), draft), service="liver-order-select"
    )

    context = json.loads(in_box(page, "request"))["context"]
    assert context["selections"] == ["MedicationRequest/d"]
    assert heading(page) != "The service refused"


def test_a_patient_known_by_address_alone_is_found(http: FlaskClient) -> None:
    url = "urn:uuid:0c0c0c0c-0000-4000-8000-000000000001"
    sent = bundle(patient(id="p"), observation(ALT, 1, subject={"reference": url}))
    sent["entry"][0]["fullUrl"] = url

    assert heading(pasted(http, sent)) == "One card"


def test_a_result_that_names_nobody_is_judged(http: FlaskClient) -> None:
    alone = observation(ALT, 1)
    del alone["subject"]

    assert heading(pasted(http, alone)) == "One card"


def test_lines_of_resources_are_read(http: FlaskClient) -> None:
    lines = "\n".join(json.dumps(resource) for resource in (patient(), observation(ALT, 1)))

    assert heading(pasted(http, lines)) == "One card"


def test_a_file_is_read_in_place_of_the_text(http: FlaskClient) -> None:
    file = (BytesIO(b"\xef\xbb\xbf" + json.dumps(founding()).encode()), "request.json")

    page = http.post(CARDS, data={"way": "text", "text": "", "file": file})

    assert heading(page) == "One card"


def test_a_hook_request_goes_as_it_stands_to_the_service_of_its_hook(http: FlaskClient) -> None:
    page = pasted(http, founding(), service="liver-order-sign")

    assert json.loads(in_box(page, "request")) == founding()
    assert "<code>liver-patient-view</code>" in page.text


def test_of_several_patients_one_is_chosen(http: FlaskClient) -> None:
    other = observation(ALT, 30, subject={"reference": "Patient/other"})
    sent = bundle(patient(), observation(ALT, 1), other)

    page = pasted(http, sent)
    assert "2 patients in this text" in page.text
    assert heading(pasted(http, sent, patient="other")) == "No card"
    assert heading(pasted(http, sent, patient=PATIENT)) == "One card"
    assert pasted(http, sent, patient="nobody").status_code == 400


def test_faults_say_where_and_what_and_never_the_value(http: FlaskClient) -> None:
    wrong = observation(ALT, 1, issued="ZZSECRET")

    page = pasted(http, bundle(patient(), wrong))

    faults = page.text.split("Is it valid FHIR?")[1].split("</section>")[0]
    assert "observations.entry[0].resource.issued" in faults
    assert "ZZSECRET" not in faults


def test_what_was_set_aside_says_why(http: FlaskClient) -> None:
    page = pasted(http, bundle(patient(), observation(ALT, 1), observation(AST, 3, "furlong")))

    assert "unit-unknown" in page.text
    assert "3 furlong" in page.text


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("{", 400),
        ("", 400),
        ("[1]", 400),
        ('{"resourceType": "Nonsense"}', 400),
        ('{"hook": "patient-view"}', 400),
        ("[" * 100_000, 400),
        ("null", 400),
    ],
)
def test_what_cannot_be_read_is_said_on_the_page(http: FlaskClient, text: str, status: int) -> None:
    page = pasted(http, text)

    assert page.status_code in {status, 413}
    assert "This did not work." in page.text


def test_what_the_service_refuses_is_shown_as_an_ehr_would_get_it(http: FlaskClient) -> None:
    page = pasted(http, patient())

    assert page.status_code == 200
    assert "An EHR would get status 412" in page.text
    assert json.loads(in_box(page, "response"))["resourceType"] == "OperationOutcome"


def test_too_long_a_form_is_refused() -> None:
    http = client(Settings(profile="development", max_body_bytes=1000))

    page = pasted(http, "x" * 2000)

    assert page.status_code == 413
    assert "This did not work." in page.text


def test_a_long_text_within_the_limit_is_taken(http: FlaskClient) -> None:
    assert heading(pasted(http, json.dumps(founding()) + " " * 3_000_000)) == "One card"


def test_another_type_than_a_form_is_refused(http: FlaskClient) -> None:
    assert http.post(CARDS, json={}).status_code == 415


def test_unknown_examples_and_services_are_said(http: FlaskClient) -> None:
    assert example(http, "nobody").status_code == 404
    assert example(http, service="of-nobody").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
    ],
)
@pytest.mark.parametrize("address", [CARDS, "/sandbox/patients", "/sandbox/feedback"])
def test_a_form_of_another_site_is_refused(
    http: FlaskClient, address: str, headers: dict[str, str]
) -> None:
    assert http.post(address, data={"way": "example"}, headers=headers).status_code == 403


def test_a_form_of_our_own_page_is_taken(http: FlaskClient) -> None:
    data = {"way": "example", "example": "founding-patient"}
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}):
        assert http.post(CARDS, data=data, headers=headers).status_code == 200


def test_the_page_has_a_strict_policy_and_is_kept_nowhere(http: FlaskClient) -> None:
    for page in (http.get("/sandbox"), example(http)):
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert page.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<script(?![^>]*src=\"/sandbox.js\")|\son\w+=|\sstyle=", page.text)
    assert "script-src" not in http.get("/").headers["Content-Security-Policy"]


def test_a_patient_is_searched_and_shown(http: FlaskClient, server: Double) -> None:
    listed = http.post("/sandbox/patients", data={"server": server.base, "search": "zztest"})
    assert f'name="patient" value="{PATIENT}"' in listed.text

    page = http.post(CARDS, data={"way": "server", "server": server.base, "patient": PATIENT})

    request = json.loads(in_box(page, "request"))
    assert request["fhirServer"] == server.base
    assert len(request["prefetch"]["observations"]["entry"]) == 3
    assert "90.5" in in_box(page, "request")
    assert "Over time" in page.text
    assert PATIENT not in server.base


def test_an_id_is_found_as_well_as_a_name(http: FlaskClient, server: Double) -> None:
    page = http.post("/sandbox/patients", data={"server": server.base, "search": PATIENT})

    assert f'value="{PATIENT}"' in page.text


def test_pages_are_joined(http: FlaskClient, server: Double) -> None:
    server.page = 1

    page = http.post(CARDS, data={"way": "server", "server": server.base, "patient": PATIENT})

    found = json.loads(in_box(page, "request"))["prefetch"]["observations"]
    assert [entry["resource"]["id"] for entry in found["entry"]] == ["alt-0", "alt-1", "alt-2"]
    assert "link" not in found
    assert "on 3 pages" in page.text


def test_a_part_is_sent_as_a_part(server: Double) -> None:
    server.page = 1
    http = client(Settings(profile="development", fhir_max_pages=2))

    page = http.post(CARDS, data={"way": "server", "server": server.base, "patient": PATIENT})

    found = json.loads(in_box(page, "request"))["prefetch"]["observations"]
    assert len(found["entry"]) == 2
    assert found["link"][0]["relation"] == "next"
    assert "too-many-pages" in page.text


def test_what_fails_stays_absent_and_is_shown(http: FlaskClient, server: Double) -> None:
    server.told["Condition"] = lambda _: (400, outcome("no"))
    server.told["MedicationRequest"] = lambda _: (200, outcome("no"))

    page = http.post(CARDS, data={"way": "server", "server": server.base, "patient": PATIENT})

    prefetch = json.loads(in_box(page, "request"))["prefetch"]
    assert "conditions" not in prefetch
    assert "medicationRequests" not in prefetch
    assert "the server refused the query" in page.text
    assert "error in place of data" in page.text


@pytest.mark.parametrize("address", ["/sandbox/patients", CARDS])
def test_a_wrong_base_is_no_fhir_server(http: FlaskClient, server: Double, address: str) -> None:
    wrong = server.base.removesuffix("/fhir")
    sent = {"way": "server", "server": wrong, "patient": PATIENT, "search": "a"}

    page = http.post(address, data=sent)

    assert page.status_code == 400
    assert "This is no FHIR server: it answered 404 to /metadata." in page.text
    assert wrong in page.text  # to be corrected


def test_a_server_that_is_not_there_is_said(http: FlaskClient) -> None:
    page = http.post("/sandbox/patients", data={"server": "http://127.0.0.1:9/fhir"})

    assert page.status_code == 200
    assert "The server gave no list" in page.text


@pytest.mark.parametrize("url", ["", "ftp://host", "http://a b", "nonsense", "http://u@host/fhir"])
def test_what_is_no_base_url_is_refused(http: FlaskClient, url: str) -> None:
    page = http.post("/sandbox/patients", data={"server": url})

    assert page.status_code == 400


@pytest.mark.parametrize("identity", ["", "..", "a/b", "1?x=1", "x" * 65])
def test_what_is_no_id_of_a_patient_is_refused(
    http: FlaskClient, server: Double, identity: str
) -> None:
    page = http.post(CARDS, data={"way": "server", "server": server.base, "patient": identity})

    assert page.status_code == 400
    assert server.asked == []


def test_without_development_only_open_servers_of_the_list_are_asked(
    tmp_path: Path, server: Double
) -> None:
    file = tmp_path / "servers.yaml"
    file.write_text(
        f"servers:\n  - base: {server.base}\n    this machine: yes\n    anonymous: yes\n"
        "  - base: https://closed.example/fhir\n",
        encoding="utf-8",
    )
    http = client(Settings(sandbox=True, fhir_servers=file))

    page = http.post("/sandbox/patients", data={"server": server.base})
    assert page.status_code == 200
    assert PATIENT in page.text
    for other in ("https://closed.example/fhir", "https://hapi.fhir.org/baseR4"):
        assert http.post("/sandbox/patients", data={"server": other}).status_code == 403


HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"


def test_nothing_that_was_sent_becomes_markup(http: FlaskClient, server: Double) -> None:
    hostile = observation(ALT, 1, HOSTILE, id="h", note=[{"text": HOSTILE}], status=HOSTILE)
    sent = bundle(
        patient(name=[{"text": HOSTILE}]),
        observation(ALT, 1),
        hostile,
        observation(AST, 1, HOSTILE),
        {**observation(HOSTILE, 1), "code": {"coding": [{"code": HOSTILE}], "text": HOSTILE}},
    )
    server.resources = [entry["resource"] for entry in sent["entry"]]

    pages = [
        pasted(http, sent),
        pasted(http, HOSTILE),
        pasted(http, founding(), service=HOSTILE),
        http.post("/sandbox/patients", data={"server": server.base, "search": HOSTILE}),
        http.post("/sandbox/patients", data={"server": server.base}),
        http.post(CARDS, data={"way": "server", "server": server.base, "patient": PATIENT}),
        pasted(
            http, bundle(observation(ALT, 1), observation(ALT, 1, subject={"reference": HOSTILE}))
        ),
        http.post(
            "/sandbox/feedback",
            data={"service": "liver-patient-view", "card": HOSTILE, "suggestion": HOSTILE},
        ),
    ]
    for page in pages:
        assert "<script>" not in page.text
        assert "<img" not in page.text
        assert "49" not in re.findall(r"onerror=alert\(2\)&gt;(\d+)", page.text)


def test_w14_feedback_by_form_is_kept_and_counted_apart() -> None:
    store = open_store("sqlite://")
    application = create_app(DEVELOPMENT, clock=lambda: NOW, knowledge=knowledge(), store=store)
    http = application.test_client()
    (card,) = json.loads(in_box(example(http), "response"))["cards"]
    reason = card["overrideReasons"][0]
    form = {"service": "liver-patient-view", "card": card["uuid"]}

    taken = http.post(
        "/sandbox/feedback", data={**form, "suggestion": card["suggestions"][0]["uuid"]}
    )
    dismissed = http.post(
        "/sandbox/feedback",
        data={
            **form,
            "do": "dismiss",
            "reason": f"{reason['system']}|{reason['code']}",
            "comment": "seen",
        },
    )

    assert (taken.status_code, dismissed.status_code) == (200, 200)
    counts = json.loads(http.get("/feedback?format=json").text)
    assert counts == {"rules": [], "unknownCards": 0, "sandboxCards": 1}
    with store.database.reading() as connection:
        kept = connection.execute(select(feedback.c.client, feedback.c.rule)).all()
    assert [tuple(row) for row in kept] == [(SANDBOX, "alt-very-low")] * 2
    assert http.post("/sandbox/feedback", data=form).status_code == 400


def test_w14_what_is_dismissed_in_the_sandbox_is_silent_there_alone() -> None:
    store = open_store("sqlite://")
    application = create_app(DEVELOPMENT, clock=lambda: NOW, knowledge=knowledge(), store=store)
    http = application.test_client()
    (card,) = json.loads(in_box(pasted(http, founding()), "response"))["cards"]
    form = {"service": "liver-patient-view", "card": card["uuid"], "do": "dismiss"}
    assert http.post("/sandbox/feedback", data=form).status_code == 200

    assert json.loads(in_box(pasted(http, founding()), "response"))["cards"] == []
    called = http.post("/cds-services/liver-patient-view", json=founding())
    assert len((called.json or {})["cards"]) == 1
    assert json.loads(http.get("/feedback?format=json").text)["rules"][0]["shown"] == 1


def test_with_clients_it_is_not_there_unless_asked_for(tmp_path: Path) -> None:
    assert site(tmp_path, profile="development").http.get("/sandbox").status_code == 404

    asked = site(tmp_path, sandbox=True).http
    page = example(asked)

    assert heading(page) == "One card"
    assert "<button" not in page.text  # only registered clients send feedback
    form = {"service": "liver-patient-view", "card": "c", "suggestion": "s"}
    assert asked.post("/sandbox/feedback", data=form).status_code == 403


def test_nothing_of_a_patient_is_logged(
    http: FlaskClient, server: Double, capfd: pytest.CaptureFixture[str]
) -> None:
    server.told["Condition"] = lambda _: (500, outcome(NAME))
    form = {"way": "server", "server": server.base, "patient": PATIENT}
    http.post(CARDS, data=form)
    http.post("/sandbox/patients", data={"server": server.base, "search": NAME})
    pasted(http, founding())
    pasted(http, bundle(patient(), patient(id=NAME)), patient=NAME)
    pasted(http, f'{{"resourceType": "{NAME}"')
    http.post("/sandbox/feedback", data={"service": "x", "card": NAME, "comment": NAME})

    logged = "".join(capfd.readouterr())
    assert "request" in logged
    assert PATIENT not in logged
    assert NAME not in logged


# The page and the call say the same


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        ({"output_profile": "epic"}, {}),
        ({"prefetch_keys": "qx9=observations"}, {"prefetch": {"qx9": None}}),
        ({}, {"context": {"userId": "Patient/1", "patientId": PATIENT}}),
        ({}, {"context": {"userId": "RelatedPerson/1", "patientId": PATIENT}}),
    ],
    ids=["epic", "keys", "a patient looks", "a relative looks"],
)
def test_the_page_shows_what_the_call_gives_under_every_setting(
    settings: dict[str, str], change: dict[str, object]
) -> None:
    http = client(DEVELOPMENT.model_copy(update=settings))
    body = {**founding(), **change}

    called = json.loads(http.post("/cds-services/liver-patient-view", json=body).text)
    page = pasted(http, body)

    assert "An EHR would get" not in page.text
    shown = json.loads(in_box(page, "response"))["cards"]
    for card in (*shown, *called["cards"]):
        card.pop("links")  # the address of the call stands in them
    assert without_uuids(shown) == without_uuids(called["cards"])


def test_cards_are_counted_as_in_a_call(http: FlaskClient) -> None:
    example(http)

    assert 'cds_cards_total{indicator="info",rule="alt-very-low"} 1.0' in http.get("/metrics").text


@pytest.mark.parametrize("kind", [["a"], {}, 7, None])
def test_a_type_of_any_form_does_no_harm(http: FlaskClient, kind: object) -> None:
    odd = {"resourceType": kind}
    body = {**founding(), "prefetch": {**founding()["prefetch"], "x": odd, "y": bundle(odd)}}

    page = pasted(http, body)

    assert (page.status_code, heading(page)) == (200, "One card")
    assert "expected a resource type of FHIR R4" in page.text


def test_faults_are_searched_as_far_as_they_are_shown(http: FlaskClient) -> None:
    odd = [observation(ALT, 1, id=f"o{n}", status=7) for n in range(200)]

    assert "more than 100 places" in pasted(http, bundle(patient(), *odd)).text


def test_a_long_request_is_answered_and_not_written_out(http: FlaskClient) -> None:
    long = observation(ALT, 1, note=[{"text": "x" * 600_000}])

    page = pasted(http, bundle(patient(), long))

    assert heading(page) == "One card"
    assert "The request is too long to be shown here." in page.text
    assert len(page.data) < 200_000


def test_only_some_may_try_at_the_same_time() -> None:
    application = create_app(
        Settings(profile="development", threads=2), clock=lambda: NOW, knowledge=knowledge()
    )
    begun, free = Event(), Event()

    def slow(_: str) -> tuple[int, dict[str, object]]:
        begun.set()
        free.wait(60)
        return 404, outcome("not here")

    with running() as server, ThreadPoolExecutor() as pool:
        server.told["Patient"] = slow
        form = {"server": server.base, "search": "a"}
        first = pool.submit(application.test_client().post, "/sandbox/patients", data=form)
        begun.wait(60)
        refused = example(application.test_client())
        report = application.test_client().post(
            "/report/rows", data={"text": "Test;Value\nALT;1\n"}
        )
        free.set()

        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        assert (report.status_code, report.headers["Retry-After"]) == (503, "2")
        assert first.result().status_code == 200
    assert example(application.test_client()).status_code == 200


def test_of_a_file_with_several_patients_one_is_chosen(http: FlaskClient) -> None:
    other = observation(ALT, 30, subject={"reference": "Patient/other"})
    data = json.dumps(bundle(patient(), observation(ALT, 1), other)).encode()

    page = http.post(CARDS, data={"way": "text", "text": "", "file": (BytesIO(data), "b.json")})
    carried = re.search(r'<textarea class="carried"[^>]*>\n?(.*?)</textarea>', page.text, re.DOTALL)

    assert carried is not None
    assert heading(pasted(http, unescape(carried[1]), patient=PATIENT)) == "One card"


def test_medicines_that_are_only_referred_to_are_read(http: FlaskClient, server: Double) -> None:
    server.resources = [
        patient(),
        observation(ALT, 1),
        {
            "resourceType": "MedicationRequest",
            "id": "m1",
            "status": "active",
            "subject": {"reference": f"Patient/{PATIENT}"},
            "medicationReference": {"reference": "Medication/m"},
        },
        {"resourceType": "Medication", "id": "m", "code": {"text": "Isoniazid 300 mg"}},
    ]

    page = http.post(CARDS, data={"way": "server", "server": server.base, "patient": PATIENT})

    assert heading(page) == "2 cards"
    assert "Medication/m" in server.asked


def test_a_refusal_leaves_its_reason_in_the_log(http: FlaskClient) -> None:
    lines = StringIO()
    configure_log("info", stream=lines)

    pasted(http, "{")

    assert json.loads(lines.getvalue().splitlines()[-1])["problem"] == "RequestError"


def test_in_development_a_listed_server_may_be_asked_like_any_other(
    server: Double, tmp_path: Path
) -> None:
    file = tmp_path / "servers.yaml"
    file.write_text(f"servers:\n  - base: {server.base}\n", encoding="utf-8")
    http = client(Settings(profile="development", fhir_servers=file))

    assert http.post("/sandbox/patients", data={"server": server.base}).status_code == 200
