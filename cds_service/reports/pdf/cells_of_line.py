# SPDX-License-Identifier: Apache-2.0
"""The words of a line of a table by the columns that they stand in."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cds_service.reports.pdf.pages import PageWord, text_of


@dataclass(slots=True)
class Cells:
    """The words of a line by their columns, by number; `unclear` are columns in doubt.

    `signs` are flags that stand in none of them, `beside` what is far from all of them.
    """

    words: dict[int, list[PageWord]] = field(default_factory=dict)
    unclear: set[int] = field(default_factory=set)
    signs: list[PageWord] = field(default_factory=list)
    beside: list[PageWord] = field(default_factory=list)

    def put(self, column: int, words: Iterable[PageWord]) -> None:
        """Add words to a column."""
        self.words.setdefault(column, []).extend(words)

    def text(self, column: int) -> str:
        """The text of a column."""
        ordered = sorted(self.words.get(column, ()), key=lambda word: (round(word.top), word.x0))
        return text_of(ordered)
