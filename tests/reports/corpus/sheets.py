# SPDX-License-Identifier: Apache-2.0
"""A page of print: text at places, tables with and without rules, as PDF."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import reportlab
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = A4
_FOLDER = Path(reportlab.__file__).parent / "fonts"
for _name, _file in (("Vera", "Vera.ttf"), ("Vera-Bold", "VeraBd.ttf")):
    pdfmetrics.registerFont(TTFont(_name, str(_FOLDER / _file)))


@dataclass(frozen=True, slots=True)
class Slot:
    """A column of a table: which text of a row, its heading, its place and how it is aligned."""

    key: str
    heading: str
    x: float
    align: str = "left"
    below: str = ""  # a second line of the heading


class Sheet:
    """Writes from top to bottom; `finished` is the file."""

    def __init__(self, *, font: str = "Helvetica", size: float = 9, leading: float = 14) -> None:
        self._buffer = io.BytesIO()
        self.canvas = Canvas(self._buffer, pagesize=A4, invariant=1)
        self.font, self.size, self.leading = font, size, leading
        self.y = HEIGHT - 50

    def at(
        self, x: float, text: str, *, align: str = "left", bold: bool = False, size: float = 0
    ) -> None:
        """Write a text on the current line."""
        self.canvas.setFont(f"{self.font}-Bold" if bold else self.font, size or self.size)
        draw = {
            "left": self.canvas.drawString,
            "right": self.canvas.drawRightString,
            "middle": self.canvas.drawCentredString,
        }[align]
        draw(x, self.y, text)

    def down(self, lines: float = 1) -> None:
        """Go down by some lines."""
        self.y -= lines * self.leading

    def raised(self, x: float, text: str) -> None:
        """Write a small raised text on the current line."""
        self.canvas.setFont(self.font, self.size * 0.6)
        self.canvas.drawString(x, self.y + self.size * 0.35, text)

    def width(self, text: str, *, bold: bool = False) -> float:
        """The width of a text."""
        return float(
            self.canvas.stringWidth(text, f"{self.font}-Bold" if bold else self.font, self.size)
        )

    def headings(self, slots: Sequence[Slot], *, bold: bool = True) -> None:
        """The line of headings of a table."""
        for slot in slots:
            self.at(slot.x, slot.heading, align=slot.align, bold=bold)
        if any(slot.below for slot in slots):
            self.down(0.8)
            for slot in slots:
                self.at(slot.x, slot.below, align=slot.align, bold=bold)
        self.down()

    def row(self, slots: Sequence[Slot], texts: dict[str, str]) -> None:
        """A line of a table."""
        for slot in slots:
            self.at(slot.x, texts.get(slot.key, ""), align=slot.align)
        self.down()

    def rule(self, x0: float, x1: float) -> None:
        """A rule between two lines."""
        self.canvas.setLineWidth(0.5)
        y = self.y + self.leading - 3
        self.canvas.line(x0, y, x1, y)

    def upright(self, xs: Sequence[float], top: float) -> None:
        """Rules from a height down to the current line."""
        for x in xs:
            self.canvas.line(x, top, x, self.y + self.leading - 3)

    def next_page(self) -> None:
        """Begin a page."""
        self.canvas.showPage()
        self.y = HEIGHT - 50

    def finished(self) -> bytes:
        """The file."""
        self.canvas.save()
        return self._buffer.getvalue()
