# SPDX-License-Identifier: Apache-2.0
"""A call is handed to a thread only if it left out something that its FHIR server may be asked."""

import json
from typing import Any

import pytest

from cds_service.clock import stopwatch
from cds_service.fhir_client import prefetch_completion
from cds_service.settings import Settings
from cds_service.web.hook_calls import HookCall, HookCalls
from cds_service.web.server.request_parts import head_of
from tests.web.http_fixtures import app, founding
from tests.web.rsgi_client import scope_of

SERVER = "https://ehr.example/r4"
KEYS = ("patient", "observations", "medicationRequests", "medicationStatements", "conditions")
EMPTY = {"resourceType": "Bundle", "type": "searchset", "total": 0}


def bundle(resource: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": resource}]}


def whole(**prefetch: Any) -> dict[str, Any]:
    body = founding()
    sent = {**dict.fromkeys((*KEYS, "serviceRequests", "encounters"), EMPTY), **body["prefetch"]}
    return {**body, "fhirServer": SERVER, "prefetch": {**sent, **prefetch}}


def without(key: str) -> dict[str, Any]:
    body = whole()
    return {
        **body,
        "prefetch": {name: one for name, one in body["prefetch"].items() if name != key},
    }


def read(body: dict[str, Any], settings: Settings) -> tuple[HookCalls, HookCall]:
    calls: HookCalls = app(settings).extensions["hook_calls"]
    data = json.dumps(body).encode()
    call = calls.begin(head_of(scope_of(data)), stopwatch())
    calls.read(call, data)
    assert call.reply is None
    return calls, call


def waits(body: dict[str, Any], settings: Settings) -> bool:
    calls, call = read(body, settings)
    return calls.waits(call)


# In development every server may be asked without a token.
ASKED = Settings(profile="development")
REFERRED = {"resourceType": "MedicationRequest", "status": "active", "intent": "order"}
ELSEWHERE = {**REFERRED, "medicationReference": {"reference": "https://other.example/Medication/1"}}
HERE = {**REFERRED, "medicationReference": {"reference": "Medication/1"}}
PAGE = {**EMPTY, "total": 9, "link": [{"relation": "next", "url": f"{SERVER}?page=2"}]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (whole(), False),
        (without("conditions"), True),
        (whole(conditions=None), False),
        (whole(conditions=PAGE), True),
        (whole(medicationRequests=bundle(HERE)), True),
        (whole(medicationRequests=bundle(ELSEWHERE)), False),
        (without("conditions") | {"fhirServer": None}, False),
        (without("conditions") | {"hook": "encounter-start-of-ours"}, False),
    ],
)
def test_a_call_waits_only_for_what_it_left_out(body: dict[str, Any], *, expected: bool) -> None:
    assert waits(body, ASKED) is expected


def test_a_call_does_not_wait_for_a_server_that_may_not_be_asked() -> None:
    assert not waits(without("conditions"), Settings())


def test_what_goes_wrong_while_it_is_looked_at_is_answered_by_the_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(prefetch_completion, "unresolved", fail)
    calls, call = read(whole(), ASKED)

    assert calls.waits(call)
    assert calls.judge(call).status == 500
