# SPDX-License-Identifier: Apache-2.0
"""A PDF, or pictures of pages -> the rows of its tables of results.

A table is found by its heading line, and what stands in it by place. A row of which a column is in
doubt has no value.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cds_service.clock import Deadline
from cds_service.errors import RequestError
from cds_service.reports.cells import (
    CellValue,
    beside_unit,
    read_cell,
    read_printed_range,
    split_unit,
    unit_behind,
)
from cds_service.reports.dates import DayOrder, dates_in, day_order, has_date, is_span
from cds_service.reports.numbers import DecimalMark, decimal_mark
from cds_service.reports.pdf.bare_doubts import doubt_earlier, doubt_twice
from cds_service.reports.pdf.columns import Column, Panel, read_panels
from cds_service.reports.pdf.contents import kind_of
from cds_service.reports.pdf.fields import read_fields
from cds_service.reports.pdf.headings import CollectedLabel, read_headings
from cds_service.reports.pdf.hemolysis import are_hemolyzed
from cds_service.reports.pdf.labels import Labelled, labelled_texts, patient_of
from cds_service.reports.pdf.pages import STRUCK, PageLine, read_pages
from cds_service.reports.pdf.pictures import page_picture, pictures_of
from cds_service.reports.pdf.placing import fitted, limits_beside, read_cells
from cds_service.reports.pdf.printed_rows import PrintedRow, box_of
from cds_service.reports.pdf.retyping import retyped
from cds_service.reports.pdf.scanned_rows import doubt_shifted, scanned
from cds_service.reports.pdf.scans import Scanner
from cds_service.reports.pdf.sentences import read_sentences
from cds_service.reports.pdf.table_rows import TableReader
from cds_service.reports.pdf.unheaded import by_content, unheaded_panels
from cds_service.reports.remarks import status_of_report
from cds_service.reports.report import Format, LabReport, PatientReport, ReportRow
from cds_service.reports.report_headings import subject_of
from cds_service.reports.vocabulary import (
    are_of_another_specimen,
    is_blood,
    names_blood,
    names_fluid,
)

_NO_TABLE: Final = (
    "Expected a table of results, with a line above it that names the columns of tests and results."
)
_IN_LIST: Final = re.compile(r"[,;/+&]|\b(?:und|and|et|y|e)\b", re.IGNORECASE)


_DOUBTFUL: Final = 0.3  # of the rows, before a table is drawn by what stands in it


@dataclass(slots=True)
class _Found:
    """What was found on the pages."""

    rows: list[PrintedRow] = field(default_factory=list)
    other: list[tuple[int, PageLine]] = field(default_factory=list)  # rows before it, and line
    panels: tuple[Panel, ...] = ()
    is_bare: bool = False  # whether the last table has no headings
    has_bare: bool = False
    headings: set[PageLine] = field(default_factory=set)  # of columns
    alone: list[PageLine] = field(default_factory=list)  # with one text, and no headings of columns


def read_pdf(data: bytes, deadline: Deadline | None = None) -> LabReport:
    """The rows of a report; raises `RequestError` if it is none that can be read.

    Scanned pages are read up to the deadline, if there is one.
    """
    scanner = Scanner(deadline)
    pages = read_pages(data, lambda page: scanner.read(*page_picture(data, page)))
    return report_of(pages, "pdf")


def read_picture(data: bytes, deadline: Deadline | None = None) -> LabReport:
    """The rows of a report that is one picture, or several in a TIFF; raises `RequestError`."""
    scanner = Scanner(deadline)
    return report_of([scanner.read(*picture) for picture in pictures_of(data)], "picture")


def report_of(pages: Sequence[Sequence[PageLine]], kind: Format) -> LabReport:
    """The rows on these pages; raises `RequestError` if there is no table of results."""
    text = "\n".join(line.text for lines in pages for line in lines)
    order = day_order(text)
    found = _found(pages)
    if not found.rows:
        raise RequestError(_NO_TABLE)
    labels = labelled_texts([line for _, line in found.other])
    who = patient_of(labels, order)
    dates = _Dates(labels, found, order)
    mark = decimal_mark(printed for row in found.rows for printed in (*row.values, row.range_text))
    status = status_of_report(text)
    hemolyzed = are_hemolyzed(pages)
    everywhere = _specimen_of_all(labels)
    doubt_shifted(found.rows)
    lines = [line for page in pages for line in page if line not in found.headings]
    texts = {label.text for label in labels}
    read_headings(found.rows, lines, dates.labels, texts, order, who.name)
    rows = [
        _row(row, column, mark, dates.of(number, column), everywhere, status, hemolyzed=hemolyzed)
        for number, row in enumerate(found.rows)
        for column in row.results
    ]
    return LabReport(kind, (PatientReport(who, tuple(rows)),))


def _found(pages: Sequence[Sequence[PageLine]]) -> _Found:
    """The rows of all pages: of tables with headings, or else of what explains itself."""
    found = _of_tables(pages, is_headed=True)
    is_scanned = any(line.scan for lines in pages for line in lines)
    if is_scanned or (found.rows and not found.has_bare):
        doubt_earlier(found.rows, found.alone)
        return found
    bare = found if found.rows and not found.is_bare else _of_bare(pages, found)
    doubt_earlier(bare.rows, (line for lines in pages for line in lines))
    doubt_twice(bare.rows)
    return bare


def _of_bare(pages: Sequence[Sequence[PageLine]], found: _Found) -> _Found:
    """The rows of blocks, of tables without headings, or of lists and sentences."""
    blocks = _Found()
    for lines in pages:
        read_fields(lines, blocks.rows, blocks.other)
    if blocks.rows:
        return blocks
    if not found.rows:
        found = _of_tables(pages, is_headed=False)
    if found.rows:
        return found
    text = _Found()
    read_sentences([line for lines in pages for line in lines], text.rows, text.other)
    return text


def _of_tables(pages: Sequence[Sequence[PageLine]], *, is_headed: bool) -> _Found:
    """The rows of tables, by their headings, or as if these had none."""
    found = _Found()
    reader = TableReader(found.rows)
    for lines in pages:
        _read_page(lines, found, reader, is_headed=is_headed)
        reader.end_page()
    return found


def _read_page(
    lines: Sequence[PageLine], found: _Found, reader: TableReader, *, is_headed: bool
) -> None:
    skip = 0
    bare, first = _unheaded(lines, found, is_headed=is_headed)
    for number, line in enumerate(lines):
        if skip:
            skip -= 1
            continue
        if bare and number == first:
            found.panels, found.is_bare, found.has_bare = bare, True, True
            reader.begin(bare)
        panels, used = _headed(lines, number) if is_headed else ((), 0)
        if panels:
            skip = used - 1
            found.headings.update(lines[number : number + used])
            found.is_bare = False
            found.panels = _fitted(panels, lines[number + used :])
            reader.begin(found.panels)
            continue
        if len(line.chunks()) == 1:
            found.alone.append(line)
        if not reader.take(line, found.panels):
            found.other.append((len(found.rows), line))


def _headed(lines: Sequence[PageLine], at: int) -> tuple[tuple[Panel, ...], int]:
    """The tables whose heading begins with a line, and how many lines it has."""
    return read_panels(lines[at : at + 3], lines[max(at - 2, 0) : at])


def _unheaded(
    lines: Sequence[PageLine], found: _Found, *, is_headed: bool
) -> tuple[tuple[Panel, ...], int]:
    """The tables of a page that has no headings, unless they go on from one that has."""
    if (found.panels and not found.is_bare) or any(line.scan for line in lines):
        return (), 0
    if is_headed and any(_headed(lines, at)[0] for at in range(len(lines))):
        return (), 0
    return unheaded_panels(lines)


def _fitted(panels: Sequence[Panel], lines: Sequence[PageLine]) -> tuple[Panel, ...]:
    """The tables with their columns drawn by the rows up to the next heading."""
    ends = (at for at in range(len(lines)) if _headed(lines, at)[0])
    rows = lines[: next(ends, len(lines))]
    return tuple(_drawn(panel, rows) for panel in panels)


def _drawn(panel: Panel, rows: Sequence[PageLine]) -> Panel:
    """A table with its columns drawn by place, or by what stands in them if no way fits."""
    drawn = retyped(fitted(panel, rows), rows)
    if any(line.rules or line.scan for line in rows) or not _is_in_doubt(drawn, rows):
        return drawn
    return by_content(drawn, rows) or drawn


def _is_in_doubt(panel: Panel, rows: Sequence[PageLine]) -> bool:
    """Whether it is open of many rows which column their results are in."""
    results = {n for n, column in enumerate(panel.columns) if column.kind == "result"}
    limits = [n for n, column in enumerate(panel.columns) if column.kind in {"low", "high"}]
    cells_of_rows = [read_cells(line, panel) for line in rows]
    with_result = [cells for cells in cells_of_rows if results & set(cells.words) or cells.unclear]
    in_doubt = [
        cells
        for cells in with_result
        if (results | set(limits)) & cells.unclear
        or limits_beside(cells, panel)
        or not results & set(cells.words)
        or any(kind_of(cells.text(n)) != "value" for n in limits if n in cells.words)
    ]
    return len(in_doubt) > _DOUBTFUL * len(with_result)


class _Dates:
    """When what stands in a row was collected."""

    def __init__(self, labels: Iterable[Labelled], found: _Found, order: DayOrder | None) -> None:
        self._order = order
        self._after: list[tuple[int, str | None]] = []  # rows before it, and date
        self.labels: list[CollectedLabel] = []
        for label in labels:
            if label.label == "collected" and label.text:
                day = next(iter(dates_in(label.text, order)), None)
                is_one = label.is_sure and not is_span(label.text)
                starts = day is not None and day.start <= 2 and is_one
                known, line = found.other[label.line]
                self._after.append((known, day.iso if day and starts else None))
                self.labels.append(CollectedLabel(box_of(line, line.words), self._after[-1][1]))

    def of(self, row: int, column: Column) -> str | None:
        """The date in the heading of the column, else the one that the report labels."""
        headed = list(dates_in(column.text, self._order))
        if headed or has_date(column.text):
            return headed[0].iso if len(headed) == 1 and column.is_sure else None
        if not self._after:
            return None
        if len({before for before, _ in self._after}) == 1 or self._one() is not None:
            return self._one()
        before = [rows for rows, _ in self._after if rows <= row]
        if not before or min(rows for rows, _ in self._after) > 0:
            return None  # each date may stand below its results
        nearest = {day for rows, day in self._after if rows == max(before)}
        return nearest.pop() if len(nearest) == 1 else None

    def _one(self) -> str | None:
        """The only date there is, where one may be printed with its time and without it."""
        days = sorted({day for _, day in self._after if day}, key=len)
        if any(day is None for _, day in self._after) or not days:
            return None
        return days[-1] if all(days[-1].startswith(day) for day in days) else None


def _specimen_of_all(labels: Iterable[Labelled]) -> str:
    """A specimen that is not blood, and that the report names once for all its results.

    A list with blood in it, `Serum, Urin`, says what was sent, and not of what each result is.
    """
    named = [label.text for label in labels if label.label == "specimen" and label.text]
    fluids = [
        text
        for text in named
        if are_of_another_specimen([text], []) and not any(map(is_blood, _IN_LIST.split(text)))
    ]
    return fluids[0] if fluids and len(fluids) == len(named) else ""


def _row(
    row: PrintedRow,
    column: Column,
    mark: DecimalMark | None,
    date: str | None,
    everywhere: str,
    status: str,
    *,
    hemolyzed: bool,
) -> ReportRow:
    text = row.texts[column]
    name, own_unit = split_unit(row.name)
    unit = row.unit.strip("()[] ") if row.unit[:1] in {"(", "["} else row.unit
    read = beside_unit(read_cell(text, mark), unit)
    read = beside_unit(read, own_unit) if own_unit and not unit else read
    is_single = len(row.results) == 1
    unit = unit or read.unit or own_unit or unit_behind(row.range_text)
    date = date if row.is_dated or has_date(column.text) else row.day
    if column in row.unclear:
        read = CellValue(doubt="place-unclear")
    specimen = _specimen(row) or everywhere
    if specimen and read.value is not None:
        read = CellValue(doubt="not-in-blood")
    if row.is_of_other or subject_of(column.text) == "other":
        read = CellValue(doubt="of-another")
    elif any(STRUCK in printed for printed in (row.name, text, row.unit, row.range_text)):
        read = CellValue(doubt="struck-out")
    flags = " ".join(filter(None, (read.flag, row.flag if is_single else "")))
    limits = None if row.range_is_unclear else read_printed_range(row.range_text, mark)
    printed = ReportRow(
        name=name,
        text=text,
        value=read.value,
        doubt=read.doubt,
        unit=unit,
        range_text=row.range_text,
        range=limits,
        flag=flags,
        date=date,
        status=status,
        specimen=specimen,
        hemolyzed=hemolyzed,
        notes=tuple(row.notes),
        place=row.place,
    )
    return scanned(printed, is_sure=row.is_sure) if row.is_scanned else printed


def _specimen(row: PrintedRow) -> str:
    """The specimen of a row or of its section, if it is none of blood, serum and plasma."""
    if row.specimen:
        is_known = is_blood(row.specimen) or names_blood(row.specimen)
        return "" if is_known and not names_fluid(row.specimen) else row.specimen
    fluids = (text for text in (row.name, *row.notes) if names_fluid(text))
    return row.section or next(fluids, "")
