# SPDX-License-Identifier: Apache-2.0
"""The heading line of a table of results -> its columns."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from cds_service.copying import replace
from cds_service.reports.dates import begins_date, dates_in, has_date, is_date, is_time
from cds_service.reports.pdf.pages import PageLine, PageWord
from cds_service.reports.vocabulary import (
    COLUMNS,
    ColumnKind,
    meaning_of,
)

_BESIDE: Final = 0.9  # times the size of the letters: between lines of cells of different height
_BELOW: Final = 3.0
_CLOSE: Final = 2.0
_WIDER: Final = 1.4  # times the gap between words of one heading
_SMALL_WORDS: Final = frozenset(("de", "da", "a", "ate", "até", "von", "bis", "di", "do"))
EDGE: Final = 4.0  # points by which words that are aligned may differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column by its heading; `text` is the heading, with the date that stands in it."""

    kind: ColumnKind
    x0: float
    x1: float
    text: str
    is_sure: bool = True

    def overlap(self, x0: float, x1: float) -> float:
        """The width that words have in common with the heading."""
        return min(x1, self.x1) - max(x0, self.x0)

    def misfit(self, x0: float, x1: float) -> float:
        """How far words are from being aligned with the heading: left, right or centred."""
        middles = abs((x0 + x1) - (self.x0 + self.x1)) / 2
        return min(abs(x0 - self.x0), abs(x1 - self.x1), middles)


@dataclass(frozen=True, slots=True)
class Content:
    """Where the values of a table stand that is known by what is in it.

    `values` are the ends of each column of numbers with its number, `limits` those of a column of
    limits such as `< 35`; the others are the numbers of columns.
    """

    values: tuple[tuple[float, float, int], ...]
    limits: tuple[tuple[float, float], ...]
    unit: int
    range: int
    flag: int
    other: int


@dataclass(frozen=True, slots=True)
class Panel:
    """The columns of a table; two tables can stand side by side."""

    columns: tuple[Column, ...]
    left: float
    right: float
    edges: tuple[tuple[float, ...], ...] = ()  # ways to draw the columns that fit all the rows
    pitch: float = 0.0  # the distance of two rows, if that is known
    content: Content | None = None  # of a table without headings, or whose headings are not above

    @property
    def results(self) -> list[Column]:
        """The columns that hold results: one, or one for each date."""
        return [column for column in self.columns if column.kind == "result"]

    @property
    def name(self) -> int:
        """The number of the column with the names of tests."""
        return next((n for n, column in enumerate(self.columns) if column.kind == "name"), 0)

    @property
    def has_rivals(self) -> bool:
        """Whether there is more than one column with numbers that could be results."""
        return sum(column.kind in {"result", "previous", "other"} for column in self.columns) > 1


def read_panels(
    lines: Sequence[PageLine], before: Sequence[PageLine] = ()
) -> tuple[tuple[Panel, ...], int]:
    """The tables whose heading begins with the first line, and how many lines it has.

    A heading has up to three lines, of which the first and last can stand beside the middle one.
    The lines `before` it, if they are close, can say that results below are former ones.
    """
    first = _columns(lines[0])
    columns, used = first, 1
    for above, below in pairwise(lines[:3]):
        gap, size = below.top - above.top, above.size
        is_beside = gap < _BESIDE * size
        may_go_on = _is_heading(columns) or _is_dated_in_part(columns)
        if not is_beside and (gap > _BELOW * size or not may_go_on):
            break
        second = _columns(below)
        merged = _merged(columns, second)
        is_known = all(map(_may_be_heading, second)) or len(merged) == len(columns)
        if _unknown(merged) > _unknown(columns) or not (is_beside or is_known):
            break
        columns, used = merged, used + 1
    former = _former([*before, lines[0]])
    columns, first = _below(former, columns), _below(former, first)
    if _is_heading(columns):
        return _panels(columns), used
    is_alone = _is_heading(first) and not _are_previous(first, columns)
    return (_panels(first), 1) if is_alone else ((), 0)


def _former(lines: Sequence[PageLine]) -> list[Column]:
    """The headings of former results in lines that stand close above the last one."""
    found: list[Column] = []
    for above, line in reversed([*pairwise(lines)]):
        if above.page != line.page or line.top - above.top > _CLOSE * line.size:
            break
        found.extend(column for column in _columns(above) if column.kind == "previous")
    return found


def _below(former: Sequence[Column], columns: Sequence[Column]) -> list[Column]:
    """The headings, those of results below former ones as such."""
    return [
        replace(column, kind="previous")
        if column.kind == "result" and any(column.overlap(o.x0, o.x1) > 0 for o in former)
        else column
        for column in columns
    ]


def _are_previous(first: Sequence[Column], whole: Sequence[Column]) -> bool:
    """Whether what reads as results is that of former ones, as the next line of the heading says.

    `Result` is so above `previous`, beside headings of which too few are known together.
    """
    former = [column for column in whole if column.kind == "previous"]
    results = (column for column in first if column.kind == "result")
    return any(column.overlap(other.x0, other.x1) > 0 for column in results for other in former)


def _is_dated_in_part(columns: Sequence[Column]) -> bool:
    """Whether headings are known but for dates whose years are on the next line."""
    dated = sum(begins_date(column.text) for column in columns)
    return dated > 0 and _unknown(columns) == 0


def _may_be_heading(column: Column) -> bool:
    is_dated = has_date(column.text) or is_time(column.text) or begins_date(column.text)
    is_known = column.kind != "other" or meaning_of([column.text], COLUMNS) is not None
    return is_known or is_dated or _is_bracket(column)


