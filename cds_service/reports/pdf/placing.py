# SPDX-License-Identifier: Apache-2.0
"""Which words of a line stand in which column of a table.

Headings and what stands below them may be aligned left, right or in the middle. Each of the three
says where a column ends, and is believed if all rows of the table fit into it; where two are
believed that say different things, the row is in doubt. Where none is, only what stands right
below its heading is certain.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from cds_service.copying import replace
from cds_service.reports.dates import is_date
from cds_service.reports.pdf.cells_of_line import Cells
from cds_service.reports.pdf.columns import EDGE, Panel
from cds_service.reports.pdf.content_cells import content_cells
from cds_service.reports.pdf.contents import PieceKind, kind_of
from cds_service.reports.pdf.pages import PageLine, PageWord, text_of
from cds_service.reports.units import is_unit
from cds_service.reports.vocabulary import ColumnKind, names_blood, names_fluid

_FAR: Final = 45.0  # points to the nearest column
_TEXT_COLUMNS: Final = frozenset(("flag", "unit", "specimen"))
_NEVER_EMPTY: Final = frozenset(("result", "unit", "range"))
_HELD: Final[dict[ColumnKind, tuple[PieceKind, ...]]] = {
    "unit": ("unit",),
    "range": ("range",),
    "flag": ("flag",),
    "low": ("value",),
    "high": ("value",),
    "previous": ("value", "date"),
}
_MISFITS: Final = 0.05  # of the rows: notes between them
_FLAG: Final = re.compile(r"[*+!↑↓▲▼-]{1,3}|\(?(?:HH|LL|[HLNAB])\)?|[⁰¹²³⁴⁵⁶⁷⁸⁹]+")


def fitted(panel: Panel, lines: Iterable[PageLine]) -> Panel:
    """The table with the ways to draw its columns into which all its rows fit."""
    found = [(line.top, _chunks(line, panel)) for line in lines]
    rows = [chunks for _, chunks in found if len(chunks) > 1]
    columns = panel.columns
    ways = (
        tuple(column.x0 - EDGE + 1 for column in columns),
        (panel.left, *(column.x1 + EDGE - 1 for column in columns[:-1])),
        (panel.left, *((left.x1 + right.x0) / 2 for left, right in pairwise(columns))),
    )
    gaps = [
        below - top
        for (top, chunks), (below, others) in pairwise(row for row in found if row[1])
        if len(chunks) > 1 and len(others) > 1
    ]
    return replace(
        panel,
        edges=tuple(way for way in ways if _fits(way, panel, rows)),
        pitch=median(gaps) if gaps else 0.0,
    )


def _chunks(line: PageLine, panel: Panel) -> list[Sequence[PageWord]]:
    chunks = ([w for w in chunk if panel.left <= w.middle < panel.right] for chunk in line.chunks())
    return [chunk for chunk in chunks if chunk]


def _fits(
    edges: Sequence[float], panel: Panel, rows: Sequence[Sequence[Sequence[PageWord]]]
) -> bool:
    filled: set[int] = set()
    misfits = 0
    for chunks in rows:
        own: set[int] = set()
        for number, words in enumerate(chunks):
            if number == 0 and _begins_name(words, panel):
                own.add(panel.name)
                continue
            first, last = _column_at(words[0].x0 + 1, edges), _column_at(words[-1].x1 - 1, edges)
            text = text_of(words)
            is_apart = first in own and not (
                _FLAG.fullmatch(text) or is_unit(text) or is_date(text)
            )
            if first != last or is_apart:
                misfits += 1
                break
            own.add(first)
        filled.update(own)
    needed = {n for n, column in enumerate(panel.columns) if column.kind in _NEVER_EMPTY}
    return len(rows) > 1 and misfits <= _MISFITS * len(rows) and needed <= filled


def _column_at(x: float, edges: Sequence[float]) -> int:
    return max((number for number, edge in enumerate(edges) if edge <= x), default=0)


def read_cells(line: PageLine, panel: Panel) -> Cells:
    """Which words of a line stand in which column of a table."""
    if panel.content is not None:
        return content_cells(line, panel, panel.content)
    cells = Cells()
    for number, chunk in enumerate(line.chunks()):
        words = [word for word in chunk if panel.left <= word.middle < panel.right]
        if words and cells.words and _is_sign_between(words, panel):
            cells.signs.extend(words)
        elif words:
            _place(words, panel, line.rules, cells, is_first=number == 0 or not cells.words)
    return cells


def _is_sign_between(words: Sequence[PageWord], panel: Panel) -> bool:
    """Whether words are a flag in a column without a heading."""
    if not _FLAG.fullmatch(text_of(words)) or any(
        column.kind == "flag" for column in panel.columns
    ):
        return False
    return not any(column.overlap(words[0].x0, words[-1].x1) > 0 for column in panel.columns)


def _place(
    words: Sequence[PageWord],
    panel: Panel,
    rules: Sequence[float],
    cells: Cells,
    *,
    is_first: bool,
) -> None:
    x0, x1 = words[0].x0, words[-1].x1
    ruled = _between_rules(words, panel, rules)
    if ruled is not None:
        cells.put(ruled, words)
        return
    over = [n for n, column in enumerate(panel.columns) if column.overlap(x0, x1) > 0]
    if (is_first and _begins_name(words, panel)) or _is_below_name(words, panel, cells):
        _place_name(words, panel, over, cells)
    elif panel.edges:
        _place_between(words, panel, over, cells)
    elif len(over) == 1:
        cells.put(over[0], words)
        _note_doubt(x0, x1, panel, over[0], cells)
    elif over:
        for word in words:
            _place_word(word, panel, cells)
    else:
        _place_nearest(words, panel, cells)


def _between_rules(words: Sequence[PageWord], panel: Panel, rules: Sequence[float]) -> int | None:
    """The column whose heading stands between the same rules as the words, if it is alone there."""
    middle = (words[0].x0 + words[-1].x1) / 2
    left = max((rule for rule in rules if rule <= middle), default=None)
    right = min((rule for rule in rules if rule > middle), default=None)
    if left is None or right is None:
        return None
    inside = [
        number
        for number, column in enumerate(panel.columns)
        if left - 1 <= (column.x0 + column.x1) / 2 <= right + 1
    ]
    return inside[0] if len(inside) == 1 else None


def _place_between(
    words: Sequence[PageWord], panel: Panel, over: Sequence[int], cells: Cells
) -> None:
    """Put words into the column in which they are in every way to draw the columns."""
    x0, x1 = words[0].x0 + 1, words[-1].x1 - 1
    places = {_column_at(x, edges) for edges in panel.edges for x in (x0, x1)}
    place = min(places, key=lambda n: panel.columns[n].misfit(x0, x1))
    cells.put(place, words)
    # Words that stand below another heading contradict all of it.
    others = [n for n in over if panel.columns[n].overlap(x0, x1) >= 0.6 * (x1 - x0)]
    if len(places) > 1 or any(n != place for n in others):
        cells.unclear.update((*places, *others))


def _begins_name(words: Sequence[PageWord], panel: Panel) -> bool:
    following = [column.x0 for column in panel.columns[panel.name + 1 :]]
    column, before = panel.columns[panel.name], panel.columns[: panel.name]
    if any(column.overlap(words[0].x0, words[0].x1) > 0 for column in before):
        return False  # `Code` or `Nr.`, before the names
    if words[0].x0 < column.x1:
        return not following or words[0].x0 < following[0]
    return False


def _is_below_name(words: Sequence[PageWord], panel: Panel, cells: Cells) -> bool:
    """Whether words begin below the heading of the names, behind another column."""
    column = panel.columns[panel.name]
    return panel.name not in cells.words and column.overlap(words[0].x0, words[0].x1) > 0


def _place_name(words: Sequence[PageWord], panel: Panel, over: Sequence[int], cells: Cells) -> None:
    """A name may be longer than its heading, and a value may stand close behind it.

    What stands below another heading, and is nothing that such a column holds, is of the name: the
    `directe` of `Bilirubine directe`, the `urinaire` of a heading of a section.
    """
    columns, name = panel.columns, panel.name
    behind: list[tuple[int, list[PageWord]]] = []  # by column, from right to left
    end = len(words)
    while end > 1:
        word = words[end - 1]
        under = [n for n in over if n != name and columns[n].overlap(word.x0, word.x1) > 0]
        if not under:
            break
        end -= 1
        if behind and behind[-1][0] == under[0]:
            behind[-1][1].insert(0, word)
        else:
            behind.append((under[0], [word]))
    while behind and not _may_hold(columns[behind[-1][0]].kind, behind[-1][1]):
        end += len(behind.pop()[1])
    for place, own in behind:
        cells.put(place, own)
        # Close behind a name it may as well be a part of it: `Vitamin B 12`.
        cells.unclear.add(place)
    cells.put(name, words[:end])


def _may_hold(kind: ColumnKind, words: Sequence[PageWord]) -> bool:
    """Whether words close behind a name may be what stands in such a column.

    A result may be any text, but for one that says what was examined.
    """
    text = text_of(words)
    if kind == "result":
        return not (names_fluid(text) or names_blood(text))
    return kind_of(text) in _HELD.get(kind, ())


def _place_word(word: PageWord, panel: Panel, cells: Cells) -> None:
    over = [n for n, column in enumerate(panel.columns) if column.overlap(word.x0, word.x1) > 0]
    if len(over) == 1:
        cells.put(over[0], [word])
        _note_doubt(word.x0, word.x1, panel, over[0], cells)
    elif over:
        best = max(over, key=lambda n: panel.columns[n].overlap(word.x0, word.x1))
        cells.put(best, [word])
        cells.unclear.update(over)
    else:
        _place_nearest([word], panel, cells)


def limits_beside(cells: Cells, panel: Panel) -> list[int]:
    """The columns of low or high limits in which a number does not stand below the heading."""
    return [
        n
        for n, words in cells.words.items()
        if panel.columns[n].kind in {"low", "high"}
        and panel.columns[n].overlap(words[0].x0, words[-1].x1) <= 0
    ]


def _place_nearest(words: Sequence[PageWord], panel: Panel, cells: Cells) -> None:
    x0, x1 = words[0].x0, words[-1].x1
    by_gap = sorted(
        (max(column.x0 - x1, x0 - column.x1), number) for number, column in enumerate(panel.columns)
    )
    gap, best = by_gap[0]
    if gap > _FAR:
        cells.unclear.add(best)
        cells.beside.extend(words)
        return
    cells.put(best, words)
    kinds = [column.kind for column in panel.columns]
    if "unit" not in kinds and kinds[best] == "result" and is_unit(text_of(words)):
        return  # the unit of the result, without a heading
    is_close = len(by_gap) > 1 and by_gap[1][0] < 1.5 * gap + EDGE
    if is_close and panel.columns[best].misfit(x0, x1) > EDGE:
        cells.unclear.update((best, by_gap[1][1]))
    _note_doubt(x0, x1, panel, best, cells)


def _note_doubt(x0: float, x1: float, panel: Panel, number: int, cells: Cells) -> None:
    """A number that is not well below its heading may belong to the column beside it."""
    column = panel.columns[number]
    is_limit = column.kind in {"low", "high"}
    if column.kind in _TEXT_COLUMNS or not (panel.has_rivals or is_limit):
        return
    is_below = column.overlap(x0, x1) >= 0.6 * min(x1 - x0, column.x1 - column.x0)
    if not is_below and column.misfit(x0, x1) > EDGE:
        cells.unclear.add(number)
