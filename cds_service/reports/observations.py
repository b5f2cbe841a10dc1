# SPDX-License-Identifier: Apache-2.0
"""Rows of a report -> FHIR resources, which go the same way as any others.

A row with a doubt keeps its text as `valueString`: the rules then say that a result was not used,
and nobody takes its number for one that was read.
"""

import re
from collections import Counter
from decimal import Decimal
from typing import Any, Final

from msgspec.json import Encoder

from cds_service.reports.numbers import PrintedRange
from cds_service.reports.report import LabReport, PatientReport, ReportRow

_ID: Final = re.compile(r"(?!patient-)[A-Za-z0-9.-]{1,64}")  # of FHIR, and none of ours
_INTERPRETATIONS: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_UCUM: Final = "http://unitsofmeasure.org"
_ABSENT: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_ENCODER: Final = Encoder(decimal_format="number")  # 1.10 keeps its zero

Resource = dict[str, Any]


def as_bundle(report: LabReport) -> bytes:
    """A Bundle of the patients of a report and an Observation for each row, as JSON."""
    entries = [
        {"resource": resource}
        for about, identity in zip(report.patients, _ids_of(report), strict=True)
        for resource in _resources(about, identity)
    ]
    return _ENCODER.encode({"resourceType": "Bundle", "type": "collection", "entry": entries})


def _ids_of(report: LabReport) -> list[str]:
    """An id of FHIR for each patient: their own, if it is one and no other patient has it."""
    own = [about.patient.id for about in report.patients]
    times = Counter(own)
    return [
        own_id if _ID.fullmatch(own_id) and times[own_id] == 1 else f"patient-{number}"
        for number, own_id in enumerate(own, start=1)
    ]


def _resources(about: PatientReport, identity: str) -> list[Resource]:
    who = about.patient
    patient: Resource = {"resourceType": "Patient", "id": identity}
    if who.id:
        patient["identifier"] = [{"value": who.id}]
    if who.name:
        patient["name"] = [{"text": who.name}]
    if who.birth_date:
        patient["birthDate"] = who.birth_date
    if who.sex:
        patient["gender"] = who.sex
    return [patient, *(as_observation(row, f"Patient/{identity}") for row in about.rows)]


def as_observation(row: ReportRow, subject: str) -> Resource:
    """The Observation of a row; `valueQuantity.value` is a `Decimal`."""
    found: Resource = {
        "resourceType": "Observation",
        "status": row.status,
        "code": concept_of(row),
        "subject": {"reference": subject},
        **_value(row),
    }
    if row.date:
        found["effectiveDateTime"] = row.date
    flags = filter(None, row.flag.split(", "))
    interpretation: list[Resource] = [
        {"coding": [{"system": _INTERPRETATIONS, "code": flag}]} for flag in flags
    ]
    if row.hemolyzed:
        interpretation.append({"text": "hemolyzed"})
    if interpretation:
        found["interpretation"] = interpretation
    if row.range_text:
        text = row.range_text if row.range is None else range_in_words(row.range)
        found["referenceRange"] = [{"text": text}]
    if row.notes:
        found["note"] = [{"text": note} for note in row.notes]
    return found


def concept_of(row: ReportRow) -> Resource:
    """The code of a row; what was not measured in blood is named by its specimen too."""
    codings = [
        {key: text for key, text in coding.items() if text}
        for code in row.codes
        for coding in ({"system": code.system, "code": code.code, "display": code.display},)
    ]
    text = f"{row.name} {row.specimen}".strip()
    return {**({"coding": codings} if codings else {}), **({"text": text} if text else {})}


def range_in_words(read: PrintedRange) -> str:
    """The range with points before decimals.

    >>> range_in_words(PrintedRange(high="40", high_is_exclusive=True))
    '<40'
    """
    if read.low is not None and read.high is not None:
        return f"{read.low}-{read.high}"
    if read.low is not None:
        return f"{'>' if read.low_is_exclusive else '>='}{read.low}"
    return f"{'<' if read.high_is_exclusive else '<='}{read.high}"


def _value(row: ReportRow) -> Resource:
    if row.value is None:
        if row.text and row.doubt != "not-in-blood":
            return {"valueString": row.text}
        return {"dataAbsentReason": {"coding": [{"system": _ABSENT, "code": "unknown"}]}}
    quantity: Resource = {"value": Decimal(row.value.number)}
    if row.value.comparator:
        quantity["comparator"] = row.value.comparator
    if row.unit:
        quantity["unit"] = row.unit
    if row.ucum:
        quantity.update(system=_UCUM, code=row.ucum)
    return {"valueQuantity": quantity}