def _unknown(columns: Sequence[Column]) -> int:
    return sum(not _may_be_heading(column) for column in columns)


def _is_bracket(column: Column) -> bool:
    return column.text.startswith(("(", "["))


def _is_heading(columns: Sequence[Column]) -> bool:
    kinds = Counter(column.kind for column in columns)
    has_result = kinds["result"] > 0 or any(is_date(column.text) for column in columns)
    beside = sum(kinds[kind] > 0 for kind in ("name", "unit", "range", "previous", "flag", "low"))
    is_named = kinds["name"] == kinds["result"] == 1 and len(columns) > 2
    return has_result and (beside >= 2 or is_named)


def _columns(line: PageLine) -> list[Column]:
    """The headings of a line: known phrases, and what else stands there."""
    found: list[Column] = []
    for chunk in line.chunks():
        found.extend(_of_chunk(chunk))
    return found


def _of_chunk(chunk: Sequence[PageWord]) -> list[Column]:
    """A chunk as one heading, or as several that stand close together."""
    kind = _kind_of(" ".join(word.text for word in chunk))
    if kind is not None:
        return [_column(kind, chunk)]
    found: list[Column] = []
    start = 0
    while start < len(chunk):
        hit = _heading_at(chunk, start)
        if hit is None and found and _is_apart(chunk, start):
            return [*found, _column("other", chunk[start:])]
        if hit is None:
            return [_column("other", chunk)]
        end, kind = hit
        if kind in {"low", "high"} and chunk[start].text.casefold() in _SMALL_WORDS:
            return [_column("other", chunk)]  # `Valeurs de`, whose rest is below
        found.append(_column(kind, chunk[start:end]))
        start = end
    return found


def _is_apart(words: Sequence[PageWord], start: int) -> bool:
    """Whether the last word has a wider gap before it than all others."""
    gaps = [right.x0 - left.x1 for left, right in pairwise(words)]
    return start == len(words) - 1 and len(gaps) > 1 and gaps[-1] > _WIDER * max(gaps[:-1])


def _heading_at(words: Sequence[PageWord], start: int) -> tuple[int, ColumnKind] | None:
    """The longest heading that begins with a word, and the place after it."""
    for end in range(min(len(words), start + 6), start, -1):
        kind = _kind_of(" ".join(word.text for word in words[start:end]))
        if kind is not None:
            return end, kind
    return None


def _kind_of(text: str) -> ColumnKind | None:
    if is_date(text):
        return "result"
    whole = meaning_of([text], COLUMNS)
    if whole is not None or text.startswith(("(", "[")):
        return whole
    days = list(dates_in(text, "day first"))
    if days:  # the date of the results below it
        rest = text[: days[0].start] + text[days[0].end :]
        kind = meaning_of([rest], COLUMNS)
        is_one = len(days) == 1 and days[0].start != 0
        return kind if is_one and kind in {"result", "previous"} else None
    bare = re.split(r"[(\[]", text, maxsplit=1)[0]
    return meaning_of([bare], COLUMNS) if bare != text and text.endswith((")", "]")) else None


def _column(kind: ColumnKind, words: Sequence[PageWord]) -> Column:
    text = " ".join(word.text for word in words)
    is_sure = all(word.is_sure for word in words)
    return Column(kind=kind, x0=words[0].x0, x1=words[-1].x1, text=text, is_sure=is_sure)


def _merged(first: Sequence[Column], second: Sequence[Column]) -> list[Column]:
    """The headings of two lines; what stands below another belongs to it."""
    merged = [column for column in first if not _spans(column, second)]
    for below in second:
        over = [
            place for place, column in enumerate(merged) if column.overlap(below.x0, below.x1) > 0
        ]
        if len(over) != 1:
            merged.append(below)
            continue
        above = merged[over[0]]
        text = f"{above.text} {below.text}"
        kind = _kind_of(text)
        if kind is None:
            kinds = {above.kind, below.kind} - ({"other"} if _is_bracket(below) else set())
            kind = above.kind if is_date(below.text) and above.kind != "other" else None
            kind = kind or (kinds.pop() if len(kinds) == 1 else "other")
        merged[over[0]] = Column(
            kind=kind,
            x0=min(above.x0, below.x0),
            x1=max(above.x1, below.x1),
            text=text,
            is_sure=above.is_sure and below.is_sure,
        )
    return sorted(merged, key=lambda column: column.x0)


def _spans(column: Column, below: Sequence[Column]) -> bool:
    """Whether a heading stands above several known ones, which say what their columns are."""
    under = [other for other in below if column.overlap(other.x0, other.x1) > 0]
    return len(under) > 1 and all(map(_may_be_heading, under))


def _panels(columns: Sequence[Column]) -> tuple[Panel, ...]:
    names = [place for place, column in enumerate(columns) if column.kind == "name"]
    starts = [0, *names[1:]]
    groups = [
        columns[start:end] for start, end in zip(starts, [*starts[1:], len(columns)], strict=True)
    ]
    if not names:
        # The names have no heading of their own: they stand left of the first column.
        first = Column(kind="name", x0=0, x1=max(columns[0].x0 - 20, 1), text="")
        groups = [[first, *columns]]
    edges = [0.0, *(group[0].x0 - EDGE for group in groups[1:]), float("inf")]
    return tuple(
        Panel(tuple(group), left, right)
        for group, left, right in zip(groups, edges, edges[1:], strict=False)
        if any(column.kind == "result" for column in group)
    )
