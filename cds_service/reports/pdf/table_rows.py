# SPDX-License-Identifier: Apache-2.0
"""The lines of a table of results -> rows with their names, sections and notes.

A line with a name alone is the heading of a section, a note, or the rest of a name that is too long
for one line. Where that is open it counts as a part of the name: a test that is then not recognized
is better than a `Bilirubin` whose second line says `direct`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cds_service.reports.pdf.beside_tables import (
    is_labelled,
    is_no_result,
    is_prose,
    specimen_label,
)
from cds_service.reports.pdf.cells_of_line import Cells
from cds_service.reports.pdf.columns import EDGE, Column, Panel
from cds_service.reports.pdf.contents import kind_of
from cds_service.reports.pdf.kinds import may_go_on, names_kind, names_variety
from cds_service.reports.pdf.pages import PageLine, PageWord, text_of
from cds_service.reports.pdf.placing import read_cells
from cds_service.reports.pdf.printed_rows import (
    PrintedRow,
    bare_name,
    box_of,
    range_of,
)
from cds_service.reports.pdf.row_doubts import (
    are_rivals,
    holds_stray,
    is_beside_heading,
    is_changed_beside,
    is_headed_surely,
    is_range_unclear,
    is_sure,
)
from cds_service.reports.units import is_unit, read_unit_cell, split_flag
from cds_service.reports.vocabulary import (
    names_blood,
    names_fluid,
    names_method,
)

_DIGIT: Final = re.compile(r"\d")
_CLOSE: Final = 0.9  # times the distance of two rows
_LOWER: Final = 0.3  # times the size of the letters: more than beside a footnote
_REACH: Final = 2.2  # times the same, to what may be the rest of a name


@dataclass(slots=True)
class _Place:
    """How far a panel was read on a page."""

    row: PrintedRow | None = None
    words: Sequence[PageWord] = ()  # of the name in the last row
    top: float = 0.0  # of the last line
    above: tuple[str, float, bool] = ("", 0.0, False)  # a name alone, its top, may be a first line
    above_words: Sequence[PageWord] = ()
    taken_back: tuple[PrintedRow, str] | None = None  # a row and its name without the line above
    section: str = ""
    style: tuple[float, bool, float] = (0.0, False, 0.0)  # of its heading: size, bold, place


class TableReader:
    """Reads the lines of all pages in order, and adds the rows to those found before."""

    def __init__(self, rows: list[PrintedRow]) -> None:
        self._rows = rows
        self._places: dict[int, _Place] = {}
        self._above: list[PageLine] = []  # lines that were not taken, after the last row
        self._starts: set[float] = set()  # where names begin on pages with headings
        self._is_headed = False
        self._is_lost = False  # whether the last line of a scan that is no row is not sure

    def end_page(self) -> None:
        """What comes next is no part of the last row, but its section goes on."""
        self._above.clear()
        self._is_headed = False
        for number, at in self._places.items():
            self._places[number] = _Place(section=at.section, style=at.style)

    def begin(self, panels: Sequence[Panel]) -> None:
        """A table begins, whose section may have its heading above the names of the columns."""
        self._is_headed, self._is_lost = True, False
        fluid = next((at for at in self._places.values() if at.section), _Place())
        before, self._places = self._places, {}
        for number, panel in enumerate(panels):
            last = before.get(number, fluid) if len(before) == len(panels) else fluid
            at = _Place(section=last.section, style=last.style)
            self._places[number] = at
            for line in self._above:
                for chunk in line.chunks():
                    if len(panels) == 1 or panel.left <= chunk[0].x0 < panel.right:
                        _read_heading(chunk, at)
        self._above.clear()

    def take(self, line: PageLine, panels: Sequence[Panel]) -> bool:
        """Read a line of the tables side by side; `False` if it is none of theirs."""
        is_taken, known = False, len(self._rows)
        if not is_labelled(line):
            for number, panel in enumerate(panels):
                is_taken |= self._take(number, line, panel)
        if len(self._rows) == known:
            self._is_lost = not all(word.is_sure for word in line.words)
        if is_taken:
            self._above.clear()
        else:
            self._leave(line)
        return is_taken

    def _leave(self, line: PageLine) -> None:
        """A line beside the tables can be the heading of a section, in the middle of the page."""
        self._above.append(line)
        chunks = line.chunks()
        if len(chunks) == 1 or specimen_label(chunks[0]):
            words = tuple(word for chunk in chunks for word in chunk)
            for at in self._places.values():
                _read_heading(words, at)

    def _take(self, number: int, line: PageLine, panel: Panel) -> bool:
        at = self._places.setdefault(number, _Place())
        if panel.content is None and is_prose(line, panel):
            return False
        cells = read_cells(line, panel)
        if not (cells.words and self._is_in_line(_words_of_name(cells, panel))):
            return False
        by_kind = _by_kind(cells, panel)
        name = by_kind.get("name", "")
        texts = {
            column: text
            for place, column in enumerate(panel.columns)
            if column in panel.results and (text := cells.text(place))
        }
        if name and at.row is not None and is_no_result(texts.values()):
            # The rest of cells above: `Bilirubin` with its value, and below `direct` with its unit.
            at.row.name, at.top = f"{at.row.name} {name}", line.top
            at.row.doubt()
            return True
        if name and texts and _may_be_result(texts.values(), by_kind):
            self._add(at, line, panel, cells, texts)
            return True
        if name and not texts and _is_rest(by_kind, at, line.top, panel):
            _add_rest(by_kind, at)
            is_taken = self._take_name(at, line, panel, _words_of_name(cells, panel))
            if by_kind.get("unit") or by_kind.get("range"):
                at.above = ("", 0.0, False)  # a part of the row above, and of no other
            return is_taken
        if name:
            _doubt_above(name, at, line.top, panel)
        is_close, is_of_units = _is_close(at, line.top, panel), all(map(is_unit, texts.values()))
        if texts and not name and not is_of_units and _is_between_names(at, line.top, panel):
            words = at.above_words
            if at.taken_back is not None:
                before, own = at.taken_back
                before.name = own
            self._add(at, line, panel, cells, texts)
            at.words = words
            return True
        if texts and not name and at.row is not None and (is_close or is_of_units):
            # A unit that is far may be that of a row below.
            at.row.add_below(texts.values(), is_close=is_close)
            at.top = line.top if is_close else at.top
            return True
        is_unit_below = bool(by_kind.get("unit")) and is_close
        if not name and not texts and at.row and (by_kind.get("range") or is_unit_below):
            _add_rest(by_kind, at)
            at.row.is_sure &= is_sure(cells)
            at.top = line.top
            return True
        return False

    def _is_in_line(self, name: Sequence[PageWord]) -> bool:
        """Whether a name stands where names do: a page without headings may have other columns."""
        if name and self._is_headed:
            self._starts.add(name[0].x0)
        return not name or any(abs(name[0].x0 - x) < EDGE for x in self._starts)

    def _add(
        self,
        at: _Place,
        line: PageLine,
        panel: Panel,
        cells: Cells,
        texts: dict[Column, str],
    ) -> None:
        by_kind = _by_kind(cells, panel)
        own = by_kind.get("name", "")
        has_own = is_unit(by_kind.get("unit", "")) or _is_range(by_kind)
        if own and not has_own and not any(map(_DIGIT.search, texts.values())):
            _doubt_above(own, at, line.top, panel)  # a row of its own, or the rest of a name
        name = _with_line_above(own, at, line.top, panel.pitch) if own else at.above[0]
        is_unclear = is_range_unclear(cells, panel) and not _is_range(by_kind)
        unit, flags, is_unit_clear = read_unit_cell(by_kind.get("unit", ""))
        signs = [word.text for word in cells.signs]
        is_half = is_unclear and not by_kind.get("range")  # one of two limits, as it seems
        other_flag, range_text = split_flag("" if is_half else range_of(by_kind))
        row = PrintedRow(
            name=bare_name(name),
            texts=texts,
            place=box_of(line, [word for found in cells.words.values() for word in found]),
            unit=unit,
            range_text=range_text,
            range_is_unclear=is_unclear,
            flag=" ".join(filter(None, (by_kind.get("flag", ""), *signs, *flags, other_flag))),
            specimen=by_kind.get("specimen", "") or _fluid_beside(by_kind),
            section=at.section,
            unclear={panel.columns[place] for place in cells.unclear},
            is_scanned=line.scan is not None,
            is_sure=is_sure(cells) and is_headed_surely(panel) and not self._is_lost,
        )
        if are_rivals(panel.results, texts):
            row.doubt()
        if panel.name in cells.unclear or holds_stray(by_kind) or is_beside_heading(cells, panel):
            row.doubt()
        if not is_unit_clear or is_changed_beside(cells, panel):
            row.doubt()
        self._rows.append(row)
        at.row, at.top, at.above = row, line.top, ("", 0.0, False)
        at.taken_back = None
        at.words = _words_of_name(cells, panel)

    def _take_name(
        self, at: _Place, line: PageLine, panel: Panel, words: Sequence[PageWord]
    ) -> bool:
        text = text_of(words)
        size, is_bold = max(word.size for word in words), all(word.is_bold for word in words)
        last = max((word.size for word in at.words), default=size)
        stands_out = size > last + 0.4 or (
            is_bold and not (at.words and all(word.is_bold for word in at.words))
        )
        gap, nearest = line.top - at.top, _gap(at, line, words)
        at.above = (text, line.top, not stands_out and text[0] not in "([")
        at.top, at.above_words, at.taken_back = line.top, words, None
        pitch = panel.pitch or 1.2 * size
        if at.row is None or stands_out or nearest > 1.25 * pitch:
            if stands_out or at.row is None or names_fluid(text) or names_blood(text):
                _begin_section(at, text, words)
            if at.row is not None and nearest < _REACH * max(pitch, size) and may_go_on(text):
                at.row.doubt()
            at.row = None
            return not text.endswith(".")
        is_certain = gap < _CLOSE * pitch  # as close to the row as no other row is
        if is_certain:
            at.above = ("", 0.0, False)
        elif names_fluid(text):
            _begin_section(at, text, words)
        if names_method(text) or text.endswith("."):
            at.row.notes.append(text)
            if names_kind(text) or (" " not in text and may_go_on(text)):
                at.row.doubt()
            at.above = at.above if names_variety(text) else ("", 0.0, False)
        elif not is_certain and names_blood(text) and not text[0].islower():
            _begin_section(at, text, words)
        else:
            at.taken_back = None if is_certain else (at.row, at.row.name)
            at.row.name = bare_name(f"{at.row.name} {text}")
        return True


def _is_rest(by_kind: dict[str, str], at: _Place, top: float, panel: Panel) -> bool:
    """Whether a line without a result is a name, or the rest of cells that go on below."""
    unit, limits = by_kind.get("unit", ""), by_kind.get("range", "")
    if at.row is None:
        return not (unit or limits or by_kind.get("previous"))
    if by_kind.get("previous"):
        return _is_close(at, top, panel)
    is_unit_of_limits = is_unit(limits)
    if not (unit or limits) or _is_close(at, top, panel) or is_unit_of_limits:
        return True
    if (unit and not at.row.unit) or (limits and not at.row.range_text):
        at.row.doubt()  # which has not all that this line has
    return False


def _doubt_above(name: str, at: _Place, top: float, panel: Panel) -> None:
    """Leave a row open whose name may go on in a line that has other cells of its own."""
    if at.row is not None and top - at.top < _REACH * panel.pitch and may_go_on(name):
        at.row.doubt()


def _gap(at: _Place, line: PageLine, words: Sequence[PageWord]) -> float:
    """How far a name is below the last line, or below the name in it where that is lower."""
    size = max((word.size for word in at.words), default=0.0)
    last = max((word.top for word in at.words), default=at.top)
    if last - at.top < _LOWER * size:
        return line.top - at.top
    return min(line.top - at.top, max(min(word.top for word in words) - last, 0.0))


def _is_close(at: _Place, top: float, panel: Panel) -> bool:
    """Whether a line is closer to the last one than two rows are."""
    return top - at.top < _CLOSE * panel.pitch


def _add_rest(by_kind: dict[str, str], at: _Place) -> None:
    """Add what goes on below of a unit and a range; other limits are those of other people."""
    if at.row is None:
        return
    limits = by_kind.get("range", "")
    at.row.add_unit(by_kind.get("unit", ""))
    at.row.range_is_unclear |= bool(limits) and not is_unit(limits)
    at.row.range_text = f"{at.row.range_text} {limits}".strip()


def _is_between_names(at: _Place, top: float, panel: Panel) -> bool:
    """Whether a result stands in the middle of the lines of its name."""
    text, above, may_be_name = at.above
    pitch = panel.pitch or 1.2 * max((word.size for word in at.above_words), default=0.0)
    return bool(text) and may_be_name and 0 < top - above < _CLOSE * pitch


def _is_range(by_kind: dict[str, str]) -> bool:
    """Whether what stands for a range is one by itself, wherever its column ends."""
    return kind_of(by_kind.get("range", "")) == "range"


def _with_line_above(name: str, at: _Place, top: float, pitch: float) -> str:
    """A name with the line above it, if that is close or says which kind of test it is."""
    text, above, may_be_name = at.above
    if not text or not may_be_name:
        return name
    is_close = top - above < _CLOSE * pitch
    return f"{text} {name}".strip() if is_close or names_variety(text) else name


def _begin_section(at: _Place, text: str, words: Sequence[PageWord]) -> None:
    """Another fluid begins a section, which blood or a heading of quite the same rank ends.

    `Chemistry` in smaller letters below `Urine` is the chemistry of urine.
    """
    style = (max(word.size for word in words), all(word.is_bold for word in words), words[0].x0)
    if text[:1].islower():
        return  # the rest of a name: `Albumin` / `in urine`
    if names_fluid(text):
        at.section, at.style = text, style
    elif at.section and names_blood(text):
        size, is_bold, x0 = at.style
        is_same = abs(style[0] - size) < 0.4 and style[1] and is_bold and abs(style[2] - x0) < 5
        if is_same or (names_blood(text, itself=True) and style[0] > size - 0.4):
            at.section = ""


def _read_heading(words: Sequence[PageWord], at: _Place) -> None:
    """A heading above a table, or in its middle, is short and no sentence."""
    text = text_of(words)
    both = names_fluid(text) and names_blood(text)
    if len(words) <= 6 and not text.endswith(".") and not both:
        _begin_section(at, text, words)


def _by_kind(cells: Cells, panel: Panel) -> dict[str, str]:
    found: dict[str, str] = {}
    for place, column in enumerate(panel.columns):
        text = cells.text(place)
        if text:
            found[column.kind] = f"{found.get(column.kind, '')} {text}".strip()
    return found


def _fluid_beside(by_kind: dict[str, str]) -> str:
    """A fluid that stands in any other column of a row."""
    others = (text for kind, text in by_kind.items() if kind != "name")
    return next((text for text in others if names_fluid(text)), "")


def _words_of_name(cells: Cells, panel: Panel) -> Sequence[PageWord]:
    return cells.words.get(panel.name, [])


def _may_be_result(texts: Iterable[str], by_kind: dict[str, str]) -> bool:
    has_beside = any(by_kind.get(kind) for kind in ("unit", "range", "flag"))
    return has_beside or any(len(text.split()) <= 4 for text in texts)
