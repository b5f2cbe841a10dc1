# SPDX-License-Identifier: Apache-2.0
"""The rows of a message of HL7 v2 -> Observations that a FHIR server can keep.

Each comes with what its laboratory knows it by, so that a correction, or a message that is sent
again, finds the result that it is about (`message_states.py`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec.json import Encoder, encode

from cds_service.iso_times import moment_of
from cds_service.reports.hl7v2.messages import read_messages
from cds_service.reports.hl7v2.times import iso_time
from cds_service.reports.observations import as_observation
from cds_service.reports.report import ReportRow
from cds_service.subscriptions.message_order import NO_VALUE

_CATEGORY: Final = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": "laboratory",
        }
    ]
}
_NOT_CONTENT: Final = frozenset(("effectiveDateTime", "status", "subject"))
_ENCODER: Final = Encoder(order="sorted")
_WITHOUT_SECONDS: Final = len("2026-03-05T09:30")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageResult:
    """A result of a message, with the identifier that its laboratory uses.

    What is known by the same is one result, or several of other times. `number` counts those of
    one message from 1. `sent` is the time of the message (MSH-7), with its zone if it was sent.
    """

    known_by: tuple[str, ...]
    number: int
    observation: Json
    sent: str = ""

    @property
    def series(self) -> str:
        """What all results have in common that are known by the same."""
        return _digest(self.known_by)

    @property
    def name(self) -> str:
        """The identifier of the first result that is known so, of this number in its message."""
        return self.numbered(self.number)

    def numbered(self, number: int) -> str:
        """The identifier of such a result with another number."""
        return _digest((*self.known_by, number))

    @property
    def status(self) -> str:
        """The status of the result."""
        return str(self.observation["status"])

    @property
    def collected(self) -> str:
        """The time of the result, empty if it has none."""
        return str(self.observation.get("effectiveDateTime", ""))

    @property
    def content(self) -> str:
        """A digest of all that it says but its status and time, which is no other result's."""
        kept = {key: value for key, value in self.observation.items() if key not in _NOT_CONTENT}
        mark = NO_VALUE if "dataAbsentReason" in kept else ""
        return f"{mark}{sha256(_ENCODER.encode([self.series, kept])).hexdigest()[:20]}"


def results_of_message(
    message: bytes,
    rows: Sequence[ReportRow],
    *,
    subject: str,
    patient: Sequence[str],
    zone: ZoneInfo,
) -> tuple[MessageResult, ...]:
    """The results of a message about one patient, in its order.

    A result is known by its sender, its patient, its order and its test, or without an order by its
    time; of one that has neither nothing but its message is known. The patient is part of it, so
    that an order number that is used twice never moves a result to somebody else.
    """
    ((header, *_),) = read_messages(message.partition(b"\r")[0])
    sender = (header.component(3, 1), header.component(4, 1))
    sent = iso_time(header.component(7, 1)) or ""
    found: list[MessageResult] = []
    times: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        known_by = (*sender, *patient, *_known_by(row, header.text(10)))
        times[known_by] += 1
        found.append(
            MessageResult(
                known_by=known_by,
                number=times[known_by],
                observation=_observation(row, subject, zone),
                sent=sent,
            )
        )
    return tuple(found)


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
    read = moment_of(time)
    return (read if read.tzinfo is not None else read.replace(tzinfo=zone)).isoformat()


def _known_by(row: ReportRow, message: str) -> tuple[str, ...]:
    if row.instance:
        return row.instance
    test = row.codes[0].code if row.codes else row.name
    return ("OBR-7", row.date, test) if row.date else ("MSH-10", message, test)


def _digest(parts: Sequence[str | int]) -> str:
    return sha256(encode(parts)).hexdigest()[:40]


def _observation(row: ReportRow, subject: str, zone: ZoneInfo) -> Json:
    made = as_observation(row, subject)
    if row.date:
        made["effectiveDateTime"] = fhir_time(row.date, zone)
    made["category"] = [_CATEGORY]
    return made
