# SPDX-License-Identifier: Apache-2.0
"""What a report says, before anything is made of it: its patients, and a row for each result.

Texts stand here as they were printed, but for numbers, which have a point and no separators, and
dates, which are of ISO 8601 and no more exact than the report. A row that a careful reader would
not decide about has no value and says why.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from cds_service.copying import replace
from cds_service.reports.numbers import PrintedRange, PrintedValue

Format: TypeAlias = Literal["hl7v2", "pdf", "picture", "table"]
Doubt: TypeAlias = Literal[
    "no-value",
    "not-a-number",
    "not-one-number",
    "comma-or-separator",
    "several-values",
    "units-differ",
    "not-in-blood",
    "embedded-document",
    "place-unclear",
    "unit-unclear",
    "of-another",
    "struck-out",
    "scanned",
    "scan-unclear",
]
"""Why a row has no value that counts."""

DOUBTS: Final[dict[Doubt, str]] = {
    "no-value": "There is no value.",
    "not-a-number": "The value is a text.",
    "not-one-number": "The value is a ratio, a titre or a range.",
    "comma-or-separator": "The comma or point may stand before decimals or between thousands.",
    "several-values": "There are several values in one row.",
    "units-differ": "It has two units that differ.",
    "not-in-blood": "Its specimen is, or may be, none of blood, serum and plasma.",
    "embedded-document": "It is an embedded document, which is not read.",
    "place-unclear": "Which column the value stands in is not clear.",
    "unit-unclear": "Its unit is not clear: something else stands with it, or a blank is in it.",
    "of-another": "The report names it as that of another person or of a control sample.",
    "struck-out": "Something in its row is struck out.",
    "scanned": "It was read from a picture: compare every sign of it.",
    "scan-unclear": "It was read from a picture, and not surely: enter what stands there.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCode:
    """A code of the test; `system` is FHIR's address of its code system, or what was sent."""

    system: str
    code: str
    display: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a row stands: the page, from 1, and a box in points from its upper left corner."""

    page: int
    x0: float
    top: float
    x1: float
    bottom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One result as printed; `text` is its value with all that stood there.

    `date` is that of the collection. `ucum` is the code of the unit, if the report says it is one.
    `specimen` is set if it is, or may be, none of blood, serum and plasma. `proposed` is what the
    picture of a scanned row seems to say, which is no value before a person has compared it.
    `instance` is by what its laboratory knows the result when it sends it again, such as its order;
    empty if it does not say.
    """

    name: str
    text: str
    codes: tuple[TestCode, ...] = ()
    value: PrintedValue | None = None
    doubt: Doubt | None = None
    unit: str = ""
    ucum: str = ""
    range_text: str = ""
    range: PrintedRange | None = None
    flag: str = ""
    date: str | None = None
    status: str = "unknown"
    specimen: str = ""
    hemolyzed: bool = False
    notes: tuple[str, ...] = ()
    place: Place | None = None
    is_scanned: bool = False
    proposed: PrintedValue | None = None
    instance: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPatient:
    """Who a report says it is about, as far as it says so; `sex` is FHIR's code.

    `authority` is who gave the id: the same id of two hospitals is that of two people.
    `identifiers` are all ids, each with its authority.
    """

    id: str = ""
    authority: str = ""
    name: str = ""
    birth_date: str | None = None
    sex: str | None = None
    identifiers: tuple[tuple[str, str], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class PatientReport:
    """The rows about one patient, in the order of the report."""

    patient: ReportPatient
    rows: tuple[ReportRow, ...]


@dataclass(frozen=True, slots=True)
class LabReport:
    """What a file says; `columns` are the headings of a table with what each was taken for.

    With a `sample`, the first rows of a table whose headings are not known, nothing was read: the
    columns are a proposal.
    """

    format: Format
    patients: tuple[PatientReport, ...]
    columns: tuple[tuple[str, str], ...] = ()
    sample: tuple[tuple[str, ...], ...] = ()


def by_patient(rows: Iterable[tuple[ReportPatient, ReportRow]]) -> tuple[PatientReport, ...]:
    """The rows of each patient, in the order in which patients come first.

    The same id is the same patient, unless the date of birth or the sex says otherwise; what one
    row leaves out of them another may have. Without an id all that is known has to be equal.
    """
    people: list[ReportPatient] = []
    found: list[list[ReportRow]] = []
    places: dict[object, list[int]] = {}  # of those who may be the same
    for who, row in rows:
        alike = places.setdefault((who.id, who.authority) if who.id else who, [])
        place = next((n for n in alike if not _is_contradicted(people[n], who)), len(people))
        if place == len(people):
            alike.append(place)
            people.append(who)
            found.append([])
        else:
            people[place] = _completed(people[place], who)
        found[place].append(row)
    pairs = zip(people, found, strict=True)
    return tuple(PatientReport(who, tuple(own)) for who, own in pairs)


def _is_contradicted(patient: ReportPatient, other: ReportPatient) -> bool:
    pairs = ((patient.birth_date, other.birth_date), (patient.sex, other.sex))
    return any(first and second and first != second for first, second in pairs)


def _completed(patient: ReportPatient, other: ReportPatient) -> ReportPatient:
    return replace(
        patient,
        name=patient.name or other.name,
        birth_date=patient.birth_date or other.birth_date,
        sex=patient.sex or other.sex,
    )
