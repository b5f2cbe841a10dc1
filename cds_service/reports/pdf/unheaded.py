# SPDX-License-Identifier: Apache-2.0
"""Tables without headings that are understood -> their columns, by what stands in them.

A name, then a value, with a unit or a range: rows like it that stand below each other are a table.
The values have to be in one column. Where there are two columns of numbers, no row of it counts,
for one may hold earlier results; only headings, if there is one for each, say which is which.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from cds_service.copying import replace
from cds_service.reports.dates import is_date
from cds_service.reports.pdf.columns import EDGE, Column, Content, Panel
from cds_service.reports.pdf.contents import Piece, pieces_of
from cds_service.reports.pdf.matching import matched, stacks_of
from cds_service.reports.pdf.pages import PageLine, text_of
from cds_service.reports.vocabulary import COLUMNS, meaning_of, names_method

_ALIGNED: Final = 3.0  # points by which what is aligned may differ
_OUTLIERS: Final = 0.1  # of the rows
_DISTINCT: Final = 0.7  # of the names of a table
_HEADING: Final = 4  # lines above a table in which its headings may stand
_EXACT: Final = 1.0
_UNLIKE: Final = 2.0  # points by which texts have to differ in width to show how they are aligned


@dataclass(slots=True)
class _Record:
    """What may be a row: a name, and what stands behind it."""

    name: Piece
    line: int
    rest: list[Piece] = field(default_factory=list)

    @property
    def values(self) -> list[Piece]:
        """What may be its result; a number of the name is none (`Vitamin B 12`)."""
        found = [piece for piece in self.rest if piece.kind == "value"]
        own = [piece for piece in found if piece.begins]
        return own if own and found[0] not in own else found

    @property
    def is_row(self) -> bool:
        """Whether there is a value and anything that shows it to be a result."""
        return bool(self.values) and any(piece.kind in {"unit", "range"} for piece in self.rest)


class _Cluster(NamedTuple):
    """Values below each other, and where they stand."""

    x0: float
    x1: float
    pieces: tuple[Piece, ...]

    def overlaps(self, x0: float, x1: float) -> bool:
        """Whether something stands above or below it."""
        return min(x1, self.x1) - max(x0, self.x0) > 0

    @property
    def is_compared(self) -> bool:
        """Whether all of them have a sign such as `<`."""
        return all(piece.is_compared for piece in self.pieces)


def unheaded_panels(lines: Sequence[PageLine]) -> tuple[tuple[Panel, ...], int]:
    """The tables of these lines, side by side, and the number of the line of their first row.

    There are none if it is open what one of them is.
    """
    found = [record for n, line in enumerate(lines) for record in _records(pieces_of(line), n)]
    records = [record for record in found if record.is_row]
    ranges = [p for record in found for p in record.rest if p.kind == "range"]
    groups = _side_by_side(records)
    if not groups:
        return (), 0
    lefts = [0.0, *(min(record.name.x0 for record in group) - EDGE for group in groups[1:])]
    rights = [*lefts[1:], float("inf")]
    panels = [
        _panel(group, left, right, lines, ranges)
        for group, left, right in zip(groups, lefts, rights, strict=True)
    ]
    known = tuple(panel for panel in panels if panel is not None)
    if len(known) != len(panels):
        return (), 0
    return known, min(record.line for record in records)


def _records(pieces: Iterable[Piece], line: int) -> list[_Record]:
    found: list[_Record] = []
    for piece in pieces:
        is_name = piece.kind == "text" and piece.begins
        if is_name and (not found or found[-1].values):
            found.append(_Record(piece, line))
        elif found:
            found[-1].rest.append(piece)
    return found


def _side_by_side(records: Sequence[_Record]) -> list[list[_Record]]:
    """The rows of each table: one begins where names stand behind all that is in the other."""
    starts: list[list[_Record]] = []
    for record in sorted(records, key=lambda record: record.name.x0):
        if starts and record.name.x0 - starts[-1][-1].name.x0 <= EDGE:
            starts[-1].append(record)
        else:
            starts.append([record])
    groups: list[list[_Record]] = []
    for start in starts:
        if groups and not _stands_behind(start, groups[-1]):
            groups[-1].extend(start)
        else:
            groups.append(list(start))
    return groups


def _stands_behind(records: Sequence[_Record], table: Sequence[_Record]) -> bool:
    """Whether rows stand behind all that is in a table, and so are another beside it."""
    if len(records) == 1 or len(table) == 1 or not _are_tests(records):
        return False
    start = records[0].name.x0
    beyond = sum(any(p.x1 > start for p in record.rest) for record in table)
    return beyond <= _OUTLIERS * len(table)


def _are_tests(records: Sequence[_Record]) -> bool:
    """Whether names may be those of tests: a column of methods says the same again and again."""
    names = {record.name.text for record in records}
    return len(names) > _DISTINCT * len(records) and not all(map(names_method, names))


def _panel(
    records: Sequence[_Record],
    left: float,
    right: float,
    lines: Sequence[PageLine],
    ranges: Sequence[Piece],
) -> Panel | None:
    if len(records) == 1 and not {"unit", "range"} <= {p.kind for p in records[0].rest}:
        return None
    results, limits = _value_columns(records, ranges)
    if not results or not all(_is_column(result) for result in results):
        return None
    dates = _dates_above(lines, records[0].line, results)
    name = Column(
        kind="name",
        x0=min(record.name.x0 for record in records),
        x1=max(record.name.x1 for record in records),
        text="",
    )
    columns = [name]
    for cluster, text in zip(results, dates, strict=True):
        columns.append(Column(kind="result", x0=cluster.x0, x1=cluster.x1, text=text))
    return _with_content(
        Panel(tuple(columns), left, right, pitch=_pitch(records, lines)),
        [*((column, n + 1) for n, column in enumerate(results))],
        limits,
    )


def _value_columns(
    records: Sequence[_Record], ranges: Sequence[Piece]
) -> tuple[list[_Cluster], list[_Cluster]]:
    """The columns of values, and those of limits such as `< 35`."""
    clusters = _clusters(p for record in records for p in record.values)
    results: list[_Cluster] = []
    limits: list[_Cluster] = []
    for cluster in clusters:
        is_below = any(cluster.overlaps(p.x0, p.x1) for p in ranges)
        rows = [r for r in records if any(p in cluster.pieces for p in r.values)]
        is_first = all(_has_limits_behind(row, cluster) for row in rows)
        if cluster.is_compared and (is_below or not is_first):
            limits.append(cluster)
        else:
            results.append(cluster)
    return results, limits


def _has_limits_behind(row: _Record, cluster: _Cluster) -> bool:
    """Whether a row has limits besides a value with a sign, which may be one itself."""
    others = [p for p in row.values if p not in cluster.pieces]
    return any(piece.kind == "range" for piece in row.rest) or (
        bool(others) and others[-1].is_compared
    )


def _clusters(pieces: Iterable[Piece]) -> list[_Cluster]:
    found: list[_Cluster] = []
    for piece in sorted(pieces, key=lambda piece: piece.x0):
        last = found[-1] if found else None
        if last is not None and piece.x0 < last.x1:
            x1 = max(last.x1, piece.x1)
            found[-1] = _Cluster(last.x0, x1, (*last.pieces, piece))
        else:
            found.append(_Cluster(piece.x0, piece.x1, (piece,)))
    return found


def _is_column(cluster: _Cluster) -> bool:
    """Whether values are aligned left, right or in the middle, or have gaps before them."""
    pieces = cluster.pieces
    if sum(piece.begins for piece in pieces) >= (1 - _OUTLIERS) * len(pieces):
        return True
    ways = (
        [piece.x0 for piece in pieces],
        [piece.x1 for piece in pieces],
        [(piece.x0 + piece.x1) / 2 for piece in pieces],
    )
    return len(pieces) > 1 and any(max(way) - min(way) <= _ALIGNED for way in ways)


def _dates_above(lines: Sequence[PageLine], first: int, results: Sequence[_Cluster]) -> list[str]:
    """The date above each of several columns, if there stands nothing but dates and headings."""
    for line in reversed(lines[max(first - _HEADING, 0) : first]):
        texts = [text_of(chunk) for chunk in line.chunks()]
        dated = [c for c, text in zip(line.chunks(), texts, strict=True) if is_date(text)]
        known = sum(meaning_of([text], COLUMNS) is not None for text in texts)
        if len(dated) != len(results) or len(dated) < 2 or len(dated) + known < len(texts):
            continue
        over = [[c for c in dated if column.overlaps(c[0].x0, c[-1].x1)] for column in results]
        if all(len(dates) == 1 for dates in over):
            return [text_of(dates[0]) for dates in over]
    return ["" for _ in results]


def _pitch(records: Sequence[_Record], lines: Sequence[PageLine]) -> float:
    tops = sorted({lines[record.line].top for record in records})
    gaps = sorted(below - top for top, below in pairwise(tops))
    return gaps[len(gaps) // 2] if gaps else 0.0


def _with_content(
    panel: Panel, values: Sequence[tuple[_Cluster, int]], limits: Sequence[_Cluster]
) -> Panel:
    """The panel with a column for all that may stand in a row, and where values do."""
    columns = list(panel.columns)
    places: list[int] = []
    for kind in ("unit", "range", "flag", "other"):
        place = next((n for n, column in enumerate(columns) if column.kind == kind), None)
        if place is None or kind == "other":
            place = len(columns)
            columns.append(Column(kind=kind, x0=0.0, x1=0.0, text=""))
        places.append(place)
    content = Content(
        tuple((column.x0, column.x1, n) for column, n in values),
        tuple((limit.x0, limit.x1) for limit in limits),
        *places,
    )
    return replace(panel, columns=tuple(columns), content=content)


def by_content(panel: Panel, lines: Sequence[PageLine]) -> Panel | None:
    """A table with headings, each of which is that of a column of its content.

    It is if there are as many columns of numbers as headings of them, in the same order, or if all
    numbers of one column begin or end where the heading of results does.
    """
    found = [
        record
        for n, line in enumerate(lines)
        for record in _records(pieces_of(line, panel.left, panel.right), n)[:1]
    ]
    records = [record for record in found if record.is_row]
    ranges = [p for record in found for p in record.rest if p.kind == "range"]
    if len(records) < 2:
        return None
    results, limits = _value_columns(records, ranges)
    headed = [n for n, column in enumerate(panel.columns) if column.kind in _NUMERIC]
    if not all(_is_column(result) for result in results):
        return None
    if len(headed) == len(results) and _is_complete(records, len(results)):
        return _with_content(panel, list(zip(results, headed, strict=True)), limits)
    return _matched(panel, records, limits) or _aligned(panel, results, limits)


def _matched(panel: Panel, records: Sequence[_Record], limits: Sequence[_Cluster]) -> Panel | None:
    """The table by the headings with which its columns of numbers can share a cell."""
    headings = panel.columns[panel.name + 1 :]
    stacks = stacks_of([piece for record in records for piece in _behind_name(record)])
    found = matched(headings, stacks)
    if found is None or any(at < 0 for at in found.values()):
        return None
    values: list[tuple[_Cluster, int]] = []
    for number, at in found.items():
        own = [piece for piece in stacks[number].pieces if piece.kind == "value"]
        cluster = _Cluster(min(p.x0 for p in own), max(p.x1 for p in own), tuple(own))
        values.append((cluster, panel.name + 1 + at))
    return _with_content(panel, values, limits)


def _behind_name(record: _Record) -> list[Piece]:
    """What stands behind a name, without what belongs to it."""
    start = next((n for n, piece in enumerate(record.rest) if piece.begins), len(record.rest))
    return record.rest[start:]


_NUMERIC: Final = frozenset(("result", "previous", "other", "low", "high"))


def _is_complete(records: Sequence[_Record], count: int) -> bool:
    """Whether nearly all rows have a value in each column."""
    whole = sum(len(record.values) >= count for record in records)
    return whole >= (1 - 2 * _OUTLIERS) * len(records)


def _aligned(panel: Panel, results: Sequence[_Cluster], limits: Sequence[_Cluster]) -> Panel | None:
    """A column of numbers that all begin, or all end, exactly where the heading does."""
    headings = [n for n, column in enumerate(panel.columns) if column.kind == "result"]
    if len(headings) != 1:
        return None
    heading = panel.columns[headings[0]]
    own = [result for result in results if result.overlaps(heading.x0, heading.x1)]
    if len(own) != 1 or not _is_exact(own[0], heading):
        return None
    columns = list(panel.columns)
    values = [(own[0], headings[0])]
    for result in results:
        if result is not own[0]:
            over = [n for n, c in enumerate(columns) if result.overlaps(c.x0, c.x1)]
            if any(columns[n].kind not in {"other", "previous"} for n in over):
                return None
            values.append((result, len(columns)))
            columns.append(Column(kind="other", x0=result.x0, x1=result.x1, text=""))
    return _with_content(replace(panel, columns=tuple(columns)), values, limits)


def _is_exact(cluster: _Cluster, heading: Column) -> bool:
    widths = [piece.x1 - piece.x0 for piece in cluster.pieces]
    if max(widths) - min(widths) < _UNLIKE:
        return False
    begins = all(abs(piece.x0 - heading.x0) <= _EXACT for piece in cluster.pieces)
    ends = all(abs(piece.x1 - heading.x1) <= _EXACT for piece in cluster.pieces)
    return begins or ends
