# SPDX-License-Identifier: Apache-2.0
"""Every status that the service answers with, and that errors are R4 OperationOutcomes."""

import gzip
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from fhir.resources.R4B.operationoutcome import OperationOutcome
from flask.testing import FlaskClient

from cds_service.errors import CdsServiceError, every_error
from cds_service.settings import Settings
from cds_service.web.outcomes import ISSUES, STATUS, outcome
from tests.web.http_fixtures import (
    ALT,
    NAME,
    PATIENT,
    SERVICE,
    Json,
    app,
    bundle,
    call,
    client,
    founding,
    observation,
    without,
)

JSON = "application/json"


@pytest.fixture(name="http", scope="module")
def _http() -> FlaskClient:
    return client()


def send(http: FlaskClient, body: bytes | Json, kind: str | None = JSON, **more: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return http.post(SERVICE, data=data, content_type=kind, **more)


def issue(response: Any, status: int) -> Mapping[str, str]:
    assert response.status_code == status, response.text
    assert response.content_type == "application/json; charset=utf-8"
    OperationOutcome.model_validate(response.json)
    assert PATIENT not in response.text
    assert NAME not in response.text
    (issue,) = response.json["issue"]
    found: Mapping[str, str] = issue
    return found


def test_every_error_of_ours_has_a_status_and_no_other_class_has() -> None:
    assert set(STATUS) == set(every_error())


def test_the_founding_patient_gets_cards(http: FlaskClient) -> None:
    response = send(http, founding())

    assert response.status_code == 200
    assert response.content_type == "application/json; charset=utf-8"
    assert [card["source"]["topic"]["code"] for card in response.json["cards"]] == ["altverylow"]


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b"[]", b'"x"', b"null", b"NaN", b"\xef\xbb\xbf{}", b"\xff\xfe{", b"{}"],
    ids=["nothing", "blank", "cut", "list", "text", "null", "nan", "bom", "utf-16", "object"],
)
def test_a_body_that_is_no_call_is_400(http: FlaskClient, body: bytes) -> None:
    assert issue(send(http, body), 400)["code"] == "invalid"


@pytest.mark.parametrize(
    "path",
    [("hook",), ("hookInstance",), ("context",), ("context", "userId"), ("context", "patientId")],
)
def test_a_call_without_a_required_member_is_400_and_names_it(
    http: FlaskClient, path: tuple[str, ...]
) -> None:
    said = issue(send(http, without(founding(), *path)), 400)["diagnostics"]

    assert said.startswith("$." + ".".join(path))


def test_a_hook_that_the_service_does_not_answer_is_400(http: FlaskClient) -> None:
    body = {**founding(), "hook": "encounter-start"}
    body["context"]["encounterId"] = "e"

    assert "patient-view" in issue(send(http, body), 400)["diagnostics"]


def test_results_of_another_patient_are_400(http: FlaskClient) -> None:
    body = founding()
    body["context"]["patientId"] = "another"

    issue(send(http, body), 400)


def test_an_unknown_service_is_404_before_the_body_is_read(http: FlaskClient) -> None:
    response = http.post(f"/cds-services/{NAME}", data=b"{", content_type="text/xml")

    assert issue(response, 404)["code"] == "not-found"


