# SPDX-License-Identifier: Apache-2.0
"""Columns whose headings say less, or something else, than what stands below them."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from cds_service.copying import replace
from cds_service.reports.pdf.columns import Column, Panel
from cds_service.reports.pdf.contents import kind_of
from cds_service.reports.pdf.pages import PageLine, text_of
from cds_service.reports.pdf.placing import read_cells
from cds_service.reports.vocabulary import ColumnKind

_LEAST: Final = 3  # cells by which a column is known
_MOST_OF: Final = 0.5
_BY_CONTENT: Final[dict[str, ColumnKind]] = {"range": "range", "unit": "unit", "flag": "flag"}


def retyped(panel: Panel, lines: Sequence[PageLine]) -> Panel:
    """The table with its columns of ranges, units and flags as such, if their headings are unknown.

    A column that is headed as results and holds ranges has none.
    """
    counts = [Counter[str]() for _ in panel.columns]
    for line in lines:
        cells = read_cells(line, panel)
        for number, words in cells.words.items():
            text = text_of(words)
            counts[number][kind_of(text) or "text"] += 1
    kinds = {column.kind for column in panel.columns}
    columns: list[Column] = []
    for column, count in zip(panel.columns, counts, strict=True):
        kind = _kind(column, count)
        if kind != column.kind and kind in kinds:
            kind = "other"
        kinds.add(kind)
        columns.append(column if kind == column.kind else replace(column, kind=kind))
    return replace(panel, columns=tuple(columns))


def _kind(column: Column, count: Counter[str]) -> ColumnKind:
    """What a column is by its cells, where its heading is not known or contradicts them."""
    total = sum(count.values())
    if total < _LEAST or column.kind not in {"other", "result"}:
        return column.kind
    for kind, other in _BY_CONTENT.items():
        if count[kind] > _MOST_OF * total and (column.kind == "other" or kind == "range"):
            return other
    return column.kind
