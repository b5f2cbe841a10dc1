# SPDX-License-Identifier: Apache-2.0
"""A picture of a page -> its lines of words, read by Tesseract.

Each page is read twice, in two sizes. A word of which Tesseract is not confident, or that the two
readings do not have in common, is not sure. Nothing here decides what a word means.
"""

import csv
import io
import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from shutil import which
from statistics import mean, median
from typing import TYPE_CHECKING, Final

from cds_service.clock import Deadline
from cds_service.copying import replace
from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.reports.pdf.pages import PageLine, PageWord, lines_of
from cds_service.reports.pdf.straightening import Straightening, skew_of, straightened

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SCANS = 4  # pages of a file
LONG_SIDE: Final = 3300  # pixels: an A4 page at 282 dpi
_SECOND_SIDE: Final = 2500
_LANGUAGES: Final = ("eng", "deu", "fra", "spa", "ita", "por")
_SURE: Final = 75.0  # Tesseract's confidence, of 100
_READABLE: Final = 60.0  # the mean confidence of a page, below which it is refused
_FEWEST: Final = 5  # words
_PRINT: Final = 40  # of 256 shades: how much darker than the paper faint print is at least
_BLANK: Final = 0.0002  # of a page that is dark: specks; a line of print is more
_DIGIT_HEIGHT: Final = 0.72  # of the size of the letters
_NEAR: Final = 0.5  # of a word that another one covers
# Two pictures are read at once. More threads wait for each other: with four on two processors a
# page of noise takes three times as long.
_ONE_THREAD: Final = {"OMP_THREAD_LIMIT": "1"}
_RULE: Final = re.compile(r"[|\[\]{}_¦]+")
_NO_PROGRAM: Final = (
    "Expected a PDF with text. This one holds pictures, such as a scan. To read those, Tesseract 4 "
    "or newer with its languages has to be installed here, on Debian by apt-get install "
    "tesseract-ocr tesseract-ocr-deu; the image of cds-service does not hold it."
)
_TOO_LONG: Final = (
    "Expected scanned pages that are read within 8 seconds: fewer of them, or a clearer picture."
)
_ILLEGIBLE: Final = "Expected a scan that can be read well. This one is too unclear."


