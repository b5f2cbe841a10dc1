# SPDX-License-Identifier: Apache-2.0
"""A workbook (XLSX) -> the cells of its one table.

Whatever a person would see otherwise than it is stored is refused (`workbook_looks`), and so are
cells merged over rows. A formula is what it last came to.
"""

import io
import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeAlias

from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.reports.tables.grid import MAX_ROWS, ExactNumber, Grid, Row, checked_grid
from cds_service.reports.tables.workbook_looks import check_looks

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

_Cell: TypeAlias = int | float | str | bool | time | date | datetime | timedelta
_Span: TypeAlias = tuple[tuple[int, int], tuple[int, int]]

_UNPACKED: Final = 200_000_000  # bytes
_MOST_CELLS: Final = 2_000_000
_NO_WORKBOOK: Final = "Expected a workbook of Excel (XLSX), without a password."
_ONE_SHEET: Final = "Expected a workbook in which one sheet that is not hidden has a table."
_MERGED: Final = "Expected a table without cells that are merged over several rows."

_ATTRIBUTES: Final = re.compile(rb"""([\w:]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


def read_workbook(data: bytes) -> Grid:
    """The rows of the only visible sheet that is not empty.

    Raises `RequestError` if there is none or not one alone, or what stands there may be misread,
    and `PayloadTooLarge` for too many cells.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    parts = _parts_of(data)
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheet = _only_sheet(workbook)
    except CalamineError:
        raise RequestError(_NO_WORKBOOK) from None
    if sheet.height * sheet.width > _MOST_CELLS:
        raise PayloadTooLarge(f"Expected a sheet of at most {_MOST_CELLS:,} cells.")
    styles, texts = (parts.get(f"xl/{name}.xml", b"") for name in ("styles", "sharedStrings"))
    check_looks(_sheet_part(parts, sheet.name), styles, texts)
    rows = tuple(_rows_of(sheet))
    _check_merged(sheet.merged_cell_ranges or (), rows, sheet)
    # Cells stand in columns here; a tab between them says the same.
    return checked_grid(tuple(row for row in rows if any(row)), "\t")


def _parts_of(data: bytes) -> dict[str, bytes]:
    """The parts of the file by name, if they come to no more than there is room for."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            listed = archive.infolist()
            if sum(entry.file_size for entry in listed) > _UNPACKED:
                raise PayloadTooLarge(
                    f"Expected a workbook of at most {_UNPACKED // 1_000_000} MB unpacked."
                )
            parts = {
                entry.filename: archive.read(entry)
                for entry in listed
                if entry.filename.startswith("xl/") and entry.filename.endswith((".xml", ".rels"))
            }
    except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, EOFError, ValueError):
        raise RequestError(_NO_WORKBOOK) from None  # also one with a password
    if "xl/workbook.xml" not in parts or any(b"<!DOCTYPE" in part for part in parts.values()):
        raise RequestError(_NO_WORKBOOK)
    return parts


def _only_sheet(workbook: "CalamineWorkbook") -> "CalamineSheet":
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    visible = [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet
    ]
    sheets = [workbook.get_sheet_by_name(name) for name in visible]
    filled = [sheet for sheet in sheets if sheet.height]
    if len(filled) != 1:
        raise RequestError(_ONE_SHEET)
    return filled[0]


def _sheet_part(parts: dict[str, bytes], name: str) -> bytes:
    """The XML of a sheet; of all sheets if none or several have its name."""
    related = {
        tag.get("Id"): tag.get("Target", "").rpartition("/")[2]
        for tag in _tags(parts.get("xl/_rels/workbook.xml.rels", b""), b"Relationship")
    }
    found = [
        related.get(tag.get("r:id"))
        for tag in _tags(parts["xl/workbook.xml"], b"sheet")
        if tag.get("name") == name
    ]
    part = parts.get(f"xl/worksheets/{found[0]}") if len(found) == 1 else None
    sheets = (xml for place, xml in parts.items() if place.startswith("xl/worksheets/"))
    return part if part is not None else b"".join(sheets)


def _tags(xml: bytes, name: bytes) -> Iterator[dict[str, str]]:
    for tag in re.finditer(rb"<(?:\w+:)?" + name + rb"\s[^>]*>", xml):
        pairs = _ATTRIBUTES.findall(tag[0])
        yield {
            key.decode(): (quoted or other).decode("utf-8", "replace")
            for key, quoted, other in pairs
        }


def _rows_of(sheet: "CalamineSheet") -> Iterator[Row]:
    """Every row from the first of the sheet on."""
    filled = 0
    for cells in sheet.iter_rows():
        row = tuple(map(_text, cells))
        filled += any(row)
        if filled > MAX_ROWS:
            raise PayloadTooLarge(f"Expected at most {MAX_ROWS:,} rows.")
        yield row


def _text(cell: _Cell) -> str:
    """The text of a cell.

    >>> _text(0.1), _text(41.0), _text(1e-7)
    ('0.1', '41', '0.0000001')
    >>> _text(date(2026, 3, 5))
    '2026-03-05'
    """
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, datetime):
        return cell.isoformat("T", "seconds" if cell.second else "minutes")
    if isinstance(cell, int | float):
        if not math.isfinite(cell):
            return str(cell)
        digits = f"{Decimal(repr(cell)):f}"
        return ExactNumber(digits.removesuffix(".0"))
    return str(cell)


def _check_merged(
    spans: "tuple[()] | list[_Span]", rows: tuple[Row, ...], sheet: "CalamineSheet"
) -> None:
    """Raise `RequestError` where a cell is merged over rows of which one has other cells too."""
    left = (sheet.start or (0, 0))[1]
    for (top, first), (bottom, last) in spans:
        if top == bottom:
            continue
        inside = range(first - left, last - left + 1)
        for row in rows[top : bottom + 1]:
            if any(cell and place not in inside for place, cell in enumerate(row)):
                raise RequestError(_MERGED)
