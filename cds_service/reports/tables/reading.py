# SPDX-License-Identifier: Apache-2.0
"""A table and what its columns are -> rows of results, by patient."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from cds_service.errors import RequestError
from cds_service.knowledge.model.code_systems import LOINC, is_well_formed
from cds_service.plain_words import plain_words
from cds_service.reports.cells import beside_unit, read_cell, read_printed_range
from cds_service.reports.dates import (
    DayOrder,
    birth_date_in,
    dates_in,
    day_order,
    has_date,
    is_date,
    without_dates,
)
from cds_service.reports.numbers import DecimalMark, decimal_mark
from cds_service.reports.remarks import says_hemolyzed, status_of_result
from cds_service.reports.report import LabReport, ReportPatient, ReportRow, TestCode, by_patient
from cds_service.reports.report_headings import subject_of
from cds_service.reports.tables.grid import ExactNumber, Grid, Row
from cds_service.reports.tables.guessing import guess_columns, sample_of
from cds_service.reports.tables.labels import ONE_ALONE, labelled_in, several_of
from cds_service.reports.tables.mapping import Columns, Role, as_written, propose
from cds_service.reports.units import UnitCell, may_be_unit, read_unit_cell
from cds_service.reports.vocabulary import (
    LABELS,
    SEXES,
    are_of_another_specimen,
    names_blood,
    names_fluid,
)

_NO_HEADINGS: Final = (
    "Expected a table with headings for tests and values. A file of columns says what each is: see "
    "--propose and --columns."
)
_OTHER_HEADINGS: Final = "Expected a table with the headings of the file of columns."
_ANOTHER: Final = "Expected one table, about one patient and day of collection. This one has"
_APART: Final = "Read what belongs to each as a file of its own."
_FIGURES: Final = re.compile(r"\d{1,7}(?:[.,]\d+)?")
_FIGURES_FIRST: Final = re.compile(
    r"(?!10\s)\d{1,7}\s+\S"
)  # before a unit, of which 10 can be a part
_SIGN: Final = re.compile(r"[<>≤≥=]{1,2}")
_WITHOUT_FIGURES: Final[tuple[Role, ...]] = ("test", "unit", "range", "flag", "collected", "status")


def columns_of(grid: Grid, written: Mapping[str, str] | Sequence[str] | None) -> Columns:
    """What the columns are by what a person has written, else by their headings.

    Raises `RequestError` if no row has these headings, or if the headings do not say it.
    """
    columns = propose(grid) if written is None else as_written(grid, written)
    if columns is None:
        raise RequestError(_NO_HEADINGS if written is None else _OTHER_HEADINGS)
    return columns


def read_table(grid: Grid, columns: Columns) -> LabReport:
    """The rows of a table; raises `RequestError` if there is none."""
    return _Reader(grid, columns).report()


def proposal_for(grid: Grid) -> LabReport | None:
    """What its columns may be, for a table whose headings do not say it; else `None`."""
    if propose(grid) is not None:
        return None
    columns = guess_columns(grid)
    if columns is None:
        return None
    pairs = tuple(zip(columns.names, columns.roles, strict=True))
    return LabReport("table", (), pairs, sample_of(grid, columns))


class _Section(NamedTuple):
    """What headings between the results say of those below."""

    fluid: str = ""
    is_of_other: bool = False
    day: str = ""  # a heading with a date

    def after(self, heading: str, begun: str) -> "_Section":
        """The section that a heading begins; `begun` is what it may say of the specimen."""
        subject = subject_of(heading) if heading else None
        found = self if subject is None else self._replace(is_of_other=subject == "other")
        if has_date(heading) and LABELS.get(plain_words(without_dates(heading))) is None:
            found = found._replace(day=heading)
        if names_fluid(begun):
            return found._replace(fluid=begun)
        if names_blood(begun, itself=True):
            return found._replace(fluid="")  # `Chemistry` below `Urine` may be that of urine
        return found


class _Test(NamedTuple):
    """What is measured; `is_doubtful` says that cells may stand in wrong columns."""

    name: str
    code: str
    unit: str
    flag: str
    is_doubtful: bool
    has_clear_unit: bool = True


class _Shared(NamedTuple):
    """What all results of a row have in common."""

    row: Row
    section: str
    names_another: bool
    is_hemolyzed: bool


class _Reader:
    """Reads one table. A comma, and the order of day and month, are decided about once for it."""

    def __init__(self, grid: Grid, columns: Columns) -> None:
        self._columns = columns
        self._separator = grid.separator
        self._rows = grid.rows[columns.headings + 1 :]
        everything = "\n".join(" ".join(row) for row in grid.rows)
        self._order: DayOrder | None = day_order(everything)
        numeric = [place for role in _NUMERIC for place in columns.of(role)]
        self._mark: DecimalMark | None = decimal_mark(
            row[place]
            for row in self._rows
            for place in numeric
            if place < len(row) and not isinstance(row[place], ExactNumber)
        )
        self._is_cut = any(map(self._is_too_long, self._rows))
        alone = (
            filled[0] for row in grid.rows if len(filled := [cell for cell in row if cell]) == 1
        )
        self._is_hemolyzed = any(map(says_hemolyzed, alone))  # all that was measured
        self._labelled: dict[Role, list[str]] = {}
        above = grid.rows[: max(columns.headings, 0)]
        for row in above:
            for role, text in labelled_in(row):
                self._labelled.setdefault(role, []).append(text)
        if several := several_of(self._labelled, self._order):
            raise RequestError(f"{_ANOTHER} more than one {ONE_ALONE[several]} above it. {_APART}")
        self._at = _Section()
        for row in above:
            self._at = self._at.after(_heading(row), "")

    def report(self) -> LabReport:
        """The rows by patient, in the order of the table."""
        patients = by_patient(self._found())
        if not patients:
            raise RequestError("Expected at least one row with a test and a value.")
        columns = zip(self._columns.names, self._columns.roles, strict=True)
        return LabReport("table", patients, tuple(columns))

    def _found(self) -> Iterator[tuple[ReportPatient, ReportRow]]:
        for row in self._rows:
            if row == self._columns.names:  # the headings, once more
                continue
            begun = self._section(row)
            if begun is None and (subject_of(_heading(row)) is None or self._is_of_one(row)):
                patient = self._patient(row)
                for result in self._results(row, self._at.fluid):
                    yield patient, result
                continue
            self._at = self._at.after(_heading(row), begun or "")

    def _is_of_one(self, row: Row) -> bool:
        """Whether a row is no heading: of many cells, or with the patient's name before a test."""
        names = self._columns.of("patient name")
        is_of_test = bool(self._text(row, "test") or self._text(row, "code"))
        return len(_filled(row)) > _FEW or (0 in names and is_of_test)

    def _section(self, row: Row) -> str | None:
        """The text of a line between the results, such as `Urine`; `None` if it is none.

        Raises `RequestError` for one with which another table begins.
        """
        filled = _filled(row)
        if not filled or not row[0]:
            return None
        labelled = dict(labelled_in(row)) if len(filled) <= 2 else {}
        for role in ONE_ALONE:
            if role in labelled and labelled[role] not in self._labelled.get(role, ()):
                where = "between its rows that does not stand above them"
                raise RequestError(f"{_ANOTHER} a {ONE_ALONE[role]} {where}. {_APART}")
        if labelled:
            return labelled.get("specimen", "")
        return row[0] if len(filled) == 1 else None

    def _text(self, row: Row, role: Role) -> str:
        """What the cells of a role say, or a label above the table; two that differ say both."""
        cells = (row[place] for place in self._columns.of(role) if place < len(row))
        return _joined(cells) or _joined(self._labelled.get(role, ()))

    def _unit(self, row: Row) -> UnitCell:
        """What stands in the cell of the unit, which is the unit where that is not clear.

        Of several columns it is that behind the value: another is that of another value.
        """
        units, values = self._columns.of("unit"), self._columns.of("value")
        behind = [place for place in units if values and place > values[0]] or list(units)
        text = row[behind[0]] if behind and behind[0] < len(row) else ""
        cell = read_unit_cell(text)
        return cell if cell.is_clear else UnitCell(text, (), is_clear=False)

    def _results(self, row: Row, section: str) -> Iterator[ReportRow]:
        """A result for each column of values."""
        columns = self._columns
        shared = _Shared(row, section, self._names_another(row), any(map(says_hemolyzed, row)))
        day = self._text(row, "collected")
        for place in columns.of("results of the heading"):
            if place < len(row) and row[place]:
                name, _, unit = columns.names[place].rstrip(")] ").replace("[", "(").partition("(")
                test = _Test(name.strip(), "", unit.strip(), "", self._is_too_long(row))
                yield self._result(shared, test, row[place], day)
        name, code = self._text(row, "test"), self._text(row, "code")
        if not name and not code:
            return
        values = columns.of("value")
        dated = all(is_date(columns.names[place]) for place in values)
        cell = self._unit(row)
        is_doubtful = self._is_too_long(row) or (len(values) > 1 and not dated)
        flags = " ".join(cell.flags)
        test = _Test(name or code, code, cell.unit, flags, is_doubtful, cell.is_clear)
        for place in values:
            text = row[place] if place < len(row) else ""
            if text or len(values) == 1:
                heading = columns.names[place]
                yield self._result(shared, test, text, heading if dated and heading else day)

    def _result(self, shared: _Shared, test: _Test, text: str, day: str) -> ReportRow:
        row = shared.row
        mark = "." if isinstance(text, ExactNumber) else self._mark
        cell = read_cell(f"{self._text(row, 'comparator')}{text}", mark)
        cell = beside_unit(cell, test.unit)
        specimen = self._text(row, "specimen")
        if not are_of_another_specimen([specimen], []):
            specimen = test.name if names_fluid(test.name) else shared.section
        doubt = cell.doubt
        if cell.value is not None and specimen:
            doubt = "not-in-blood"
        elif cell.value is not None and (self._at.is_of_other or shared.names_another):
            doubt = "of-another"
        elif cell.value is not None and (test.is_doubtful or self._is_shifted(row, text)):
            doubt = "place-unclear"
        elif cell.value is not None and not test.has_clear_unit:
            doubt = "unit-unclear"
        return ReportRow(
            name=test.name,
            codes=_codes(test.code),
            text=str(text),
            value=None if doubt else cell.value,
            doubt=doubt,
            unit=test.unit or cell.unit,
            range_text=self._range_text(row),
            range=read_printed_range(self._range_text(row), self._mark_of_limits(row)),
            flag=_joined((self._text(row, "flag") or cell.flag, test.flag)),
            date=self._day(day) if self._is_dated(row, day) else None,
            status=self._status(row),
            specimen=specimen,
            hemolyzed=self._is_hemolyzed or shared.is_hemolyzed,
        )

    def _names_another(self, row: Row) -> bool:
        """Whether a cell says that the row is somebody else's, or of a control sample."""
        own = {*self._columns.of("patient name"), *self._columns.of("patient id")}
        cells = (cell for place, cell in enumerate(row) if place not in own)
        return any(subject_of(cell, is_cell=True) == "other" for cell in cells if cell)

    def _is_dated(self, row: Row, day: str) -> bool:
        """Whether the date is that of the row, and not of a label that a heading contradicts."""
        known, places = self._at.day, self._columns.of("collected")
        if not known or day not in self._labelled.get("collected", ()):
            return True
        has_own = any(place < len(row) and row[place] for place in places)
        return has_own or self._day(known) == self._day(day)

    def _is_too_long(self, row: Row) -> bool:
        """Whether a cell was cut in two, as `0,67` is where commas stand between the cells."""
        return len(row) > len(self._columns.roles)

    def _is_shifted(self, row: Row, text: str) -> bool:
        """Whether the value may stand in the wrong column.

        The rest of one that was cut in two is a number where none belongs. Of cells with wide
        gaps between them an empty one cannot be seen; a unit behind the value shows its place. A
        sign such as < in a column that is not read is a part of it.
        """
        cells = {
            role: [row[place] for place in self._columns.of(role) if place < len(row)]
            for role in _WITHOUT_FIGURES
        }
        if any(_FIGURES.fullmatch(cell) for found in cells.values() for cell in found):
            return True
        if any(map(_FIGURES_FIRST.match, cells["unit"])):
            return True
        unread = (row[place] for place in self._columns.of("not read") if place < len(row))
        if any(map(_SIGN.fullmatch, unread)):
            return True
        if self._separator == "," and text.isdigit() and self._mark is None:
            place = row.index(text) + 1
            rest = row[place] if place < len(row) else ""
            return rest.isdigit() and (self._is_cut or text == "0")
        if self._separator is None and len(row) < len(self._columns.roles):
            return not may_be_unit(self._unit(row).unit) or not self._is_unit_next()
        return False

    def _is_unit_next(self) -> bool:
        """Whether the column behind that of the values is that of units."""
        values = self._columns.of("value")
        return any(place + 1 in self._columns.of("unit") for place in values[-1:])

    def _range_text(self, row: Row) -> str:
        sent = self._text(row, "range")
        low, high = self._text(row, "low"), self._text(row, "high")
        if sent or not (low or high):
            return sent
        if low and high:
            return f"{low} - {high}"
        return f">={low}" if low else f"<={high}"

    def _mark_of_limits(self, row: Row) -> DecimalMark | None:
        """A point where the limits are numbers of a workbook."""
        places = [place for role in _LIMITS for place in self._columns.of(role)]
        cells = [row[place] for place in places if place < len(row) and row[place]]
        exact = bool(cells) and all(isinstance(cell, ExactNumber) for cell in cells)
        return "." if exact and not self._text(row, "range") else self._mark

    def _day(self, text: str) -> str | None:
        dates = tuple(dates_in(text, self._order))
        return dates[0].iso if len(dates) == 1 else None

    def _status(self, row: Row) -> str:
        sent = self._text(row, "status")
        # A table without a column for it holds results that somebody was given: they are final.
        return status_of_result(sent) if sent else "final"

    def _patient(self, row: Row) -> ReportPatient:
        return ReportPatient(
            id=self._text(row, "patient id"),
            name=self._text(row, "patient name"),
            birth_date=birth_date_in(self._text(row, "birth date"), self._order),
            sex=SEXES.get(plain_words(self._text(row, "sex"))),
        )


_FEW: Final = 2  # cells of a row that is a heading
_LIMITS: Final[tuple[Role, ...]] = ("low", "high")
_NUMERIC: Final[tuple[Role, ...]] = ("value", "results of the heading", "range", "low", "high")


def _filled(row: Row) -> list[str]:
    return [cell for cell in row if cell]


def _heading(row: Row) -> str:
    """The text of a row that may be a heading: its only cell, or the first of two as a label."""
    filled = _filled(row)
    if not filled or len(filled) > _FEW or not row[0]:
        return ""
    return filled[0] if len(filled) == 1 else f"{filled[0].rstrip(': ')}: {filled[1]}"


def _codes(code: str) -> tuple[TestCode, ...]:
    return (TestCode(system=LOINC, code=code),) if is_well_formed(LOINC, code) else ()


def _joined(texts: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(text for text in texts if text))
