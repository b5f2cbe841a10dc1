# SPDX-License-Identifier: Apache-2.0
"""A spreadsheet of OpenDocument (ODS) -> the cells of its one table.

Beside each number such a file holds the text that a person sees (OpenDocument 1.3, part 3, 9.1.4),
so that a format which shows it otherwise is seen without being understood.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Final
from xml.etree.ElementTree import Element, ParseError, XMLParser

from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.reports.tables.grid import MAX_ROWS, ExactNumber, Grid, Row, checked_grid
from cds_service.reports.tables.workbook_looks import FORMATS, HIDDEN, MARKED

_UNPACKED: Final = 100_000_000  # bytes
_MOST_COLUMNS: Final = 1_000
_NO_SHEET: Final = "Expected a spreadsheet (ODS), without a password."
_ONE_SHEET: Final = "Expected a spreadsheet in which one sheet that is not hidden has a table."
_MERGED: Final = "Expected a table without cells that are merged over several rows."
_OASIS: Final = "{urn:oasis:names:tc:opendocument:xmlns:"
_TABLE, _TEXT, _OFFICE, _STYLE = (
    f"{_OASIS}{name}:1.0}}" for name in ("table", "text", "office", "style")
)
_ZERO: Final = re.compile(r"0+(?:\.0*)?[a-z%]*")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?)?")
_SEPARATORS: Final = re.compile(r"[\s'’]")
_GROUPED: Final = re.compile(r"-?\d{1,3}(?:[.,]\d{3})+(?:[.,]\d+)?")


def read_opendocument(data: bytes) -> Grid:
    """The rows of the only visible sheet that is not empty.

    Raises `RequestError` if there is none or not one alone, or what stands there may be misread,
    and `PayloadTooLarge` for too much of it.
    """
    content, styles = (_part(data, f"{name}.xml") for name in ("content", "styles"))
    looks = _Looks(content, styles)
    tables = [
        table for table in content.iter(f"{_TABLE}table") if not looks.hides(_style_of(table))
    ]
    filled = [rows for table in tables if any(map(any, rows := tuple(_rows(table, looks))))]
    if len(filled) != 1:
        raise RequestError(_ONE_SHEET)
    return checked_grid(tuple(row for row in filled[0] if any(row)), "\t")


def _part(data: bytes, name: str) -> Element:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _UNPACKED:
                most = _UNPACKED // 1_000_000
                raise PayloadTooLarge(f"Expected a spreadsheet of at most {most} MB unpacked.")
            xml = archive.read(name)
        if b"<!DOCTYPE" in xml or b"\x00" in xml:  # nor in UTF-16
            raise RequestError(_NO_SHEET)
        parser = XMLParser()  # noqa: S314 - without DOCTYPE it has no entities of its own
        parser.feed(xml)
        return parser.close()
    except (zipfile.BadZipFile, zlib.error, KeyError, ParseError, RuntimeError, OSError, EOFError):
        raise RequestError(_NO_SHEET) from None  # also one with a password


class _Looks:
    """Which styles hide what has them, or strike it out, raise or lower it."""

    def __init__(self, *parts: Element) -> None:
        styles = [style for part in parts for style in part.iter(f"{_STYLE}style")]
        self._marked = {_name(style) for style in styles if _is_marked(style)}
        self._hidden = {_name(style) for style in styles if _is_hidden(style)}
        for _ in styles:  # a style may be made of another, or become it by a condition
            more = {_name(style) for style in styles if self._marked.intersection(_others(style))}
            if more <= self._marked:
                break
            self._marked |= more

    def hides(self, style: str) -> bool:
        """Whether what has this style is not shown."""
        return style in self._hidden

    def check(self, part: Element) -> None:
        """Raise `RequestError` if anything in it is marked."""
        names = {f"{_TABLE}style-name", f"{_TEXT}style-name", f"{_TABLE}default-cell-style-name"}
        for element in part.iter():
            if any(element.get(name) in self._marked for name in names):
                raise RequestError(MARKED)


def _name(style: Element) -> str:
    return style.get(f"{_STYLE}name", "")


def _others(style: Element) -> Iterator[str]:
    yield style.get(f"{_STYLE}parent-style-name", "")
    for condition in style.iter(f"{_STYLE}map"):
        yield condition.get(f"{_STYLE}apply-style-name", "")


def _is_marked(style: Element) -> bool:
    for properties in style.iter(f"{_STYLE}text-properties"):
        position = properties.get(f"{_STYLE}text-position", "0%").split()[0]
        struck = properties.get(f"{_STYLE}text-line-through-style", "none")
        kind = properties.get(f"{_STYLE}text-line-through-type", "none")
        if not _ZERO.fullmatch(position) or struck != "none" or kind != "none":
            return True
        if properties.get(f"{_TEXT}display", "true") == "none":
            return True
    return False


def _is_hidden(style: Element) -> bool:
    sizes = ("column-width", "row-height")
    return any(
        properties.get(f"{_TABLE}display") == "false"
        or any(_ZERO.fullmatch(properties.get(f"{_STYLE}{size}", "1")) for size in sizes)
        for properties in style
    )


def _style_of(part: Element) -> str:
    return part.get(f"{_TABLE}style-name", "")


def _rows(table: Element, looks: _Looks) -> Iterator[Row]:
    for kind in ("table-column", "table-row"):
        for element in table.iter(f"{_TABLE}{kind}"):
            if element.get(f"{_TABLE}visibility", "visible") != "visible" or looks.hides(
                _style_of(element)
            ):
                raise RequestError(HIDDEN)
    if any(element.get(f"{_TABLE}display") == "false" for element in table.iter()):  # of a group
        raise RequestError(HIDDEN)
    looks.check(table)
    count = 0
    for line in table.iter(f"{_TABLE}table-row"):
        row = tuple(_cells(line))
        if not any(row):
            continue
        times = _times(line, "rows")
        count += times
        if count > MAX_ROWS:
            raise PayloadTooLarge(f"Expected at most {MAX_ROWS:,} rows.")
        yield from [row] * times


def _cells(line: Element) -> Iterator[str]:
    held = 0  # empty cells, of which the last of a row are a thousand
    for cell in line:
        if cell.tag not in {f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"}:
            continue
        if cell.get(f"{_TABLE}number-rows-spanned", "1") != "1":
            raise RequestError(_MERGED)
        text = _text(cell)
        times = _times(cell, "columns")
        if not text:
            held += times
            continue
        if held + times > _MOST_COLUMNS:
            raise PayloadTooLarge(f"Expected at most {_MOST_COLUMNS:,} columns.")
        yield from [""] * held
        yield from [text] * times
        held = 0


def _times(part: Element, attribute: str) -> int:
    sent = part.get(f"{_TABLE}number-{attribute}-repeated", "1")
    return int(sent) if sent.isdigit() and len(sent) < 8 else 1


def _text(cell: Element) -> str:
    """The text of a cell, or its number if it is shown as that."""
    shown = "\n".join(map(_shown, cell.findall(f"{_TEXT}p"))).strip()
    kind = cell.get(f"{_OFFICE}value-type", "string")
    if kind == "date":
        day = cell.get(f"{_OFFICE}date-value", "")
        if not _DAY.match(day):
            raise RequestError(FORMATS)
        return day.removesuffix("T00:00:00")
    if kind in {"float", "currency", "percentage"}:
        digits = cell.get(f"{_OFFICE}value", "")
        if not _is_shown_so(digits, shown):
            raise RequestError(FORMATS)
        return ExactNumber(f"{Decimal(digits):f}")
    return shown


def _shown(part: Element) -> str:
    """The text of a paragraph, in which spaces and tabs are elements."""
    found = part.text or ""
    for element in part:
        if element.tag == f"{_TEXT}s":
            sent = element.get(f"{_TEXT}c", "1")
            found += " " * (int(sent) if sent.isdigit() and len(sent) < 4 else 1)
        elif element.tag in {f"{_TEXT}tab", f"{_TEXT}line-break"}:
            found += " "
        elif element.tag != f"{_OFFICE}annotation":
            found += _shown(element)
        found += element.tail or ""
    return found


def _is_shown_so(digits: str, shown: str) -> bool:
    """Whether a number is shown as it is, or rounded, with a point or a comma.

    >>> _is_shown_so("1234.5", "1.234,50"), _is_shown_so("0.674", "0,67")
    (True, True)
    >>> _is_shown_so("0.41", "41 %"), _is_shown_so("41", "<41"), _is_shown_so("41", "4.1")
    (False, False, False)
    """
    try:
        stored = Decimal(digits)
        if not stored.is_finite() or abs(stored.adjusted()) > 15:
            return False
        return any(
            round(stored, len(read.partition(".")[2])) == Decimal(read)
            for read in _readings(_SEPARATORS.sub("", shown))
        )
    except InvalidOperation:
        return False


def _readings(shown: str) -> Iterator[str]:
    if not re.fullmatch(r"[-+]?[\d.,]*\d", shown):
        return
    if shown.count(",") + shown.count(".") <= 1:
        yield shown.replace(",", ".")
    if _GROUPED.fullmatch(shown):
        for mark, group in ((".", ","), (",", ".")):
            if shown.count(mark) <= 1:
                yield shown.replace(group, "").replace(mark, ".")
