# SPDX-License-Identifier: Apache-2.0
"""What the columns of a table seem to be by what stands in them, where its headings are not known.

It is a proposal for a person, and nothing is read by it before they confirm it.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from cds_service.reports.cells import read_printed_range
from cds_service.reports.dates import is_date
from cds_service.reports.tables.grid import Grid, Row
from cds_service.reports.tables.mapping import Columns, Role
from cds_service.reports.units import may_be_unit

SAMPLE: Final = 8  # rows that are shown to a person
_READ: Final = 200  # rows that are looked at
_MOST: Final = 0.8  # of the cells of a column have to be of one kind
_FIGURES: Final = re.compile(r"[<>≤≥=]{0,2}\s*\d[\d.,]*")
_FLAG: Final = re.compile(r"(?:HH?|LL?|N|A|\*{1,2}|\+{1,3}|-{1,3}|[↑↓])", re.IGNORECASE)
_WORDS: Final = re.compile(r"[^\W\d_]{2}")


def guess_columns(grid: Grid) -> Columns | None:
    """A role for each column that can be one thing only; the others are not read.

    The first row has the headings if it is as long as the others and holds no number or date.
    `None` if no column has numbers: then it is no table of results.
    """
    width = max(map(len, grid.rows))
    first = grid.rows[0]
    named = len(first) == width and all(first) and not any(map(_is_result, first))
    rows = grid.rows[1 if named else 0 :][:_READ]
    kinds = [_kind(rows, place) for place in range(width)]
    if "value" not in kinds:
        return None
    # Of two columns of one kind nobody can say which is meant.
    roles = tuple(kind if kinds.count(kind) == 1 else "not read" for kind in kinds)
    return Columns(roles, 0 if named else -1, first if named else ("",) * width)


def sample_of(grid: Grid, columns: Columns) -> tuple[Row, ...]:
    """The first rows below the headings, each as wide as the table."""
    rows = grid.rows[columns.headings + 1 :][:SAMPLE]
    return tuple((*row, *[""] * (len(columns.roles) - len(row))) for row in rows)


def _is_result(cell: str) -> bool:
    return _FIGURES.fullmatch(cell) is not None or is_date(cell)


def _kind(rows: Sequence[Row], place: int) -> Role:
    cells = [row[place] for row in rows if place < len(row) and row[place]]
    return next((role for role, fits in _KINDS if _most(cells, fits)), "not read")


def _most(cells: Sequence[str], fits: Callable[[str], bool]) -> bool:
    return bool(cells) and sum(map(fits, cells)) >= _MOST * len(cells)


def _is_range(cell: str) -> bool:
    return not cell.isdigit() and read_printed_range(cell, ".") is not None


# In this order: a date is no range, and `<5` is a value as long as others are numbers.
_KINDS: Final[tuple[tuple[Role, Callable[[str], bool]], ...]] = (
    ("collected", is_date),
    ("value", lambda cell: _FIGURES.fullmatch(cell) is not None),
    ("flag", lambda cell: _FLAG.fullmatch(cell) is not None),
    ("range", _is_range),
    ("unit", may_be_unit),
    ("test", lambda cell: _WORDS.search(cell) is not None),
)
