# SPDX-License-Identifier: Apache-2.0
"""Which heading each column of numbers belongs to, where they are not aligned.

A heading and what stands below it share a cell, and cells do not overlap: the space that a heading
takes with its column is apart from that of every other. Of all ways to give columns to headings in
their order only those count in which this holds. The headings are believed if all of these ways
say the same of every number, or if in one way alone each heading has its column, and each column a
heading that is known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from cds_service.reports.pdf.columns import Column
from cds_service.reports.pdf.contents import Piece, PieceKind
from cds_service.reports.vocabulary import ColumnKind

_SHARE: Final = 0.2  # of a column, below which what stands in it does not say what it is
_MOST: Final = 3000  # ways that are tried
_HOLDS: Final[dict[ColumnKind, frozenset[PieceKind]]] = {
    "result": frozenset(("value", "flag", "unit")),
    "previous": frozenset(("value", "flag", "unit", "date")),
    "range": frozenset(("range", "unit", "text")),
    "unit": frozenset(("unit", "text")),
    "flag": frozenset(("flag", "text")),
    "low": frozenset(("value",)),
    "high": frozenset(("value",)),
    "specimen": frozenset(("text",)),
    "other": frozenset(("value", "flag", "unit", "date", "range", "text")),
    "name": frozenset(),
}
_FILLED: Final = frozenset(("result", "previous", "range", "low", "high"))
_NONE: Final = -1  # a column without a heading
Way: TypeAlias = tuple[int, ...]
"""The number of the heading of each column, from left to right."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What stands below each other: its ends, and of which kinds it is."""

    x0: float
    x1: float
    pieces: tuple[Piece, ...]

    @property
    def kinds(self) -> frozenset[PieceKind]:
        """What it holds; limits such as `< 35` among ranges are ranges."""
        kinds = [piece.kind for piece in self.pieces]
        if "range" in kinds:
            kinds = ["range" if piece.is_compared else piece.kind for piece in self.pieces]
        return frozenset(kind for kind in kinds if kinds.count(kind) >= _SHARE * len(kinds))

    @property
    def is_of_values(self) -> bool:
        """Whether numbers stand in it."""
        return "value" in self.kinds


def stacks_of(pieces: Sequence[Piece]) -> list[Stack]:
    """Pieces of many lines by where they stand."""
    found: list[Stack] = []
    for piece in sorted(pieces, key=lambda piece: piece.x0):
        last = found[-1] if found else None
        if last is not None and piece.x0 < last.x1:
            found[-1] = Stack(last.x0, max(last.x1, piece.x1), (*last.pieces, piece))
        else:
            found.append(Stack(piece.x0, piece.x1, (piece,)))
    return found


def matched(headings: Sequence[Column], stacks: Sequence[Stack]) -> dict[int, int] | None:
    """The number of the heading of each column of numbers, by its own; `None` if it is open."""
    results = [n for n, heading in enumerate(headings) if heading.kind == "result"]
    if not results or len(stacks) > 2 * len(headings) + 1:
        return None
    ways: list[Way] = []
    for way in _ways(headings, stacks, (), 0.0):
        ways.append(way)
        if len(ways) > _MOST:
            return None
    ways = [way for way in ways if set(results) <= _with_values(way, stacks)]
    meanings = {_meaning(way, stacks) for way in ways}
    if len(meanings) > 1:
        whole = [way for way in ways if _is_whole(way, headings, stacks)]
        meanings = {_meaning(way, stacks) for way in whole}
    if len(meanings) != 1:
        return None
    numbers = [n for n, stack in enumerate(stacks) if stack.is_of_values]
    return dict(zip(numbers, meanings.pop(), strict=True))


def _ways(
    headings: Sequence[Column], stacks: Sequence[Stack], begun: Way, end: float
) -> Iterator[Way]:
    """All ways that go on as begun, without cells that overlap; `end` is that of the last one."""
    if len(begun) == len(stacks):
        last = max(begun, default=_NONE)
        if _are_apart(headings[last + 1 :], end):
            yield begun
        return
    stack = stacks[len(begun)]
    last = max(begun, default=_NONE)
    for place in range(max(last, 0), len(headings)):
        heading = headings[place]
        if not stack.kinds <= _HOLDS[heading.kind]:
            continue
        if place == last:
            if begun[-1] == last and not _has_two(place, begun, stacks):
                yield from _ways(headings, stacks, (*begun, place), max(end, stack.x1))
            continue
        between = headings[last + 1 : place]
        x0 = min(heading.x0, stack.x0)
        if _are_apart(between, end) and x0 > max([end, *(heading.x1 for heading in between)]) - 1:
            x1 = max(heading.x1, stack.x1)
            yield from _ways(headings, stacks, (*begun, place), x1)
    if stack.x0 > end - 1:
        yield from _without_heading(headings, stacks, begun, end)


def _without_heading(
    headings: Sequence[Column], stacks: Sequence[Stack], begun: Way, end: float
) -> Iterator[Way]:
    """A column that stands between the cells of headings."""
    stack = stacks[len(begun)]
    last = max(begun, default=_NONE)
    following = headings[last + 1 :]
    over = any(column.overlap(stack.x0, stack.x1) > 0 for column in following)
    if not over and all(column.x0 > stack.x1 for column in following):
        yield from _ways(headings, stacks, (*begun, _NONE), stack.x1)
    elif not over:
        # Headings before it have no column.
        before = [column for column in following if column.x1 <= stack.x0]
        if _are_apart(before, end):
            rest = (*begun, _NONE)
            for way in _ways(headings, stacks, rest, stack.x1):
                if min((n for n in way[len(rest) :] if n >= 0), default=len(headings)) >= (
                    last + 1 + len(before)
                ):
                    yield way


def _are_apart(headings: Sequence[Column], end: float) -> bool:
    return all(heading.x0 > end - 1 for heading in headings)


def _has_two(place: int, begun: Way, stacks: Sequence[Stack]) -> bool:
    """Whether a heading would have two columns of numbers, or of texts."""
    own = [stacks[n] for n, at in enumerate(begun) if at == place]
    new = stacks[len(begun)]
    return new.is_of_values and any(stack.is_of_values for stack in own)


def _with_values(way: Way, stacks: Sequence[Stack]) -> set[int]:
    return {at for n, at in enumerate(way) if stacks[n].is_of_values}


def _meaning(way: Way, stacks: Sequence[Stack]) -> Way:
    return tuple(at for n, at in enumerate(way) if stacks[n].is_of_values)


def _is_whole(way: Way, headings: Sequence[Column], stacks: Sequence[Stack]) -> bool:
    """Whether each heading has a column, and each column of numbers a heading that is known."""
    filled = {n for n, heading in enumerate(headings) if heading.kind in _FILLED}
    values = _with_values(way, stacks)
    is_known = all(at >= 0 and headings[at].kind != "other" for at in values)
    return _NONE not in way and filled <= set(way) and is_known
