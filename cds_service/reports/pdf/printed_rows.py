# SPDX-License-Identifier: Apache-2.0
"""A row as it stands on a page, before its numbers are read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cds_service.reports.pdf.columns import Column
from cds_service.reports.pdf.pages import PageLine, PageWord
from cds_service.reports.report import Place
from cds_service.reports.vocabulary import plain_words

_MARKS: Final = re.compile(r"[\s*†‡§#°⁰¹²³⁴⁵⁶⁷⁸⁹]+$|\s+\d\)$|[\s.:_…]+$")

_QUALIFIER: Final = re.compile(
    r"\b(?:in?dire[ckt]\w*|\w*[ck]onjug\w*|\w*[ck]oniug\w*|frei\w*|free|libre|liber\w*|livre|knochen\w*|"
    r"bone|osse\w*|oseo|osea|isoen\w*|iso|ratio|quotient|rapport|relac\w*|rapporto|index|ma[ck]ro\w*|"
    r"mi[ck]ro\w*|mitochond\w*|alpha|alfa|pr[ae]\w*|gly\w*|gli\w*|unkonj\w*|non|nicht|no|mb|mm)\b"
)


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

    @property
    def results(self) -> list[Column]:
        """The columns in which a result stands."""
        return list(self.texts)

    @property
    def values(self) -> list[str]:
        """The results as printed."""
        return list(self.texts.values())


def bare_name(name: str) -> str:
    """A name without leaders and marks of footnotes."""
    return _MARKS.sub("", name)


def names_variety(text: str) -> bool:
    """Whether a text says which kind of a test it is: direct, bone, a ratio."""
    return _QUALIFIER.search(" ".join(plain_words(text))) is not None


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
