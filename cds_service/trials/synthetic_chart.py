# SPDX-License-Identifier: Apache-2.0
"""The medicines, conditions and encounters of a case -> FHIR resources."""

import re
from datetime import datetime, timedelta
from typing import TypeAlias

from cds_service.knowledge.model.code_systems import ICD_10_CM, LOINC, RXNORM, SNOMED

Json: TypeAlias = dict[str, object]

PATIENT = "case"
CODED = re.compile(r'(rxnorm|snomed|icd-10-cm|loinc) (\S+)(?: named "(.+)")?')
_RECORDED = re.compile(r"(.+), ([0-9]+) days ago")
_ENCOUNTER = re.compile(r"([A-Z]+)(, finished)?")
SYSTEMS = {"rxnorm": RXNORM, "snomed": SNOMED, "icd-10-cm": ICD_10_CM, "loinc": LOINC}


class GivenError(ValueError):
    """A word of a case that has no meaning; the message says what to write."""


def concept(text: str) -> Json:
    """A code with its display if it is named, or a text."""
    match = CODED.fullmatch(text)
    if match is None:
        return {"text": text}
    coding = {"system": SYSTEMS[match[1]], "code": match[2]}
    return {"coding": [coding | ({"display": match[3]} if match[3] else {})]}


def medicine(text: str, intent: str) -> Json:
    """A MedicationRequest: `isoniazid`, `rxnorm 197832`, `isoniazid, stopped`."""
    stopped = text.removesuffix(", stopped")
    return {
        "resourceType": "MedicationRequest",
        "status": "active" if stopped == text else "stopped",
        "intent": intent,
        "medicationCodeableConcept": concept(stopped),
        "subject": {"reference": f"Patient/{PATIENT}"},
    }


def condition(text: str, now: datetime) -> Json:
    """A Condition: `cirrhosis`, `snomed 19943007, 40 days ago`, `cirrhosis, resolved`."""
    active = text.removesuffix(", resolved")
    status = "active" if active == text else "resolved"
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    resource: Json = {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"system": system, "code": status}]},
        "code": concept(active),
        "subject": {"reference": f"Patient/{PATIENT}"},
    }
    if match := _RECORDED.fullmatch(active):
        resource["code"] = concept(match[1])
        resource["recordedDate"] = (now - timedelta(days=int(match[2]))).isoformat()
    return resource


def encounter(text: str) -> Json:
    """An Encounter: `IMP`, `IMP, finished`; raises `GivenError` for anything else."""
    match = _ENCOUNTER.fullmatch(text)
    if match is None:
        message = f"cannot read the encounter '{text}': write IMP, or IMP, finished"
        raise GivenError(message)
    system = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    return {
        "resourceType": "Encounter",
        "id": PATIENT,
        "status": "finished" if match[2] else "in-progress",
        "class": {"system": system, "code": match[1]},
        "subject": {"reference": f"Patient/{PATIENT}"},
    }
