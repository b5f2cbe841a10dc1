# SPDX-License-Identifier: Apache-2.0
"""A row as it stands on a page, before its numbers are read."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cds_service.reports.pdf.columns import Column
from cds_service.reports.pdf.contents import kind_of
from cds_service.reports.pdf.pages import PageLine, PageWord
from cds_service.reports.report import Place
from cds_service.reports.units import is_unit

_MARKS: Final = re.compile(r"[\s*†‡§#°⁰¹²³⁴⁵⁶⁷⁸⁹]+$|\s+\d\)$|[\s.:_…]+$")


@dataclass(slots=True, kw_only=True)
class PrintedRow:
    """A row as it stands on the page; `texts` are its results by their columns."""

    name: str
    texts: dict[Column, str]
    place: Place
    unit: str = ""
    range_text: str = ""
    range_is_unclear: bool = False
    flag: str = ""
    specimen: str = ""
    section: str = ""
    unclear: set[Column] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    is_scanned: bool = False
    is_sure: bool = True
    is_dated: bool = True  # whether the date of collection of the report is its own
    day: str | None = None  # that a heading above it has, where that is another
    is_of_other: bool = False  # below a heading of another person, or of a control sample

    @property
    def results(self) -> list[Column]:
        """The columns in which a result stands."""
        return list(self.texts)

    @property
    def values(self) -> list[str]:
        """The results as printed."""
        return list(self.texts.values())

    def doubt(self) -> None:
        """Leave all results of the row open."""
        self.unclear.update(self.texts)

    def add_unit(self, rest: str) -> None:
        """Add what goes on below of the unit; what is no part of it leaves the row open."""
        if rest in {"", self.unit}:
            return
        joined = (f"{self.unit}{space}{rest}".strip() for space in (" ", ""))
        whole = next((part for part in joined if kind_of(part) == "unit"), None)
        if whole is None:
            self.doubt()
        else:
            self.unit = whole

    def add_below(self, texts: Iterable[str], *, is_close: bool) -> None:
        """Add what goes on close below of the result: a unit, a flag.

        Anything else, or what is far, leaves the row open.
        """
        found = list(texts)
        if is_close and all(map(is_unit, found)):
            self.add_unit(" ".join(found))
        elif is_close and all(kind_of(text) == "flag" for text in found):
            self.flag = " ".join(filter(None, (self.flag, *found)))
        else:
            self.doubt()


def bare_name(name: str) -> str:
    """A name without leaders and marks of footnotes."""
    return _MARKS.sub("", name)


def range_of(by_kind: Mapping[str, str]) -> str:
    """The range of a row as one text, from its own column or from those of its two limits."""
    if by_kind.get("range"):
        return by_kind["range"]
    low, high = by_kind.get("low", ""), by_kind.get("high", "")
    if low and high:
        return f"{low} - {high}"
    if low:
        return f">= {low}" if low[0].isdigit() else low
    return f"<= {high}" if high[:1].isdigit() else high


def box_of(line: PageLine, words: Sequence[PageWord]) -> Place:
    """Where words of a line stand on its page."""
    place = Place(
        page=line.page,
        x0=min(word.x0 for word in words),
        top=min(word.top for word in words),
        x1=max(word.x1 for word in words),
        bottom=max(word.bottom for word in words),
    )
    return place if line.scan is None else line.scan.undone(place)
