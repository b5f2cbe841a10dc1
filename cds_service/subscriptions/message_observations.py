# SPDX-License-Identifier: Apache-2.0
"""The rows of a message of HL7 v2 -> Observations that a FHIR server can keep.

Each has an identifier made of what its laboratory knows it by, so that a correction, or a message
that is sent again, finds the result that it is about.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec.json import encode

from cds_service.reports.observations import as_observation
from cds_service.reports.report import ReportRow

RESULT_SYSTEM: Final = "https://cds-service.example/hl7-v2-result"
_CATEGORY: Final = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": "laboratory",
        }
    ]
}
_WITHOUT_SECONDS: Final = len("2026-03-05T09:30")

Json = dict[str, Any]


def observations(
    rows: Sequence[ReportRow],
    *,
    subject: str,
    sender: Sequence[str],
    patient: Sequence[str],
    message: str,
    zone: ZoneInfo,
) -> dict[str, Json]:
    """The Observation of each row by its identifier.

    A result is known by its sender, its patient, its order and its test, or without an order by its
    time; of one that has neither nothing but its message is known. The patient is part of it, so
    that an order number that is used twice never moves a result to somebody else. Where a message
    has the same more than once, the place of each counts too.
    """
    found: dict[str, Json] = {}
    times: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        known = (*sender, *patient, *_known_by(row, message))
        times[known] += 1
        identifier = sha256(encode([*known, times[known]])).hexdigest()[:40]
        found[identifier] = _observation(row, subject, identifier, zone)
    return found


def fhir_time(time: str, zone: ZoneInfo) -> str:
    """A time as FHIR has it: with seconds and a zone, that of the site if none was sent.

    >>> fhir_time("2026-03-05T09:30", ZoneInfo("Europe/Vienna"))
    '2026-03-05T09:30:00+01:00'
    >>> fhir_time("2026-03", ZoneInfo("UTC"))
    '2026-03'
    """
    if "T" not in time:
        return time
    if len(time) == _WITHOUT_SECONDS or time[_WITHOUT_SECONDS] != ":":
        time = f"{time[:_WITHOUT_SECONDS]}:00{time[_WITHOUT_SECONDS:]}"
    read = datetime.fromisoformat(time)
    return (read if read.tzinfo is not None else read.replace(tzinfo=zone)).isoformat()


def _known_by(row: ReportRow, message: str) -> tuple[str, ...]:
    if row.instance:
        return row.instance
    test = row.codes[0].code if row.codes else row.name
    return ("OBR-7", row.date, test) if row.date else ("MSH-10", message, test)


def _observation(row: ReportRow, subject: str, identifier: str, zone: ZoneInfo) -> Json:
    made = as_observation(row, subject)
    if row.date:
        made["effectiveDateTime"] = fhir_time(row.date, zone)
    made["identifier"] = [{"system": RESULT_SYSTEM, "value": identifier}]
    made["category"] = [_CATEGORY]
    return made
