# SPDX-License-Identifier: Apache-2.0
"""Bytes of a PDF -> its pages as lines of words with their places."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from unicodedata import normalize

from cds_service.copying import replace
from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.reports.pdf.page_words import STRUCK, PageWord, closed_up, text_of
from cds_service.reports.pdf.straightening import Straightening

__all__ = ("STRUCK", "PageLine", "PageWord", "lines_of", "read_pages", "text_of")

MAX_PAGES: Final = 40
_MOST_CHARACTERS: Final = 30_000  # of a page; a dense page of print has some 6 000
_SCAN: Final = 0.7  # of the page that is one picture
_PICTURES: Final = 0.3  # of a page without text: more than a logo, it may be a scan in strips
_OUTLINES: Final = 100  # curves on a page without text: letters that were drawn
_NO_TEXT: Final = "Expected a PDF with text. This one is empty."
_LAID_OVER: Final = "Expected a PDF with text, or a scan without a text laid over it."
_THIN: Final = 2.5  # points: the height of a stroke
_RAISED: Final = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")


@dataclass(frozen=True, slots=True)
class PageLine:
    """The words of a line from left to right, on which page, and the rules drawn across it.

    `scan` says how a scanned page was set straight, before its words were read from a picture.
    """

    page: int
    words: tuple[PageWord, ...]
    rules: tuple[float, ...] = ()
    scan: Straightening | None = None

    @property
    def text(self) -> str:
        """The words with spaces between them."""
        return text_of(self.words)

    @property
    def top(self) -> float:
        """Where it stands on the page."""
        return min(word.top for word in self.words)

    @property
    def size(self) -> float:
        """The size of its largest letters."""
        return max(word.size for word in self.words)

    @property
    def is_bold(self) -> bool:
        """Whether all of it is bold."""
        return all(word.is_bold for word in self.words)

    def chunks(self) -> list[tuple[PageWord, ...]]:
        """Words that stand together, without a wide gap or a rule between them."""
        found: list[list[PageWord]] = []
        for word in self.words:
            last = found[-1][-1] if found else None
            if last is not None and not self._is_apart(last, word):
                found[-1].append(word)
            else:
                found.append([word])
        return [tuple(chunk) for chunk in found]

    def _is_apart(self, left: PageWord, right: PageWord) -> bool:
        if right.x0 - left.x1 > 0.75 * max(left.size, right.size):
            return True
        return any(left.middle < rule < right.middle for rule in self.rules)


ReadScan: TypeAlias = Callable[[int], list[PageLine]]
"""Reads the lines of a page, by its number, from its picture."""


def read_pages(data: bytes, read_scan: ReadScan) -> list[list[PageLine]]:
    """The lines of each page; raises `RequestError` for what cannot be read."""
    pages = list(_pages(data, read_scan))
    if not any(pages):
        raise RequestError(_NO_TEXT)
    return pages


def _pages(data: bytes, read_scan: ReadScan) -> Iterator[list[PageLine]]:
    import pdfplumber
    from pdfminer.pdfdocument import PDFEncryptionError, PDFPasswordIncorrect

    try:
        with pdfplumber.open(io.BytesIO(data)) as file:
            _check_length(file.pages)
            for page in file.pages:
                yield _lines(page, read_scan)
                page.close()
    except (RequestError, MemoryError, RecursionError):
        raise
    except Exception as error:  # noqa: BLE001 - a broken file fails anywhere in the library
        causes = (error, *error.args, error.__cause__, error.__context__)
        if any(isinstance(cause, MemoryError | RecursionError) for cause in causes):
            raise MemoryError from None
        if any(isinstance(cause, PDFEncryptionError | PDFPasswordIncorrect) for cause in causes):
            raise RequestError("Expected a PDF without a password.") from None
        raise RequestError("Expected a PDF that is whole.") from None


def _check_length(pages: Sequence[Any]) -> None:
    if len(pages) > MAX_PAGES:
        raise PayloadTooLarge(f"Expected at most {MAX_PAGES} pages.")


def _lines(page: Any, read_scan: ReadScan) -> list[PageLine]:
    if len(page.chars) > _MOST_CHARACTERS:
        raise PayloadTooLarge(f"Expected at most {_MOST_CHARACTERS:,} characters on a page.")
    area = float(page.width) * float(page.height)
    pictures = sum(map(_area, page.images))
    if not page.chars and (pictures > _PICTURES * area or len(page.curves) > _OUTLINES):
        return read_scan(page.page_number)
    if any(_area(image) > _SCAN * area for image in page.images):
        raise RequestError(_LAID_OVER)  # by a machine, which nobody compared with the scan
    page = page.filter(lambda drawn: drawn["object_type"] != "char" or drawn["upright"])
    words = _joined(_words(page.dedupe_chars()))
    rules = sorted((e["x0"], e["top"], e["bottom"]) for e in page.edges if e["orientation"] == "v")
    return lines_of(page.page_number, words, rules)


def lines_of(
    page: int, words: Sequence[PageWord], rules: Iterable[tuple[float, float, float]] = ()
) -> list[PageLine]:
    """The lines of these words; of each rule its place, top and bottom are given."""
    drawn = tuple(rules)
    return [
        PageLine(
            page,
            tuple(closed_up(line)),
            tuple(x for x, top, bottom in drawn if top - 1 <= _height(line) <= bottom + 1),
        )
        for line in _clustered(words)
    ]


def _area(image: dict[str, Any]) -> float:
    return float((image["x1"] - image["x0"]) * (image["bottom"] - image["top"]))


def _words(page: Any) -> list[PageWord]:
    found = page.extract_words(
        x_tolerance_ratio=0.15, y_tolerance=2, extra_attrs=["size", "fontname"]
    )
    drawn = (*page.lines, *page.rects)
    strokes = [stroke for stroke in drawn if stroke["height"] < _THIN < stroke["width"]]
    return [
        PageWord(
            # One character for each letter, with its accent, as the words that are known have.
            text=normalize("NFC", word["text"]) + (STRUCK if is_struck else ""),
            x0=word["x0"],
            x1=word["x1"],
            top=word["top"],
            bottom=word["bottom"],
            size=word["size"],
            is_bold="bold" in str(word["fontname"]).lower(),
            is_sure=not is_struck,
        )
        for word, is_struck in ((word, _is_struck(word, strokes)) for word in found)
        if word["x1"] > 0 and word["x0"] < page.width and 0 <= word["top"] < page.height
    ]


def _is_struck(word: dict[str, Any], strokes: Iterable[dict[str, Any]]) -> bool:
    """Whether a stroke goes through the middle of a word from its beginning to its end."""
    height = word["bottom"] - word["top"]
    return any(
        stroke["x0"] < word["x0"] + 1
        and stroke["x1"] > word["x1"] - 1
        and word["top"] + 0.3 * height < stroke["top"] < word["bottom"] - 0.25 * height
        for stroke in strokes
    )


def _joined(words: Sequence[PageWord]) -> list[PageWord]:
    """Small raised signs become part of the word that they touch, as raised signs."""
    ordered = sorted(words, key=lambda word: (word.x0, word.top))
    kept: list[PageWord] = []
    raised: set[int] = set()  # of `kept`: words that end with a raised sign
    for word in ordered:
        place = next((at for at in range(len(kept) - 1, -1, -1) if _touch(kept[at], word)), None)
        left = kept[place] if place is not None else None
        if place is None or left is None:
            kept.append(word)
            continue
        is_raised = word.size < 0.85 * left.size and word.height < left.height
        mark = word.text.translate(_RAISED)
        touches = word.x0 - left.x1 < 0.15 * left.size
        if is_raised and touches:
            kept[place] = replace(left, text=left.text + mark, x1=word.x1)
            raised.add(place)
        elif is_raised:
            kept[place] = replace(left, text=f"{left.text} {mark}", x1=word.x1)
        elif touches and place in raised and abs(word.size - left.size) < 0.1:
            kept[place] = replace(left, text=left.text + word.text, x1=word.x1)
        else:
            kept.append(word)
    return kept


def _touch(left: PageWord, right: PageWord) -> bool:
    near = -0.2 * left.size < right.x0 - left.x1 < 0.6 * left.size
    return near and right.top < left.bottom and right.bottom > left.top


def _clustered(words: Sequence[PageWord]) -> list[list[PageWord]]:
    lines: list[list[PageWord]] = []
    for word in sorted(words, key=lambda word: word.height):
        line = lines[-1] if lines else None
        if line is not None and abs(word.height - _height(line)) < 0.4 * min(word.size, 14):
            line.append(word)
        else:
            lines.append([word])
    return [sorted(line, key=lambda word: word.x0) for line in lines]


def _height(line: Sequence[PageWord]) -> float:
    return sum(word.height for word in line) / len(line)
