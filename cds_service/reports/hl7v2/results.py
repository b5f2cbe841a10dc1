# SPDX-License-Identifier: Apache-2.0
"""Messages with results (ORU) -> rows, by HL7's own mapping of v2 to FHIR where it has one.

https://hl7.org/fhir/uv/v2mappings. It leaves several statuses of a result open; see `_STATUSES`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from cds_service.copying import replace
from cds_service.errors import RequestError
from cds_service.knowledge.model.code_systems import LOINC, SNOMED
from cds_service.reports.hl7v2.messages import Segment, read_messages
from cds_service.reports.hl7v2.times import iso_time, zone_of
from cds_service.reports.hl7v2.values import read_observation_value, read_unit
from cds_service.reports.numbers import DecimalMark, decimal_mark, read_range
from cds_service.reports.remarks import says_hemolyzed
from cds_service.reports.report import (
    LabReport,
    PatientReport,
    ReportPatient,
    ReportRow,
    TestCode,
    by_patient,
)
from cds_service.reports.vocabulary import are_of_another_specimen

_WITHDRAWN: Final = "entered-in-error"
_SYSTEMS: Final = {"LN": LOINC, "LOINC": LOINC, "SCT": SNOMED, "SNM3": SNOMED}
# The tables of SPM-4 and OBR-15, which count where no system is named.
_SPECIMEN_TYPES: Final = "HL70487"
_SPECIMEN_SOURCES: Final = "HL70070"
_SPECIMEN_SYSTEMS: Final = {_SPECIMEN_TYPES, _SPECIMEN_SOURCES, *_SYSTEMS}
# Table 0085. HL7's map has A, C, D, F, P, W and X; R and S are results that may change still, V and
# U ones that are final; B adds to a final one; of I, N and O there is no result.
_STATUSES: Final = {
    "A": "amended",
    "B": "final",
    "C": "corrected",
    "D": _WITHDRAWN,
    "F": "final",
    "I": "registered",
    "N": "cancelled",
    "O": "registered",
    "P": "preliminary",
    "R": "preliminary",
    "S": "preliminary",
    "U": "final",
    "V": "final",
    "W": _WITHDRAWN,
    "X": "cancelled",
}
# Table 0123, of the whole request (OBR-25), for a result that has none of its own.
_REPORT_STATUSES: Final = {
    "C": "corrected",
    "F": "final",
    "P": "preliminary",
    "R": "preliminary",
    "X": "cancelled",
}
_SEXES: Final = {
    "F": "female",
    "M": "male",
    "O": "other",
    "A": "other",
    "N": "other",
    "U": "unknown",
}
# Table 0203, PID-3.5: an account and a visit, which a patient has many of.
_OF_VISITS: Final = frozenset(("AN", "VN"))
# Table 0369: blind samples, calibrators, controls, tests of proficiency, and samples of several.
_OF_OTHERS: Final = frozenset("BCEFGLOQV")
_HEMOLYZED: Final = "HEM"  # table 0493
_NULL: Final = '""'


@dataclass(slots=True)
class _Group:
    """An order (OBR) with what belongs to it."""

    order: Segment | None = None
    results: list[tuple[Segment, list[str]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    specimens: list[Segment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all results of an order have in common, `collected` where they do not say it."""

    order: Segment | None
    notes: tuple[str, ...]
    collected: str | None
    specimen: str
    is_hemolyzed: bool
    is_of_another: bool


@dataclass(slots=True)
class _About:
    """A patient (PID) with the orders about them."""

    patient: Segment | None
    groups: list[_Group] = field(default_factory=list)


class _Known:
    """The rows of patients with an id, and where each that stands is among them."""

    def __init__(self) -> None:
        self.rows: list[tuple[ReportPatient, ReportRow]] = []
        self._standing: dict[tuple[object, ...], list[int]] = {}

    def add(self, who: ReportPatient, rows: Iterable[ReportRow]) -> None:
        """Add the rows of a message; those that it withdraws (D, W) are so in earlier ones too."""
        keyed = [((who.id, *_measured(row)), row) for row in rows]
        withdrawn = {key for key, row in keyed if row.status == _WITHDRAWN}
        for key in withdrawn:
            for place in self._standing.pop(key, ()):
                patient, row = self.rows[place]
                self.rows[place] = patient, replace(row, status=_WITHDRAWN)
        for key, row in keyed:
            if row.status != _WITHDRAWN:
                self._standing.setdefault(key, []).append(len(self.rows))
            self.rows.append((who, row))


