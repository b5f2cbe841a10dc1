# SPDX-License-Identifier: Apache-2.0
"""The words of a page with their places, and words that are printed letter by letter."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from cds_service.copying import replace

STRUCK: Final = "\u0336"  # of Unicode, which makes a number none
# What a font may give for the sign of an accent of which it does not say what it stands for.
_NUL: Final = "\0"
_LETTER: Final = re.compile(rf"[^\W\d_]{_NUL}?")
_LAST_LETTER: Final = re.compile(rf"{_LETTER.pattern}[:.]?")
_WIDEST: Final = 2.0  # times the size of the letters, between two of a word
_WIDER: Final = 1.4  # times the gap between letters: the gap between words
_LEAST: Final = 4  # letters


@dataclass(frozen=True, slots=True, kw_only=True)
class PageWord:
    """A word with its box in points from the upper left corner of the page."""

    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    size: float
    is_bold: bool = False
    is_sure: bool = True  # of a scan: whether both readings say so; else whether it is not struck

    @property
    def middle(self) -> float:
        """Half way between its left and its right end."""
        return (self.x0 + self.x1) / 2

    @property
    def height(self) -> float:
        """Where it stands on the page: half way between top and bottom."""
        return (self.top + self.bottom) / 2


def text_of(words: Iterable[PageWord]) -> str:
    """What words say, a blank between them."""
    return " ".join(word.text for word in words)


def closed_up(line: Sequence[PageWord]) -> list[PageWord]:
    """The words of a line, those that are spaced out as words: `D O N O R`."""
    found: list[PageWord] = []
    start = 0
    while start < len(line):
        end = _end_of_letters(line, start)
        letters = line[start:end]
        found.extend([_joined(letters)] if len(letters) >= _LEAST else letters)
        start = end
    return found


def _end_of_letters(line: Sequence[PageWord], start: int) -> int:
    """The place after the letters that stand near each other from a word on."""
    end = start
    while end < len(line) and _LETTER.fullmatch(line[end].text):
        end += 1
        if end < len(line) and line[end].x0 - line[end - 1].x1 > _WIDEST * line[end].size:
            return end
    is_end = end > start and end < len(line) and _LAST_LETTER.fullmatch(line[end].text)
    return end + 1 if is_end or end == start else end


def _joined(letters: Sequence[PageWord]) -> PageWord:
    """The words of letters as one, for their gaps are those of columns; a wider gap ends a word."""
    first, last = letters[0], letters[-1]
    gaps = [right.x0 - left.x1 for left, right in pairwise(letters)]
    widest = _WIDER * max(min(gaps), 0.0)
    text = first.text
    for gap, letter in zip(gaps, letters[1:], strict=True):
        text += f" {letter.text}" if gap > widest else letter.text
    return replace(
        first,
        text=text.replace(_NUL, ""),
        x1=last.x1,
        top=min(letter.top for letter in letters),
        bottom=max(letter.bottom for letter in letters),
        is_bold=all(letter.is_bold for letter in letters),
        is_sure=all(letter.is_sure for letter in letters),
    )
