# SPDX-License-Identifier: Apache-2.0
"""Which words of a line stand in which column of a table that is known by its content."""

import re
from collections.abc import Sequence
from typing import Final

from cds_service.reports.pdf.cells_of_line import Cells
from cds_service.reports.pdf.columns import EDGE, Content, Panel
from cds_service.reports.pdf.contents import Piece, pieces_of
from cds_service.reports.pdf.pages import PageLine

_TEXTS: Final = frozenset(("other", "specimen"))
_LEADERS: Final = re.compile(r"[.…_]{3,}$")


def content_cells(line: PageLine, panel: Panel, content: Content) -> Cells:
    """Which words of a line are what, by themselves and by where values stand.

    A row is in doubt if anything in it is not explained, such as a second number.
    """
    cells = Cells()
    has_value = False
    pieces = pieces_of(line, panel.left, panel.right)
    for number, piece in enumerate(pieces):
        if _is_beside_range(number, pieces):
            cells.put(content.range, piece.words)
            cells.unclear.add(content.range)
        elif piece.kind == "value":
            has_value |= _put_value(piece, pieces[:number], panel, content, cells)
        elif piece.kind == "text":
            _put_text(piece, panel, content, cells, has_value=has_value)
        elif piece.kind == "unit" and _is_of_name(piece, pieces[:number], panel):
            cells.put(panel.name, piece.words)  # `ALT [U/L]`
        elif piece.kind == "date":
            cells.put(content.other, piece.words)
        else:
            place = {"unit": content.unit, "range": content.range, "flag": content.flag}[piece.kind]
            _put_once(piece, place, cells)
    if content.unit in cells.unclear:
        _doubt_results(panel, cells)
    return cells


def _is_beside_range(number: int, pieces: Sequence[Piece]) -> bool:
    """Whether words belong to a range: it is one for some people only (`M: 7 - 40`)."""
    chunk = [pieces[number]]
    for piece in reversed(pieces[:number]):
        if chunk[0].begins:
            break
        chunk.insert(0, piece)
    for piece in pieces[number + 1 :]:
        if piece.begins:
            break
        chunk.append(piece)
    kinds = {piece.kind for piece in chunk}
    return {"text", "range"} <= kinds and "value" not in kinds and number > 0


def _put_value(
    piece: Piece, before: Sequence[Piece], panel: Panel, content: Content, cells: Cells
) -> bool:
    """Put a number into its column; whether it is in one of values."""
    if piece.is_compared and any(_touches(piece, *limit) for limit in content.limits):
        _put_once(piece, content.range, cells)
        return False
    places = [n for x0, x1, n in content.values if _touches(piece, x0, x1)]
    if len(places) == 1:
        if places[0] in cells.words:
            cells.unclear.add(places[0])
        cells.put(places[0], piece.words)
        return panel.columns[places[0]].kind == "result"
    if not piece.begins and before and all(piece.kind == "text" for piece in before):
        cells.put(panel.name, piece.words)  # `Vitamin B 12`
        return False
    cells.put(content.other, piece.words)
    _doubt_results(panel, cells)
    return False


def _is_of_name(piece: Piece, before: Sequence[Piece], panel: Panel) -> bool:
    """Whether a unit stands behind a name, or below it."""
    is_below = not before and abs(piece.x0 - panel.columns[panel.name].x0) < EDGE
    is_behind = bool(before) and all(piece.kind == "text" for piece in before)
    return is_below or (is_behind and not piece.begins)


def _put_text(
    piece: Piece, panel: Panel, content: Content, cells: Cells, *, has_value: bool
) -> None:
    headed = [n for n, column in enumerate(panel.columns) if column.text and column.kind in _TEXTS]
    below = [n for n in headed if panel.columns[n].overlap(piece.x0, piece.x1) > 0]
    if below and piece.begins and panel.name in cells.words:
        cells.put(below[0], piece.words)
        return
    if not has_value:
        kept = [word for word in piece.words if not _LEADERS.fullmatch(word.text)]
        cells.put(panel.name, kept)
        return
    cells.put(below[0] if below else content.other, piece.words)
    if not piece.begins and not below:  # close behind a value it may say something of it
        _doubt_results(panel, cells)


def _doubt_results(panel: Panel, cells: Cells) -> None:
    cells.unclear.update(n for n, column in enumerate(panel.columns) if column.kind == "result")


def _put_once(piece: Piece, place: int, cells: Cells) -> None:
    """Put a unit or a range; two that differ are a doubt."""
    if place in cells.words and cells.text(place) != piece.text:
        cells.unclear.add(place)
    if cells.text(place) != piece.text:
        cells.put(place, piece.words)


def _touches(piece: Piece, x0: float, x1: float) -> bool:
    return min(piece.x1, x1) - max(piece.x0, x0) > 0
