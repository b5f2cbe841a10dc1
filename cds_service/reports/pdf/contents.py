# SPDX-License-Identifier: Apache-2.0
"""The words of a line -> what each of them is by itself: a value, a unit, a range, a flag, a date.

What can be several things is a text, which no value is ever read from.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from cds_service.reports.cells import is_flag_word
from cds_service.reports.dates import is_date
from cds_service.reports.pdf.pages import PageLine, PageWord
from cds_service.reports.units import UNIT, UNIT_OF_LETTERS, is_cut_unit, is_unit

PieceKind: TypeAlias = Literal["text", "value", "unit", "range", "flag", "date"]

_MOST: Final = 7  # words of a range: `( from 7.0 to 40.0 U/L )`
_NUMBER: Final = r"\d+(?:[.,]\d+)*"
_SIGN: Final = r"(?:<=|>=|=<|=>|[<>≤≥⩽⩾])"
_TO: Final = r"(?:-|–|—|−|‐|‑|\.\.\.?|…|to|bis|à|a|al|ate|até|und|y|et|e|and)"
_FROM: Final = r"(?:von|from|de|da|entre|between|zwischen|tra)?"
_WORDS: Final = (
    r"(?:up to|bis|jusqu['’]?\s?[àa]|hasta|fino a|até|ate|max\.?|less than|below|under|unter|"
    r"kleiner(?: als)?|inf[eé]rieure? [àa]|menor (?:de|que|a)|inf\. [àa]|inferiore? a|"
    r"inferior [aà]|moins de|menos de|minore di|meno di|at least|from|ab|mind\.?|mindestens|"
    r"[àa] partir de|desde|more than|above|over|greater than|über|größer(?: als)?|"
    r"sup[eé]rieure? [àa]|sup\. [àa]|mayor (?:de|que|a)|superiore? a|superior [aà]|plus de|"
    r"m[áa]s de|maggiore di|maior (?:que|de)|mais de)"
)
_LABEL: Final = (
    r"(?:(?:ref(?:er)?\w*|réf\w*|norm\w*|rif\w*|n|nb|v\.?\s?[rn]|vr|vn|rr|range|limits?)"
    r"\.?(?:\s(?:range|interval|values?|bereich|wert))?\s?:?\s?)?"
)
_OPEN, _CLOSED = r"[(\[]\s?", r"\s?[)\]]"
_UNITS: Final = rf"(?:\s?(?:{UNIT.pattern}|{UNIT_OF_LETTERS.pattern}))?"
_BETWEEN: Final = rf"{_FROM}\s?(?P<low>{_NUMBER})\s?{_TO}\s?(?P<high>{_NUMBER})"
_RANGE: Final = re.compile(rf"(?:{_OPEN})?{_LABEL}{_BETWEEN}{_UNITS}(?:{_CLOSED})?", re.IGNORECASE)
_ONE_SIDED: Final = re.compile(
    rf"{_OPEN}{_LABEL}(?:{_SIGN}|{_WORDS})\s?{_NUMBER}{_UNITS}{_CLOSED}|"
    rf"{_LABEL}{_WORDS}\s?{_NUMBER}{_UNITS}",
    re.IGNORECASE,
)
_VALUE: Final = re.compile(rf"(?:{_SIGN}\s?)?[-–−+]?\d\S*|{_SIGN}\s?\d\S*|[*↑↓▲▼⬆⬇]+\d\S*")
_SIGNS_ALONE: Final = re.compile(r"[(\[]?(?:[*+!↑↓▲▼⬆⬇]{1,3}|-|−|HH|LL|H|L|N|A|B|HI|LO)[)\]]?")
_NOTHING: Final = re.compile(r"[-–—]{2,5}|—|\.{2,3}")  # in the place of a value
_DEGREES: Final = re.compile(r"\d\d\s?°\s?C?[:,)]?")
_LETTER: Final = re.compile(r"[^\W\d_]")
_DIGIT: Final = re.compile(r"\d")


class Piece(NamedTuple):
    """Words of one kind that stand together; the first of a chunk has a wide gap before it."""

    kind: PieceKind
    words: tuple[PageWord, ...]
    begins: bool

    @property
    def text(self) -> str:
        """The words with spaces between them."""
        return " ".join(word.text for word in self.words)

    @property
    def x0(self) -> float:
        """The left end."""
        return self.words[0].x0

    @property
    def x1(self) -> float:
        """The right end."""
        return self.words[-1].x1

    @property
    def is_compared(self) -> bool:
        """Whether it begins with a sign such as `<`: a value, or a limit."""
        return self.kind == "value" and self.text[0] in "<>≤≥=⩽⩾"


def pieces_of(line: PageLine, left: float = 0.0, right: float = float("inf")) -> list[Piece]:
    """What stands in a line between two places."""
    found: list[Piece] = []
    for chunk in line.chunks():
        words = [word for word in chunk if left <= word.middle < right]
        found.extend(_pieces(words, found))
    return found


def _pieces(words: Sequence[PageWord], before: Sequence[Piece]) -> Iterator[Piece]:
    kinds = [piece.kind for piece in before]
    start = 0
    while start < len(words):
        end, kind = _longest(words, start, kinds)
        if kind == "text":
            while end < len(words) and _longest(words, end, [*kinds, "text"])[1] == "text":
                end += 1
        kinds.append(kind)
        yield Piece(kind, tuple(words[start:end]), start == 0)
        start = end


def _longest(
    words: Sequence[PageWord], start: int, before: Sequence[PieceKind]
) -> tuple[int, PieceKind]:
    """The place after the longest piece that begins with a word, and what it is."""
    near = words[start : start + _MOST]
    most = len(near) if any(_DIGIT.search(word.text) for word in near) else min(len(near), 3)
    since = before[_last(before, "text") + 1 :]
    is_behind = "value" in since
    is_close = is_behind and set(since[_last(since, "value") :]) <= {"value", "flag"}
    for end in range(start + most, start, -1):
        text = " ".join(word.text for word in words[start:end])
        kind = kind_of(text, is_behind=is_behind, is_close=is_close, is_apart=start == 0)
        if kind is not None:
            return end, kind
    return start + 1, "text"


def _last(kinds: Sequence[PieceKind], kind: PieceKind) -> int:
    return max((at for at, known in enumerate(kinds) if known == kind), default=-1)


def kind_of(
    text: str, *, is_behind: bool = True, is_close: bool = True, is_apart: bool = True
) -> PieceKind | None:
    """What a text is; a unit of letters alone only close behind a value, a flag if it is apart."""
    between = _RANGE.fullmatch(text)
    if between is not None:
        return "range" if _is_rising(between["low"], between["high"]) else None
    if _ONE_SIDED.fullmatch(text):
        return "range"
    if is_date(text):
        return "date"
    if is_unit(text) or (is_close and UNIT_OF_LETTERS.fullmatch(text)):
        return "unit"
    if is_cut_unit(text):
        return "text"
    if _SIGNS_ALONE.fullmatch(text):
        has_letter = _LETTER.search(text) is not None
        return "flag" if not has_letter or is_behind or is_apart else None
    if is_flag_word(text):
        return "flag" if is_behind or is_apart else None
    if _DEGREES.fullmatch(text):
        return None  # at which an enzyme was measured
    return "value" if _VALUE.fullmatch(text) or _NOTHING.fullmatch(text) else None


def _is_rising(low: str, high: str) -> bool:
    try:
        return float(low.replace(",", ".")) <= float(high.replace(",", "."))
    except ValueError:
        return True  # of thousands with a mark


def values_of(pieces: Iterable[Piece]) -> list[Piece]:
    """Those that are values, or limits with a sign."""
    return [piece for piece in pieces if piece.kind == "value"]
