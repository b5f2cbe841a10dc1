# SPDX-License-Identifier: Apache-2.0
"""Calls of the liver service, and an application to send them to."""

from contextlib import AbstractContextManager
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from typing import Any
from unittest.mock import patch

from flask import Flask
from flask.testing import FlaskClient

from cds_service.hooks.response import REQUEST_EXTENSION
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.reading.build import load_library
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from cds_service.web import create_app

Json = dict[str, Any]

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
SERVICE = "/cds-services/liver-patient-view"
PATIENT = "999888777"  # a canary: it may stand in a proposal and nowhere else
NAME = "ZZTESTNAME"
INSTANCE = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
LOINC = "http://loinc.org"
ALT, AST, BILIRUBIN, ALP = "1742-6", "1920-8", "1975-2", "6768-6"


_library_read_once = cache(load_library)


def read_once() -> AbstractContextManager[object]:
    """While it holds, a cards folder is read once a run; what is made of it is made anew."""
    return patch("cds_service.knowledge.site.overlay.load_library", _library_read_once)


@cache
def knowledge() -> Knowledge:
    """The packs of this repository, loaded once."""
    with read_once():
        return load_knowledge(Settings())


def liver_pack() -> Pack:
    """The liver pack of them."""
    (pack,) = (pack for pack in knowledge().packs if pack.id == "liver")
    return pack


def app(settings: Settings | None = None) -> Flask:
    """An application whose clock stands still."""
    return create_app(settings or Settings(), clock=lambda: NOW, knowledge=knowledge())


def client(settings: Settings | None = None) -> FlaskClient:
    """A client of such an application."""
    return app(settings).test_client()


def observation(code: str, value: float, unit: str = "U/L", **more: object) -> Json:
    """A final result of yesterday."""
    return {
        "resourceType": "Observation",
        "id": f"{NAME}-{code}",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}], "text": NAME},
        "subject": {"reference": f"Patient/{PATIENT}", "display": NAME},
        "effectiveDateTime": "2026-06-14T08:00:00Z",
        "valueQuantity": {"value": value, "unit": unit},
        **more,
    }


def bundle(*resources: Json) -> Json:
    """The answer to a search."""
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries}


def patient(**more: object) -> Json:
    """A man of 50."""
    return {
        "resourceType": "Patient",
        "id": PATIENT,
        "name": [{"family": NAME, "given": [NAME]}],
        "gender": "male",
        "birthDate": "1976-02-03",
        **more,
    }


def call(*results: Json, **prefetch: object) -> Json:
    """A complete patient-view call with these results."""
    return {
        "hook": "patient-view",
        "hookInstance": INSTANCE,
        "context": {"userId": "Practitioner/example", "patientId": PATIENT},
        "prefetch": {
            "patient": patient(),
            "observations": bundle(*results),
            "conditions": None,
            "medicationRequests": bundle(),
            "medicationStatements": None,
            "serviceRequests": None,
            **prefetch,
        },
    }


def founding() -> Json:
    """The call this project began with: ALT 1 U/L."""
    return call(observation(ALT, 1))


def without(body: Json, *path: str) -> Json:
    """The body without one of its members."""
    changed = deepcopy(body)
    place = changed
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return changed


def explained(body: Json) -> Json:
    """The same call asking for reasons."""
    return {**body, "extension": {REQUEST_EXTENSION: {"explain": True}}}


def medicine(name: str, code: str = "") -> Json:
    """An active prescription."""
    coding = [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": code}]
    return {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "medicationCodeableConcept": {"text": name, **({"coding": coding} if code else {})},
    }


def order_of_alt() -> Json:
    """An ALT that was ordered yesterday and has no result yet."""
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "code": {"coding": [{"system": LOINC, "code": ALT}]},
        "authoredOn": "2026-06-14",
    }


def empties(value: object, path: str = "$") -> list[str]:
    """The paths of whatever is null or empty, but for `cards` and `services` themselves."""
    if value is None or value in ("", [], {}):
        return [] if path in {"$.cards", "$.services"} else [path]
    if isinstance(value, dict):
        return [
            found for key, member in value.items() for found in empties(member, f"{path}.{key}")
        ]
    if isinstance(value, list):
        return [found for n, item in enumerate(value) for found in empties(item, f"{path}[{n}]")]
    return []
