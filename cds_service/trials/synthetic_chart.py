# SPDX-License-Identifier: Apache-2.0
"""The medicines, conditions, encounters, orders and done tests of a case -> FHIR resources."""

import re
from datetime import datetime, timedelta
from typing import TypeAlias

from cds_service.knowledge.model.code_systems import ICD_10_CM, LOINC, RXNORM, SNOMED
from cds_service.knowledge.model.pack import Pack

Json: TypeAlias = dict[str, object]

PATIENT = "case"
CODED = re.compile(r'(rxnorm|snomed|icd-10-cm|loinc) (\S+)(?: named "(.+)")?')
_CONDITION = re.compile(r"(.+?)(?:, (resolved))?(?:, ([0-9]+) days? ago)?")
_MEDICINE = re.compile(r"(.+?)(?:, (stopped))?")
_STATE = re.compile(r", *(?:resolved|stopped|[0-9]+ \w+ ago)\b")  # what has to stand at the end
_ENCOUNTER = re.compile(r"([A-Z]+)(, finished)?")
_ORDER = re.compile(
    r"(?:(\S+) )(draft|active|on-hold|completed|revoked|entered-in-error)"
    r"(?: ([0-9]+) (hours?|days?) ago)?(?: (routine|urgent|asap|stat))?( proposal)?"
)
_RESULTED = re.compile(
    r"(\S+) ([0-9]+) (hours?|days?) ago"
    r"(?: (preliminary|final|amended|corrected|cancelled|entered-in-error))?"
)
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
    """A MedicationRequest: `gammazine`, `rxnorm CODE`, `gammazine, stopped`."""
    match = _parted(_MEDICINE, text, "NAME, or NAME, stopped")
    return {
        "resourceType": "MedicationRequest",
        "status": match[2] or "active",
        "intent": intent,
        "medicationCodeableConcept": concept(match[1]),
        "subject": {"reference": f"Patient/{PATIENT}"},
    }


def condition(text: str, now: datetime) -> Json:
    """A Condition: `delta`, `snomed CODE, 40 days ago`, `delta, resolved, 1 day ago`."""
    match = _parted(_CONDITION, text, "NAME[, resolved][, 40 days ago]")
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    resource: Json = {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"system": system, "code": match[2] or "active"}]},
        "code": concept(match[1]),
        "subject": {"reference": f"Patient/{PATIENT}"},
    }
    if match[3]:
        resource["recordedDate"] = (now - timedelta(days=int(match[3]))).isoformat()
    return resource


def _parted(pattern: re.Pattern[str], text: str, form: str) -> re.Match[str]:
    """The text in its parts; raises `GivenError` if a state is left over in the name."""
    match = pattern.fullmatch(text)
    if match is None or (not CODED.fullmatch(match[1]) and _STATE.search(match[1])):
        message = f"cannot read '{text}': write {form}"
        raise GivenError(message)
    return match


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


def order_of(text: str, pack: Pack, now: datetime) -> Json:
    """The ServiceRequest that a case writes as `CODE active 3 days ago urgent`."""
    match = _ORDER.fullmatch(text)
    if match is None:
        message = f"cannot read the order '{text}': write CODE active 3 days ago [urgent]"
        raise GivenError(message)
    ago = timedelta(hours=int(match[3]) * hours_of(match[4])) if match[3] else timedelta(days=1)
    return {
        "resourceType": "ServiceRequest",
        "status": match[2],
        "intent": "proposal" if match[6] else "order",
        "priority": match[5] or "routine",
        "code": {"coding": [{"system": _system_of(match[1], pack), "code": match[1]}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "authoredOn": (now - ago).isoformat(),
    }


def resulted_of(text: str, pack: Pack, now: datetime) -> Json:
    """The Observation that a case writes as `CODE 400 days ago`; its value does not count."""
    match = _RESULTED.fullmatch(text)
    if match is None:
        message = f"cannot read the result '{text}': write CODE 30 days ago [preliminary]"
        raise GivenError(message)
    ago = timedelta(hours=int(match[2]) * hours_of(match[3]))
    return {
        "resourceType": "Observation",
        "status": match[4] or "final",
        "code": {"coding": [{"system": _system_of(match[1], pack), "code": match[1]}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "effectiveDateTime": (now - ago).isoformat(),
        "valueString": "not detected",
    }


def hours_of(unit: str) -> int:
    """How many hours an hour or a day has."""
    return 24 if unit.startswith("day") else 1


def _system_of(code: str, pack: Pack) -> str:
    """The system of an order's code: a site's own where the site gave it, else LOINC."""
    own = (order.site_code for order in pack.orders.values())
    return next(
        (own_code.system for own_code in own if own_code is not None and own_code.code == code),
        LOINC,
    )
