# SPDX-License-Identifier: Apache-2.0
"""Rows that a person has compared with the report, and corrected where they were read wrongly.

Numbers are written with a point before decimals here, so that nothing stays open.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, encode

from cds_service.errors import RequestError
from cds_service.knowledge.model.code_systems import LOINC
from cds_service.knowledge.model.pack import Marker
from cds_service.reports.numbers import OpenMark, PrintedRange, PrintedValue, read_range, read_value
from cds_service.reports.observations import range_in_words
from cds_service.reports.read import RecognizedRow
from cds_service.reports.report import Place, ReportPatient, ReportRow, TestCode

_DAY: Final = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")
_SEXES: Final = frozenset(("female", "male", "other", "unknown"))
_ISO_TIME: Final = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?)?)?")


class RowAsRead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person cannot change of a row; it goes to the page and comes back with the form.

    `printed` is its value as printed, `why` says why it is not certain, and `number` is what the
    row is called on the picture of the page.
    """

    name: str
    printed: str = ""
    why: str = ""
    place: Place | None = None
    number: int = 0
    is_scanned: bool = False
    marker: str = ""
    codes: tuple[tuple[str, str], ...] = ()
    status: str = "final"
    hemolyzed: bool = False
    specimen: str = ""


_ROW: Final[Decoder[RowAsRead]] = Decoder(RowAsRead)


class RowEntry(Struct, frozen=True, kw_only=True):
    """A row as it stands in a form; `is_confirmed` says that a person has compared it."""

    as_read: RowAsRead
    marker: str
    value: str
    unit: str
    range: str
    date: str
    is_confirmed: bool = False


def entry_of(recognized: RecognizedRow, number: int, *, is_exact: bool) -> RowEntry:
    """A row to be confirmed; one of an exact format, which is certain, is so from the beginning."""
    row = recognized.row
    value = row.proposed if row.is_scanned else row.value if recognized.is_certain else None
    unread = "" if row.is_scanned else row.text
    codes = tuple((code.system, code.code) for code in row.codes)
    return RowEntry(
        as_read=RowAsRead(
            name=row.name,
            printed=row.text,
            why=recognized.why,
            place=row.place,
            number=number,
            is_scanned=row.is_scanned,
            marker=recognized.marker or "",
            codes=codes,
            status=row.status,
            hemolyzed=row.hemolyzed,
            specimen=row.specimen,
        ),
        marker=recognized.marker or "",
        value=f"{value.comparator or ''}{value.number}" if value else unread,
        unit=row.unit,
        range=range_in_words(row.range) if row.range else "" if row.is_scanned else row.range_text,
        date=row.date or "",
        is_confirmed=is_exact and recognized.is_certain and recognized.marker is not None,
    )


def kept_in_form(row: RowAsRead) -> str:
    """The text for the form."""
    return encode(row).decode()


def read_from_form(text: str) -> RowAsRead:
    """The same back; raises `RequestError`."""
    try:
        return _ROW.decode(text)
    except DecodeError:
        raise RequestError("Expected a row of the page before.") from None


def check_patient(who: ReportPatient) -> None:
    """Raise `RequestError` for a date of birth, or a sex, that FHIR does not have."""
    if who.birth_date is not None and not _DAY.fullmatch(who.birth_date):
        raise RequestError("Expected a date such as 1980-01-31.", "date of birth")
    if who.sex is not None and who.sex not in _SEXES:
        raise RequestError("Expected female, male, other or unknown.", "sex")


def confirmed_row(entry: RowEntry, markers: Mapping[str, Marker]) -> ReportRow:
    """The row that counts; raises `RequestError` for what cannot be read in one way only."""
    as_read = entry.as_read
    where = as_read.name
    if entry.date and not _ISO_TIME.fullmatch(entry.date):
        raise RequestError("Expected a date such as 2026-03-05.", where)
    if not entry.date:
        raise RequestError("Expected the date of the sample.", where)
    own = entry.marker == as_read.marker
    codes = tuple(TestCode(system=system, code=code) for system, code in as_read.codes)
    return ReportRow(
        name=as_read.name if own else markers[entry.marker].title,
        text=entry.value,
        codes=codes if own else _codes(markers[entry.marker]),
        value=_value(entry.value, where),
        unit=entry.unit,
        range_text=entry.range,
        range=_range(entry.range, where),
        date=entry.date.replace(" ", "T"),
        status=as_read.status,
        specimen=as_read.specimen if own else "",
        hemolyzed=as_read.hemolyzed,
    )


def confirmed_rows(
    entries: Sequence[RowEntry], markers: Mapping[str, Marker]
) -> tuple[ReportRow, ...]:
    """The confirmed rows of known markers; raises `RequestError` if there is none."""
    chosen = [entry for entry in entries if entry.is_confirmed and entry.marker in markers]
    if not chosen:
        raise RequestError("Expected at least one row that was compared and ticked.")
    return tuple(confirmed_row(entry, markers) for entry in chosen)


def _codes(marker: Marker) -> tuple[TestCode, ...]:
    return tuple(
        TestCode(system=LOINC, code=code.code) for code in marker.codes if code.system == LOINC
    )[:1]


def _value(text: str, where: str) -> PrintedValue:
    try:
        value = read_value(text, ".")
    except OpenMark:
        value = None
    if value is None or value.rest:
        raise RequestError("Expected a number with a point before decimals, such as 0.67.", where)
    return value


def _range(text: str, where: str) -> PrintedRange | None:
    if not text:
        return None
    read = read_range(text, ".")
    if read is None:
        raise RequestError("Expected a range such as 7-40 or <40, or none.", where)
    return read
