# SPDX-License-Identifier: Apache-2.0
"""One log line a request, and nothing in it about a patient."""

import json
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
import structlog

from cds_service.log import configure_log
from cds_service.settings import Settings
from tests.web.http_fixtures import (
    ALT,
    NAME,
    NOW,
    PATIENT,
    SERVICE,
    app,
    bundle,
    call,
    client,
    founding,
    observation,
    without,
)
from tests.web.rsgi_client import bridge_of, scope_of, sent


@pytest.fixture(name="log")
def _log() -> Iterator[StringIO]:
    stream = StringIO()
    configure_log("debug", stream=stream, clock=lambda: NOW)
    yield stream
    structlog.reset_defaults()


def lines(log: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


class Full(StringIO):
    """A log on a disk that is full."""

    def write(self, _: str) -> int:
        raise OSError("no space left")


@pytest.mark.parametrize("path", [SERVICE, "/cds-services/nobody"])
@pytest.mark.usefixtures("log")
def test_a_call_that_cannot_be_logged_is_answered_as_a_failure(path: str) -> None:
    configure_log(stream=Full(), clock=lambda: NOW)
    body = json.dumps(founding()).encode()

    channel = sent(bridge_of(app(), Settings()), replace(scope_of(body), path=path), body)

    assert (channel.status, channel.headers["Cache-Control"]) == (500, "no-store")
    assert json.loads(channel.answer)["issue"][0]["code"] == "exception"


def test_a_failure_at_the_end_of_a_call_is_answered(
    log: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(NAME)

    monkeypatch.setattr("cds_service.web.hook_calls.headers_for_pages", fail)
    body = json.dumps(founding()).encode()

    channel = sent(bridge_of(app(), Settings()), scope_of(body), body)

    assert channel.status == 500
    assert [line["event"] for line in lines(log)] == ["crash"]
    assert NAME not in log.getvalue()


def test_a_call_leaves_one_line_with_what_came_of_it(log: StringIO) -> None:
    client().post(SERVICE, json=founding())

    (line,) = lines(log)
    assert line.pop("ms") > 0
    assert line.pop("rules_unknown") > 0
    assert line == {
        "at": "2026-06-15T09:00:00.000+00:00",
        "level": "info",
        "event": "request",
        "service": "liver-patient-view",
        "hook": "patient-view",
        "outcome": "cards",
        "status": 200,
        "results": 1,
        "set_aside": 0,
        "rules_true": 1,
        "cards": 1,
        "pack": "liver",
        "pack_version": line["pack_version"],
    }


@pytest.mark.parametrize("address", ["/", "/cds-services", "/health", "/nowhere"])
def test_every_other_request_leaves_one_line_too(log: StringIO, address: str) -> None:
    response = client().get(address)

    (line,) = lines(log)
    assert line["status"] == response.status_code
    assert line["outcome"] == ("answered" if response.status_code < 400 else "refused")


def test_names_that_nobody_knows_are_not_logged(log: StringIO) -> None:
    http = client()

    http.post(f"/cds-services/{NAME.lower()}", json=founding())
    http.post(SERVICE, json={**founding(), "hook": NAME.lower()})

    assert NAME.lower() not in log.getvalue()
    assert [line["problem"] for line in lines(log)] == ["UnknownService", "RequestError"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (without(founding(), "context", "patientId"), "$.context.patientId"),
        ({**founding(), "hook": NAME}, "$.hook"),
        ({**founding(), "hookInstance": NAME}, "$.hookInstance"),
        ({**founding(), "fhirServer": NAME}, "$.fhirServer"),
        ({**founding(), "prefetch": [NAME]}, "$.prefetch"),
        (call(observations=NAME), "$.prefetch.observations"),
        (
            call(observations={"resourceType": "Bundle", "entry": NAME}),
            "$.prefetch.observations.entry",
        ),
        (
            call(observation(ALT, 1, status=[NAME])),
            "$.prefetch.observations.entry[0].resource.status",
        ),
    ],
)
def test_the_place_that_the_client_is_told_is_in_the_line(
    log: StringIO, body: dict[str, Any], where: str
) -> None:
    response = client().post(SERVICE, json=body)

    (line,) = lines(log)
    assert (line["where"], response.status_code >= 400) == (where, True)
    assert where in response.text
    assert "dropped" not in line


def test_a_key_that_nobody_knows_is_not_in_the_place(log: StringIO) -> None:
    bad = bundle(observation(ALT, 1, status=[NAME]))
    body = without(call(**{NAME: bad}), "prefetch", "observations")

    assert f"$.prefetch.{NAME}.entry[0]" in client().post(SERVICE, json=body).text
    (line,) = lines(log)
    assert line["where"] == "$.prefetch[...].entry[0].resource.status"
    assert NAME not in log.getvalue()


def test_a_failure_is_logged_with_its_place_and_without_its_words(log: StringIO) -> None:
    application = app()

    @application.get("/fails")
    def fails() -> str:
        patient = f"{NAME} {PATIENT}"
        raise RuntimeError(patient)

    application.test_client().get("/fails")

    crash, line = lines(log)
    assert (crash["event"], crash["problem"]) == ("crash", "RuntimeError")
    assert crash["frames"][-1].startswith("test_journal.py:")
    assert (line["outcome"], line["status"]) == ("crash", 500)
    assert NAME not in log.getvalue()
    assert PATIENT not in log.getvalue()
