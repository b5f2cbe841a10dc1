# SPDX-License-Identifier: Apache-2.0
"""Bytes -> the cells of a table: separated by commas, semicolons, tabs, bars or wide gaps."""

import codecs
import csv
import io
import re
from dataclasses import dataclass
from typing import Final, TypeAlias
from unicodedata import normalize

from cds_service.errors import PayloadTooLarge, RequestError

Row: TypeAlias = tuple[str, ...]

MAX_ROWS: Final = 100_000
_SEPARATORS: Final = ("\t", ";", "|", ",")
_GAP: Final = re.compile(r"\s{2,}|\t")
_SAMPLE: Final = 50  # lines by which the separator is found
_BINARY: Final = re.compile(r"[\x00-\x08\x0e-\x1f]")


class ExactNumber(str):
    """A cell that holds a number and no text: its decimal digits, with a point."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Grid:
    """The rows that are not empty, each with its cells; `separator` is `None` for wide gaps."""

    rows: tuple[Row, ...]
    separator: str | None


def read_grid(data: bytes) -> Grid:
    """The rows of a table; raises `RequestError` if the file is no text, or has no two columns."""
    text = _decoded(data)
    if _BINARY.search(text):
        raise RequestError("Expected a PDF, HL7 v2, XLSX, or a table as text.")
    separator = _separator(text)
    rows = _by_gaps(text) if separator is None else _split(text, separator)
    return checked_grid(rows, separator)


def checked_grid(rows: tuple[Row, ...], separator: str | None) -> Grid:
    """The rows as a table; raises `RequestError` for too many, and for one column alone."""
    if len(rows) > MAX_ROWS:
        raise PayloadTooLarge(f"Expected at most {MAX_ROWS:,} rows.")
    if not any(len(row) > 1 for row in rows):
        raise RequestError("Expected a PDF, HL7 v2, XLSX, or a table of at least two columns.")
    return Grid(tuple(tuple(map(_composed, row)) for row in rows), separator)


def _composed(cell: str) -> str:
    """A cell with one character for each letter and its accent, as the words that are known have.

    A number stays one.
    """
    return cell if cell.isascii() else normalize("NFC", cell)


def _decoded(data: bytes) -> str:
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _separator(text: str) -> str | None:
    """What stands between cells: what parts most lines, into most cells; `None` are wide gaps."""
    lines = [line for line in text.splitlines()[:_SAMPLE] if line.strip()]
    found: dict[str | None, tuple[int, float]] = {
        None: _score([_GAP.split(line.strip()) for line in lines])
    }
    for sign in _SEPARATORS:
        try:
            found[sign] = _score(list(csv.reader(lines, delimiter=sign)))
        except csv.Error:
            continue
    return max(found, key=lambda sign: found[sign])


def _score(rows: list[list[str]]) -> tuple[int, float]:
    widths = [len(row) for row in rows if len(row) > 1]
    return len(widths), sum(widths) / len(widths) if widths else 0


def _split(text: str, separator: str) -> tuple[Row, ...]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        rows = (tuple(cell.strip() for cell in row) for row in reader)
        return tuple(row for row in rows if any(row))
    except csv.Error:
        raise RequestError("Expected a table as text.", f"line {reader.line_num}") from None


def _by_gaps(text: str) -> tuple[Row, ...]:
    lines = (line.strip() for line in text.splitlines())
    return tuple(tuple(_GAP.split(line)) for line in lines if line)