@dataclass(slots=True)
class Scanner:
    """Reads scanned pages of one file, not too many, until its deadline."""

    deadline: Deadline | None = None
    pages: int = 0
    _languages: str = ""

    def read(self, picture: "Image", page: int, width: float) -> list[PageLine]:
        """The lines of a page that is `width` points wide.

        Raises `RequestError` where there is no Tesseract, or the page cannot be read well, and
        `PayloadTooLarge` for too many pages.
        """
        self.pages += 1
        if self.pages > MAX_SCANS:
            raise PayloadTooLarge(f"Expected at most {MAX_SCANS} scanned pages.")
        grey = picture.convert("L")
        if _is_blank(grey):
            return []  # the back of a sheet
        angle = skew_of(grey)
        straight = straightened(grey, angle)
        with ThreadPoolExecutor(2) as both:
            first, second = both.map(
                lambda side: self._words(straight, side, width), (LONG_SIDE, _SECOND_SIDE)
            )
        if len(first) < _FEWEST or mean(word.confidence for word in first) < _READABLE:
            raise RequestError(_ILLEGIBLE)
        height = width * grey.height / grey.width
        turn = Straightening(angle=angle, x=width / 2, y=height / 2)
        words = _of_one_size(_compared(first, second))
        return [_levelled(line, turn) for line in lines_of(page, words)]

    def _words(self, picture: "Image", side: int, width: float) -> list["_ReadWord"]:
        scale = side / max(picture.size)
        sized = picture.resize((round(picture.width * scale), round(picture.height * scale)))
        held = io.BytesIO()
        sized.save(held, "PNG", compress_level=1)
        dpi = str(round(72 * sized.width / width))
        table = self._run(held.getvalue(), "-", "-", "-l", self._known(), "--psm", "11",
                          "--dpi", dpi, "tsv")  # fmt: skip
        return _words_of(table, width / sized.width)

    def _known(self) -> str:
        if not self._languages:
            installed = self._run(b"", "--list-langs").split()
            self._languages = (
                "+".join(language for language in _LANGUAGES if language in installed) or "eng"
            )
        return self._languages

    def _run(self, data: bytes, *arguments: str) -> str:
        program = which("tesseract")
        if program is None:
            raise RequestError(_NO_PROGRAM)
        try:
            ended = subprocess.run(  # noqa: S603 - its words are ours, the picture is its input
                [program, *arguments],
                input=data,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_ONE_THREAD,
                timeout=max(self.deadline.remaining(), 0.01) if self.deadline else None,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PayloadTooLarge(_TOO_LONG) from None
        if ended.returncode != 0:
            raise RequestError(_ILLEGIBLE)
        return ended.stdout.decode("utf-8", errors="replace")


def _is_blank(grey: "Image") -> bool:
    """Whether next to nothing is darker than the paper, which is what most of a page is."""
    from PIL import ImageStat

    paper = int(ImageStat.Stat(grey).median[0])
    dark = sum(grey.histogram()[: max(paper - _PRINT, 0)])
    return dark < _BLANK * grey.width * grey.height


@dataclass(frozen=True, slots=True)
class _ReadWord:
    word: PageWord
    confidence: float


def _words_of(table: str, scale: float) -> list[_ReadWord]:
    """The words of Tesseract's table, in points; what is only a rule of the page is none."""
    found: list[_ReadWord] = []
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        text, confidence = (row.get("text") or "").strip(), float(row.get("conf") or -1)
        bare = _RULE.sub("", text)
        if confidence < 0 or not bare:
            continue
        x0, top = float(row["left"]) * scale, float(row["top"]) * scale
        height = float(row["height"]) * scale
        word = PageWord(
            text=bare,
            x0=x0,
            x1=x0 + float(row["width"]) * scale,
            top=top,
            bottom=top + height,
            size=height,
            is_sure=confidence >= _SURE and bare == text,  # a rule may be a 1
        )
        found.append(_ReadWord(word, confidence))
    return found


def _compared(first: Sequence[_ReadWord], second: Sequence[_ReadWord]) -> list[PageWord]:
    """The words of the first reading, and those that only the second one has, as not sure."""
    used: set[int] = set()
    words: list[PageWord] = []
    for read in first:
        alike = [n for n, other in enumerate(second) if _covers(read.word, other.word)]
        used.update(n for n, other in enumerate(second) if _covers(other.word, read.word))
        used.update(alike)
        text = "".join(second[n].word.text for n in sorted(alike, key=lambda n: second[n].word.x0))
        is_sure = read.word.is_sure and text == read.word.text
        words.append(replace(read.word, is_sure=is_sure))
    missed = (other.word for n, other in enumerate(second) if n not in used)
    return [*words, *(replace(word, is_sure=False) for word in missed)]


def _covers(outer: PageWord, inner: PageWord) -> bool:
    """Whether most of a word stands where another one does."""
    wide = min(outer.x1, inner.x1) - max(outer.x0, inner.x0)
    high = min(outer.bottom, inner.bottom) - max(outer.top, inner.top)
    near = wide > _NEAR * (inner.x1 - inner.x0) and high > _NEAR * (inner.bottom - inner.top)
    return near and wide > 0 and high > 0


def _levelled(line: PageLine, turn: Straightening) -> PageLine:
    """A line whose words have one height: a dash and a bracket are in the order of reading."""
    top, bottom = line.top, max(word.bottom for word in line.words)
    words = tuple(replace(word, top=top, bottom=bottom) for word in line.words)
    return replace(line, words=words, scan=turn)


def _of_one_size(words: Sequence[PageWord]) -> list[PageWord]:
    """The words with the size of the letters of most of the page: boxes of words say little."""
    digits = [word.size for word in words if word.text.isdigit()]
    size = median(digits or [word.size for word in words]) / _DIGIT_HEIGHT
    return [replace(word, size=size) for word in words]