def read_results(data: bytes) -> LabReport:
    """The rows of every message, in order, one part for each patient.

    Raises `RequestError` for what is no HL7 v2 or another message than ORU.
    """
    known = _Known()
    nameless: list[PatientReport] = []
    for number, segments in enumerate(read_messages(data), start=1):
        header = segments[0]
        if header.component(9, 1).upper() != "ORU":
            raise RequestError(
                "Expected messages with results (ORU^R01) alone.", f"message {number}: MSH-9"
            )
        zone = zone_of(header.text(7))
        abouts = _abouts(segments)
        mark = _decimal_mark(abouts)
        for about in abouts:
            who = _patient(about.patient)
            rows = tuple(row for group in about.groups for row in _rows(group, zone, mark))
            if who.id:
                known.add(who, rows)
            elif rows:  # of two messages without an id nothing says that they are about one
                nameless.append(PatientReport(who, rows))
    patients = (*by_patient(known.rows), *nameless)
    if not patients:
        raise RequestError("Expected at least one result (segment OBX).")
    return LabReport("hl7v2", patients)


def _measured(row: ReportRow) -> tuple[object, ...]:
    """What was measured when; the text of a code may differ from message to message."""
    codes = tuple((code.system, code.code) for code in row.codes)
    return row.date, codes or row.name


def _abouts(segments: Iterable[Segment]) -> list[_About]:
    abouts: list[_About] = []
    group: _Group | None = None
    for segment in segments:
        if segment.name == "PID":
            abouts.append(_About(segment))
            group = None
        elif segment.name in {"OBR", "OBX", "SPM", "NTE"}:
            if not abouts:
                abouts.append(_About(None))
            if segment.name == "NTE" and group is None:
                continue  # about the patient
            # A specimen can stand before its results, or after them.
            if group is None or segment.name == "OBR":
                group = _Group()
                abouts[-1].groups.append(group)
            _add(segment, group)
    return abouts


def _add(segment: Segment, group: _Group) -> None:
    if segment.name == "OBR":
        group.order = segment
    elif segment.name == "OBX":
        group.results.append((segment, []))
    elif segment.name == "SPM":
        group.specimens.append(segment)
    else:
        notes = group.results[-1][1] if group.results else group.notes
        notes.append(segment.text(3).strip())


def _decimal_mark(abouts: Iterable[_About]) -> DecimalMark | None:
    results = (result for about in abouts for group in about.groups for result, _ in group.results)
    return decimal_mark(text for result in results for text in (result.text(5), result.text(7)))


def _patient(segment: Segment | None) -> ReportPatient:
    if segment is None:
        return ReportPatient()
    # PID-3 holds the identifiers; PID-2 held the one of old versions.
    identifiers = [parts for parts in segment.repetitions(3) if parts[0] not in {"", _NULL}]
    identity = identifiers[0][0].strip() if identifiers else segment.component(2, 1)
    authority = identifiers[0][3:4] if identifiers else ()
    given = " ".join(segment.component(5, number) for number in (2, 3))
    name = " ".join(f"{given} {segment.component(5, 1).partition('&')[0]}".split())
    born = iso_time(segment.component(7, 1))
    return ReportPatient(
        id="" if identity == _NULL else identity,
        authority="".join(authority).strip(),
        name=name.replace(_NULL, "").strip(),
        birth_date=born.partition("T")[0] if born else None,
        sex=_SEXES.get(segment.component(8, 1).upper()),
        identifiers=tuple(
            (parts[0].strip(), "".join(parts[3:4]).strip())
            for parts in identifiers
            if not _OF_VISITS.intersection(part.strip().upper() for part in parts[4:5])
        ),
    )


def _rows(group: _Group, zone: str, mark: DecimalMark | None) -> Iterator[ReportRow]:
    if group.results:
        shared = _shared(group, zone)
        for result, notes in group.results:
            yield _row(shared, result, notes, zone, mark)


def _shared(group: _Group, zone: str) -> _Shared:
    notes = tuple(note for note in group.notes if note)
    return _Shared(
        order=group.order,
        notes=notes,
        collected=_collected(group, zone),
        specimen=_other_specimen(group),
        is_hemolyzed=_is_hemolyzed(group) or any(map(says_hemolyzed, notes)),
        is_of_another=_is_of_another(group),
    )


def _row(
    shared: _Shared, result: Segment, notes: Sequence[str], zone: str, mark: DecimalMark | None
) -> ReportRow:
    names = result.repetitions(3)
    first = names[0] if names else ("",)
    specimen = shared.specimen
    own = tuple(note for note in notes if note)
    unit, ucum = read_unit(result)
    read = read_observation_value(result, mark)
    row = ReportRow(
        name=_name(first),
        codes=tuple(code for parts in names for code in _codes(parts)),
        text=read.text,
        value=read.value,
        doubt=read.doubt,
        unit=unit or read.unit,
        ucum=ucum,
        range_text=_plain(result.text(7)),
        range=read_range(result.text(7), mark),
        flag=_flag(result),
        date=iso_time(result.component(14, 1), zone) or shared.collected,
        status=_status(result, shared.order),
        specimen=specimen,
        hemolyzed=shared.is_hemolyzed or any(map(says_hemolyzed, own)),
        notes=(*own, *shared.notes),
        instance=_instance(result, shared.order),
    )
    if row.value and shared.is_of_another:
        return replace(row, value=None, doubt="of-another")
    return replace(row, value=None, doubt="not-in-blood") if specimen and row.value else row


