# SPDX-License-Identifier: Apache-2.0
"""A patient in liver failure as a hook request, and what the service answers to changes of it."""

import json
from copy import deepcopy
from functools import cache
from typing import Any

from flask.testing import FlaskClient

from cds_service.service import Knowledge
from cds_service.settings import Settings
from cds_service.web import create_app
from tests.vignettes.convert import now_of
from tests.web.http_fixtures import knowledge

NOW = "2026-06-15T09:00:00Z"
TODAY = "2026-06-15T06:00:00Z"
UNUSED = "dq-results-set-aside"
Json = dict[str, Any]


def observation(name: str, code: str, value: float, unit: str, **more: Any) -> Json:
    """A final result of today."""
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": TODAY,
        "valueQuantity": {"value": value, "unit": unit},
        **more,
    }


ALT = observation("alt", "1742-6", 1500, "U/L")
BILIRUBIN = observation("bilirubin", "1975-2", 106, "umol/L")
ALP = observation("alp", "6768-6", 110, "U/L")
INR = observation("inr", "6301-6", 2.1, "{INR}")
FAILURE = (ALT, BILIRUBIN, ALP, INR)
ISONIAZID = {
    "resourceType": "MedicationRequest",
    "id": "isoniazid",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/p1"},
    "medicationCodeableConcept": {
        "coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "6038"}]
    },
}


def bundle(*resources: Any) -> Json:
    """The resources as a search result; what is no resource stands in its place as it is."""
    entries = [
        {"resource": resource}
        if isinstance(resource, dict) and "resourceType" in resource
        else resource
        for resource in resources
    ]
    return {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}


def request(*observations: Any, hook: str = "patient-view", **prefetch: Any) -> Json:
    """The call of a man of 50 with these results; further keys replace those of the prefetch."""
    empty = bundle()
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "gender": "male",
        "birthDate": "1976-03-01",
    }
    lists = {
        "patient": patient,
        "observations": bundle(*(deepcopy(observation) for observation in observations)),
        "conditions": empty,
        "medicationRequests": empty,
        "medicationStatements": empty,
        "serviceRequests": empty,
    }
    return {
        "hook": hook,
        "hookInstance": "0c6b3c4e-7a56-4f0e-8f6b-0a6c4e1d0001",
        "context": {"userId": "Practitioner/1", "patientId": "p1"},
        "prefetch": {**lists, **prefetch},
    }


def liver() -> Knowledge:
    """The liver pack."""
    return knowledge()


@cache
def _client() -> FlaskClient:
    """What calls a service without quiet days: no answer depends on those before."""
    settings = Settings(profile="development", explain="always", silence_days=0)
    clock = now_of({"inputs": {"now": NOW}})
    return create_app(settings, clock=lambda: clock, knowledge=liver()).test_client()


def respond(body: Json | bytes, hook: str = "patient-view") -> tuple[int, Json]:
    """Status and body of the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = _client().post(
        f"/cds-services/liver-{hook}", data=data, content_type="application/json"
    )
    found: Json = json.loads(answer.text)
    return answer.status_code, found


def cards(body: Json | bytes, hook: str = "patient-view") -> dict[str, Json]:
    """The cards of an answer by rule."""
    status, answer = respond(body, hook)
    assert status == 200, answer
    return {card["extension"]["org.cds-service.card"]["rule"]: card for card in answer["cards"]}


def refusal(body: Json | bytes, hook: str = "patient-view") -> tuple[int, str]:
    """Status and words of a refusal."""
    status, answer = respond(body, hook)
    return status, answer["issue"][0]["diagnostics"]