@pytest.mark.parametrize("address", ["/nowhere", f"/cds-services/{NAME}/x"])
def test_an_unknown_address_is_404(http: FlaskClient, address: str) -> None:
    assert issue(http.get(address), 404)["code"] == "not-found"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_405_with_those_that_are_allowed(http: FlaskClient, method: str) -> None:
    response = http.open(SERVICE, method=method)

    assert issue(response, 405)["code"] == "not-supported"
    assert response.headers["Allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    "body",
    [
        without(founding(), "prefetch"),
        without(founding(), "prefetch", "observations"),
        call(observations={"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}),
        call(observations="123"),
    ],
    ids=["no prefetch", "no results", "failed", "garbage"],
)
def test_without_laboratory_results_it_is_412_and_names_the_key(
    http: FlaskClient, body: Json
) -> None:
    found = issue(send(http, body), 412)

    assert found["code"] == "required"
    assert "'observations'" in found["diagnostics"]


@pytest.mark.parametrize(
    ("key", "sent", "where"),
    [
        ("observations", "123", "$.prefetch.observations (expected a FHIR resource)"),
        ("observations", {}, "$.prefetch.observations.resourceType (expected, but missing)"),
        ("observations", {"resource": None}, "$.prefetch.observations.resourceType (expected, but"),
        ("observations", {"resourceType": "Bundel"}, "$.prefetch.observations.resourceType (expec"),
        ("observations", {"resourceType": "Bundle", "entry": 5}, "$.prefetch.observations.entry ("),
        ("labs", {"resourceType": "Bundle", "entry": "x"}, "$.prefetch.labs.entry (expected an "),
        ("chemistry", {"resourceType": "Bundle", "entry": "x"}, "$.prefetch.chemistry.entry ("),
        (NAME + " 1", "x", "$.prefetch[5] ("),
    ],
)
def test_a_key_that_cannot_be_read_is_412_with_its_place(
    http: FlaskClient, key: str, sent: object, where: str
) -> None:
    body = call(**{key: sent})
    if key != "observations":
        del body["prefetch"]["observations"]

    told = issue(send(http, body), 412)["diagnostics"]

    assert f"could not be read at {where}" in told
    assert "not asked for again" not in told


def test_a_key_for_something_else_that_cannot_be_read_is_not_named(http: FlaskClient) -> None:
    body = without(call(conditions="x"), "prefetch", "observations")

    assert "is absent or failed" in issue(send(http, body), 412)["diagnostics"]


def test_results_of_which_none_can_be_read_are_412_with_their_place(http: FlaskClient) -> None:
    bad = observation(ALT, 1, status=[NAME])

    told = issue(send(http, call(bad)), 412)["diagnostics"]

    assert "at $.prefetch.observations.entry[0].resource.status (expected a string" in told


@pytest.mark.parametrize("results", [None, bundle(), {"resourceType": "Bundle", "total": 0}])
def test_results_that_were_asked_for_and_are_none_give_no_cards(
    http: FlaskClient, results: object
) -> None:
    response = send(http, call(observations=results))

    assert (response.status_code, response.json) == (200, {"cards": []})


def test_without_the_patient_there_are_cards_that_say_what_is_not_known(http: FlaskClient) -> None:
    (card,) = send(http, without(founding(), "prefetch", "patient")).json["cards"]

    assert "Not known: age; sex" in card["detail"]


def with_next_page(*results: Json) -> Json:
    page = bundle(*results)
    page["link"] = [{"relation": "next", "url": "https://fhir.example/next"}]
    return call(observations=page)


def test_a_first_page_that_may_hide_the_telling_result_is_412(http: FlaskClient) -> None:
    issue(send(http, with_next_page(observation(ALT, 30))), 412)


def test_a_first_page_that_reaches_back_far_enough_gives_no_cards(http: FlaskClient) -> None:
    old = observation(ALT, 30, effectiveDateTime="2026-01-01T08:00:00Z", id="old")

    response = send(http, with_next_page(observation(ALT, 30), old))

    assert (response.status_code, response.json) == (200, {"cards": []})


def test_a_card_on_a_first_page_says_that_it_is_only_a_part(http: FlaskClient) -> None:
    (card,) = send(http, with_next_page(observation(ALT, 1))).json["cards"]

    assert "**Incomplete data:** laboratory results: only a part was sent" in card["detail"]


def test_a_body_over_the_limit_is_413_without_being_read() -> None:
    http = client(Settings(max_body_bytes=100))

    class Unread:
        def read(self, size: int = -1) -> bytes:
            raise AssertionError(size)

    environ = {"wsgi.input": Unread(), "CONTENT_LENGTH": "101"}
    response = http.post(SERVICE, content_type=JSON, environ_overrides=environ)

    assert issue(response, 413)["code"] == "too-long"


def test_a_body_in_chunks_is_read_no_further_than_the_limit() -> None:
    http = client(Settings(max_body_bytes=100))
    asked: list[int] = []

    class Endless:
        def read(self, size: int = -1) -> bytes:
            asked.append(size)
            return b" " * size

    environ = {"wsgi.input": Endless(), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    response = http.post(SERVICE, content_type=JSON, environ_overrides=environ)

    assert issue(response, 413)["code"] == "too-long"
    assert asked == [101]


def test_a_body_of_exactly_the_limit_is_read() -> None:
    body = json.dumps(founding()).encode()

    assert send(client(Settings(max_body_bytes=len(body))), body).status_code == 200
    issue(send(client(Settings(max_body_bytes=len(body) - 1)), body), 413)


def test_too_many_resources_are_413() -> None:
    http = client(Settings(max_entries=1))

    issue(send(http, founding()), 413)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000])
def test_json_nested_without_end_is_refused(http: FlaskClient, body: bytes) -> None:
    assert send(http, body).status_code in {400, 413}


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/fhir+json",
        "application/fhir+json; fhirVersion=4.0",
    ],
)
def test_json_by_any_of_its_types_is_read(http: FlaskClient, kind: str) -> None:
    assert send(http, founding(), kind).status_code == 200


