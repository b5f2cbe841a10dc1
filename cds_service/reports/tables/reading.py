# SPDX-License-Identifier: Apache-2.0
"""A table and what its columns are -> rows of results, by patient."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

from cds_service.errors import RequestError
from cds_service.intake.hemolysis import text_says_so
from cds_service.knowledge.model.code_systems import LOINC, is_well_formed
from cds_service.reports.cells import beside_unit, read_cell, read_printed_range
from cds_service.reports.dates import DayOrder, dates_in, day_order, is_date
from cds_service.reports.numbers import DecimalMark, decimal_mark
from cds_service.reports.report import LabReport, ReportPatient, ReportRow, TestCode, by_patient
from cds_service.reports.tables.grid import Grid
from cds_service.reports.tables.mapping import Columns, Role, propose, role_of
from cds_service.reports.vocabulary import LABELS, SEXES, names_fluid, plain_words

_NO_HEADINGS: Final = (
    "Expected a table with headings for tests and values. With --columns you say what each is."
)
_STATUSES: Final = {
    **dict.fromkeys(("final", "f", "endbefund", "definitif", "definitivo"), "final"),
    **dict.fromkeys(
        ("preliminary", "prelim", "p", "vorlaufig", "provisoire", "provisional"), "preliminary"
    ),
    **dict.fromkeys(("corrected", "c", "korrigiert", "corrige", "corregido"), "corrected"),
    **dict.fromkeys(("amended", "a"), "amended"),
    **dict.fromkeys(("cancelled", "canceled", "x", "storniert", "annule", "anulado"), "cancelled"),
    **dict.fromkeys(("entered in error", "d", "w"), "entered-in-error"),
    **dict.fromkeys(("registered", "pending", "i", "o"), "registered"),
}
_FIGURES: Final = re.compile(r"\d{1,7}(?:[.,]\d+)?")
_WITHOUT_FIGURES: Final[tuple[Role, ...]] = ("test", "unit", "range", "flag", "collected", "status")


def proposed_columns(grid: Grid) -> Columns:
    """What the columns are by their headings; raises `RequestError` if they do not say it."""
    columns = propose(grid)
    if columns is None:
        raise RequestError(_NO_HEADINGS)
    return columns


def read_table(grid: Grid, columns: Columns) -> LabReport:
    """The rows of a table; raises `RequestError` if there is none."""
    return _Reader(grid, columns).report()


Row: TypeAlias = tuple[str, ...]


class _Test(NamedTuple):
    """What is measured; `is_doubtful` says that cells may stand in wrong columns."""

    name: str
    code: str
    unit: str
    is_doubtful: bool


class _Reader:
    """Reads one table. A comma, and the order of day and month, are decided about once for it."""

    def __init__(self, grid: Grid, columns: Columns) -> None:
        self._columns = columns
        self._rows = grid[columns.headings + 1 :]
        everything = "\n".join(" ".join(row) for row in grid)
        self._order: DayOrder | None = day_order(everything)
        numeric = [place for role in _NUMERIC for place in columns.of(role)]
        self._mark: DecimalMark | None = decimal_mark(
            row[place] for row in self._rows for place in numeric if place < len(row)
        )
        self._labelled = dict(_labelled(grid[: max(columns.headings, 0)]))

    def report(self) -> LabReport:
        """The rows by patient, in the order of the table."""
        patients = by_patient(self._found())
        if not patients:
            raise RequestError("Expected at least one row with a test and a value.")
        columns = zip(self._columns.names, self._columns.roles, strict=True)
        return LabReport("table", patients, tuple(columns))

    def _found(self) -> Iterator[tuple[ReportPatient, ReportRow]]:
        section = ""
        for row in self._rows:
            filled = [cell for cell in row if cell]
            if len(filled) == 1 and row[0]:  # a line between the results, such as `Urine`
                section = row[0] if names_fluid(row[0]) else ""
                continue
            for result in self._results(row, section):
                yield self._patient(row), result

    def _text(self, row: Row, role: Role) -> str:
        """The first cell of a role that is not empty, or what a label above the table says."""
        cells = (row[place] for place in self._columns.of(role) if place < len(row))
        return next(filter(None, cells), self._labelled.get(role, ""))

    def _results(self, row: Row, section: str) -> Iterator[ReportRow]:
        """A result for each column of values."""
        columns = self._columns
        day = self._text(row, "collected")
        for place in columns.of("results of the heading"):
            if place < len(row) and row[place]:
                name, _, unit = columns.names[place].rstrip(")] ").replace("[", "(").partition("(")
                test = _Test(name.strip(), "", unit.strip(), self._is_too_long(row))
                yield self._result(row, test, row[place], day, section)
        name, code = self._text(row, "test"), self._text(row, "code")
        if not name and not code:
            return
        values = columns.of("value")
        dated = all(is_date(columns.names[place]) for place in values)
        test = _Test(name or code, code, self._text(row, "unit"), self._is_too_long(row))
        if len(values) > 1 and not dated:
            test = test._replace(is_doubtful=True)
        for place in values:
            text = row[place] if place < len(row) else ""
            if text or len(values) == 1:
                heading = columns.names[place]
                yield self._result(row, test, text, heading if dated and heading else day, section)

    def _result(self, row: Row, test: "_Test", text: str, day: str, section: str) -> ReportRow:
        cell = read_cell(f"{self._text(row, 'comparator')}{text}", self._mark)
        cell = beside_unit(cell, test.unit)
        specimen = self._text(row, "specimen")
        specimen = specimen if names_fluid(specimen) else section
        doubt = cell.doubt
        if cell.value is not None and specimen:
            doubt = "not-in-blood"
        elif cell.value is not None and (test.is_doubtful or self._is_shifted(row)):
            doubt = "place-unclear"
        return ReportRow(
            name=test.name,
            codes=_codes(test.code),
            text=text,
            value=None if doubt else cell.value,
            doubt=doubt,
            unit=test.unit or cell.unit,
            range_text=self._range_text(row),
            range=read_printed_range(self._range_text(row), self._mark),
            flag=self._text(row, "flag") or cell.flag,
            date=self._day(day),
            status=self._status(row),
            specimen=specimen,
            hemolyzed=any(text_says_so(one) for one in row),
        )

    def _is_too_long(self, row: Row) -> bool:
        """Whether a cell was cut in two, as `0,67` is where commas stand between the cells."""
        return len(row) > len(self._columns.roles)

    def _is_shifted(self, row: Row) -> bool:
        """Whether a number stands where none belongs: the rest of a value that was cut in two."""
        return any(
            _FIGURES.fullmatch(row[place]) is not None
            for role in _WITHOUT_FIGURES
            for place in self._columns.of(role)
            if place < len(row)
        )

    def _range_text(self, row: Row) -> str:
        sent = self._text(row, "range")
        low, high = self._text(row, "low"), self._text(row, "high")
        if sent or not (low or high):
            return sent
        if low and high:
            return f"{low} - {high}"
        return f">={low}" if low else f"<={high}"

    def _day(self, text: str) -> str | None:
        dates = tuple(dates_in(text, self._order))
        return dates[0].iso if len(dates) == 1 else None

    def _status(self, row: Row) -> str:
        sent = self._text(row, "status")
        # A table without a column for it holds results that somebody was given: they are final.
        return _STATUSES.get(" ".join(plain_words(sent)), "unknown") if sent else "final"

    def _patient(self, row: Row) -> ReportPatient:
        born = self._day(self._text(row, "birth date"))
        return ReportPatient(
            id=self._text(row, "patient id"),
            name=self._text(row, "patient name"),
            birth_date=born.partition("T")[0] if born else None,
            sex=SEXES.get(plain_words(self._text(row, "sex"))),
        )


_NUMERIC: Final[tuple[Role, ...]] = ("value", "results of the heading", "range", "low", "high")


def _codes(code: str) -> tuple[TestCode, ...]:
    return (TestCode(system=LOINC, code=code),) if is_well_formed(LOINC, code) else ()


def _labelled(rows: Grid) -> Iterator[tuple[str, str]]:
    """What stands above the table behind labels, such as `Patient;Anna Muster`, by its role."""
    for row in rows:
        cells = [part for cell in row for part in cell.split(":", 1)]
        for label, text in pairwise(cells):
            role = role_of(label)
            if plain_words(label) in LABELS and role != "not read" and text.strip():
                yield role, text.strip()