def _is_of_another(group: _Group) -> bool:
    """Whether a specimen is named as a control or the like (SPM-11, OBR-15.7)."""
    roles = [parts[0] for specimen in group.specimens for parts in specimen.repetitions(11)]
    roles.extend([group.order.component(15, 7)] if group.order is not None else ())
    return any(role.strip().upper() in _OF_OTHERS for role in roles)


def _instance(result: Segment, order: Segment | None) -> tuple[str, ...]:
    """OBX-21 if there is one; else the order (OBR-3, OBR-2), its service, the test and its part."""
    if own := _plain(result.text(21)):
        return ("OBX-21", own)
    numbers = [_plain(order.text(field)) for field in (3, 2)] if order else []
    number = next((place for place, text in enumerate(numbers) if text), None)
    if order is None or number is None:
        return ()
    test = result.component(3, 1) or result.component(3, 2)
    service = order.component(4, 1) or order.component(4, 2)
    return (("OBR-3", "OBR-2")[number], numbers[number], service, test, result.text(4).strip())


def _plain(text: str) -> str:
    return "" if text.strip() == _NULL else text.strip()


def _name(parts: Sequence[str]) -> str:
    """The text of a coded element, or of its other coding, or else a code."""
    texts = [parts[place].strip() for place in (1, 4, 8, 0, 3) if place < len(parts)]
    return next((text for text in texts if text and text != _NULL), "")


def _codes(parts: Sequence[str]) -> tuple[TestCode, ...]:
    found: list[TestCode] = []
    for place in (0, 3):
        code, display, system = (
            parts[at].strip() if at < len(parts) else "" for at in range(place, place + 3)
        )
        if code and code != _NULL:
            known = _SYSTEMS.get(system.upper(), system)
            found.append(TestCode(system=known, code=code, display=display))
    return tuple(found)


def _flag(result: Segment) -> str:
    return ", ".join(flag for parts in result.repetitions(8) if (flag := _plain(parts[0])))


def _collected(group: _Group, zone: str) -> str | None:
    """When all of an order was collected: OBR-7, else SPM-17."""
    sent = [group.order.component(7, 1)] if group.order is not None else []
    drawn = {specimen.component(17, 1).partition("&")[0] for specimen in group.specimens}
    sent.extend(drawn if len(drawn) == 1 else ())
    return next((read for text in sent if (read := iso_time(text, zone))), None)


def _status(result: Segment, order: Segment | None) -> str:
    sent = result.component(11, 1).upper()
    if sent:
        return _STATUSES.get(sent, "unknown")
    return _REPORT_STATUSES.get(order.component(25, 1).upper() if order else "", "unknown")


def _other_specimen(group: _Group) -> str:
    """What was examined, if it is named and is, or may be, none of blood, serum and plasma."""
    sent = [parts for specimen in group.specimens for parts in specimen.repetitions(4)]
    table = _SPECIMEN_TYPES
    if not group.specimens and group.order is not None:
        sent = [_source(parts) for parts in group.order.repetitions(15)]
        table = _SPECIMEN_SOURCES
    for parts in sent:
        texts = [_plain(parts[place]) for place in (1, 4, 8) if place < len(parts)]
        texts = [text for text in texts if text]
        codes = [(code.system or table, code.code) for code in _codes(parts)]
        named = (*texts, *(code for _, code in codes))  # a name may stand in place of a code
        if are_of_another_specimen(named, codes):
            return named[0]
    return ""


def _source(parts: Sequence[str]) -> tuple[str, ...]:
    """The coded element of OBR-15, its first component; many senders write it as the whole field.

    Else the second component has additives and the third any text.
    """
    code, *others = parts[0].split("&")
    beside = [part.split("&")[0] for part in parts[1:3]]
    if others:
        return (code, *others)
    system = beside[1].strip() if len(beside) > 1 else ""
    return (code, *beside[:1], system if system.upper() in _SPECIMEN_SYSTEMS else "")


def _is_hemolyzed(group: _Group) -> bool:
    return any(
        part.strip().upper() == _HEMOLYZED or says_hemolyzed(part)
        for specimen in group.specimens
        for parts in specimen.repetitions(24)
        for part in parts
    )