@pytest.mark.parametrize(
    "kind",
    ["text/xml", "text/plain", "text/json", "application/jsonx", "json", "", None, f"{NAME}/x"],
)
def test_a_body_of_another_type_is_415(http: FlaskClient, kind: str | None) -> None:
    response = send(http, founding(), kind)

    assert issue(response, 415)["code"] == "not-supported"
    assert response.headers["Accept-Post"] == "application/json, application/fhir+json"


def test_a_compressed_body_is_415_and_says_what_to_send(http: FlaskClient) -> None:
    body = gzip.compress(json.dumps(founding()).encode())

    response = send(http, body, headers={"Content-Encoding": "gzip"})

    assert "not compressed" in issue(response, 415)["diagnostics"]
    assert response.headers["Accept-Encoding"] == "identity"


def test_a_failure_is_500_and_tells_nothing_of_itself() -> None:
    application = app()

    @application.get("/fails")
    def fails() -> str:
        raise RuntimeError(f"{NAME} {PATIENT}")

    found = issue(application.test_client().get("/fails"), 500)

    assert (found["severity"], found["code"]) == ("fatal", "exception")


def test_an_error_of_ours_that_is_no_refusal_is_500_without_its_message() -> None:
    application = app()

    @application.get("/fails")
    def fails() -> str:
        raise CdsServiceError(NAME)

    issue(application.test_client().get("/fails"), 500)


def test_no_address_is_answered_with_a_redirect(http: FlaskClient) -> None:
    body = json.dumps(founding()).encode()
    slash = http.post(SERVICE + "/", data=body, content_type=JSON)
    double = http.post(SERVICE.replace("s/", "s//"), data=body, content_type=JSON)

    assert http.get("/cds-services/").status_code == 200
    assert slash.status_code == 200
    assert double.status_code == 404


def test_a_preflight_of_a_browser_is_answered(http: FlaskClient) -> None:
    headers = {"Origin": "https://sandbox.example", "Access-Control-Request-Method": "POST"}

    for address in ("/cds-services", SERVICE):
        response = http.options(address, headers=headers)

        assert response.status_code == 200
        assert not any(re.match("Access-Control", name) for name in response.headers.keys())  # noqa: SIM118


@pytest.mark.parametrize("status", sorted(ISSUES))
def test_every_issue_that_can_be_sent_is_valid(status: int) -> None:
    OperationOutcome.model_validate(outcome(status, "Example."))
