# SPDX-License-Identifier: Apache-2.0
"""Results in lists and in running text -> rows: `ALT: 41 U/L (7 - 40), AST: 52 U/L`.

A row is a name, a value, and a unit or a range, up to a comma, a semicolon or the end of a line. A
name is all that stands before the value, so that other words in front of it (`previous`, `was`)
make it one that is not known. Anything that is not explained leaves the row open.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cds_service.copying import replace
from cds_service.plain_words import plain_words
from cds_service.reports.dates import has_date
from cds_service.reports.pdf.columns import Column
from cds_service.reports.pdf.contents import Piece, pieces_of
from cds_service.reports.pdf.kinds import names_variety
from cds_service.reports.pdf.pages import PageLine, PageWord
from cds_service.reports.pdf.printed_rows import PrintedRow, bare_name, box_of
from cds_service.reports.remarks import says_hemolyzed
from cds_service.reports.vocabulary import COLUMNS, LABELS, longest_match, names_blood, names_fluid

_NEAR: Final = 1.2  # times the size of the letters between lines of a paragraph
_LONGEST_NAME: Final = 9  # words
_VARIETY: Final = 2  # words such as `indirect`, and `Direct fraction`
_SHORT_NAME: Final = 3  # of a value with neither a unit nor a range
_LEAST: Final = 2  # rows with a unit or a range, without which a text holds no results
_RESULT: Final = Column(kind="result", x0=0.0, x1=0.0, text="")
_BULLETS: Final = frozenset("•▪●◦–-*·‣")
_END: Final = ",;"


class _Token(NamedTuple):
    """A piece of a line, whether a name may begin behind it, and its line."""

    piece: Piece
    ends: bool
    line: PageLine


@dataclass(slots=True)
class _Draft:
    """A row that is being read."""

    name: list[PageWord] = field(default_factory=list)
    pieces: list[_Token] = field(default_factory=list)  # behind the name
    is_odd: bool = False
    is_closed: bool = False  # whether a comma or the like came last
    is_cut: bool = False  # whether its name ends with a comma: `Bilirubin,` and below `indirect`

    def of(self, kind: str) -> list[str]:
        """The texts of one kind."""
        return [_bare(token.piece.text) for token in self.pieces if token.piece.kind == kind]


def read_sentences(
    lines: Sequence[PageLine], rows: list[PrintedRow], other: list[tuple[int, PageLine]]
) -> None:
    """Add the rows of these lines, if there are several; what is none is added to the others."""
    found: list[tuple[PrintedRow, bool]] = []
    section = ""
    for paragraph in _paragraphs(lines):
        text = " ".join(line.text for line in paragraph)
        own = [] if _is_labelled(paragraph[0]) else list(_rows(paragraph))
        if not own:
            other.extend((len(rows) + len(found), line) for line in paragraph)
            section = _section(text, section)
            continue
        is_earlier = _speaks_of_earlier(text)
        for row, is_whole in own:
            row.section = section
            row.is_dated = not has_date(text)
            if is_earlier:
                row.unclear.add(_RESULT)
            found.append((row, is_whole))
    if sum(is_whole for _, is_whole in found) < _LEAST:
        return
    rows.extend(row for row, _ in found)


def _paragraphs(lines: Sequence[PageLine]) -> Iterator[list[PageLine]]:
    """Lines close below each other, without those that begin with a label."""
    found: list[PageLine] = []
    for line in lines:
        last = found[-1] if found else None
        is_near = last is not None and line.page == last.page and _gap(last, line) < _NEAR
        if found and (not is_near or _is_labelled(line) or _is_labelled(found[-1])):
            yield found
            found = []
        found.append(line)
    if found:
        yield found


def _gap(above: PageLine, below: PageLine) -> float:
    """The free space between two lines, in sizes of their letters."""
    return (below.top - max(word.bottom for word in above.words)) / below.size


def _is_labelled(line: PageLine) -> bool:
    words = [piece for word in line.words for piece in plain_words(word.text)]
    return longest_match(words, 0, LABELS) is not None and ":" in line.text


def _speaks_of_earlier(text: str) -> bool:
    words = plain_words(text)
    hits = (longest_match(words, at, COLUMNS) for at in range(len(words)))
    return any(hit is not None and hit[1] == "previous" for hit in hits)


def _section(text: str, section: str) -> str:
    if names_fluid(text):
        return text
    return "" if names_blood(text) else section


def _tokens(paragraph: Sequence[PageLine]) -> Iterator[_Token | None]:
    """The pieces of a paragraph; `None` where a line ends."""
    for line in paragraph:
        words: list[PageWord] = []
        for word in line.words:
            if word.text in _BULLETS and not words:
                continue
            words.append(word)
            if word.text[-1] in _END:
                yield from _of_words(words, line, ends=True)
                words = []
        yield from _of_words(words, line, ends=False)
        yield None


def _of_words(words: Sequence[PageWord], line: PageLine, *, ends: bool) -> Iterator[_Token]:
    bare = [replace(word, text=_bare(word.text)) for word in words]
    kept = tuple(word for word in bare if word.text)
    if not kept:
        return
    pieces = pieces_of(PageLine(line.page, kept))
    for number, piece in enumerate(pieces):
        yield _Token(piece, ends and number == len(pieces) - 1, line)


def _bare(text: str) -> str:
    """A word without the comma or the like behind it, or the point that ends a sentence."""
    plain = text.rstrip(_END)
    if len(plain) > 1 and plain[-1] == "." and (plain[-2].isdigit() or plain[-2] in ")]"):
        return plain[:-1]
    return plain


def _rows(paragraph: Sequence[PageLine]) -> Iterator[tuple[PrintedRow, bool]]:
    """The rows of a paragraph, and whether each has a unit or a range."""
    draft, line_has_value = _Draft(), False
    tokens = list(_tokens(paragraph))
    for number, token in enumerate(tokens):
        if token is None:
            if not line_has_value and not draft.pieces:
                draft = _Draft()  # a heading
            draft.is_closed |= bool(draft.pieces)
            line_has_value = False
            continue
        line_has_value |= token.piece.kind == "value"
        if token.piece.kind == "text" and draft.pieces and draft.is_closed:
            draft.is_odd |= _is_rest_of_name(tokens, number)
            yield from _finished(draft)
            draft = _Draft()
        _take(token, draft)
        draft.is_closed = token.ends and bool(draft.pieces)
    yield from _finished(draft)


def _is_rest_of_name(tokens: Sequence[_Token | None], number: int) -> bool:
    """Whether a line has but one text, which may belong to the name in the line above."""
    token = tokens[number]
    begins = number > 0 and tokens[number - 1] is None
    if token is None or not begins or tokens[number + 1] is not None:
        return False
    text = token.piece.text
    is_variety = names_variety(text) and len(token.piece.words) <= _VARIETY
    return is_variety or (text[0].islower() and not says_hemolyzed(text))


def _take(token: _Token, draft: _Draft) -> None:
    kind = token.piece.kind
    if kind == "text" and not draft.pieces:
        for word in token.piece.words:
            if draft.name and draft.name[-1].text.endswith(":"):
                draft.name.clear()  # `Blood: ALT`
            draft.name.append(word)
        draft.is_cut = token.ends
    elif kind in {"text", "date"}:
        draft.is_odd = True
        draft.pieces.append(token)
    elif draft.name or kind == "value":
        draft.pieces.append(token)


def _finished(draft: _Draft) -> Iterator[tuple[PrintedRow, bool]]:
    values, units, limits = draft.of("value"), draft.of("unit"), draft.of("range")
    name = bare_name(" ".join(word.text for word in draft.name)).strip(" :=")
    if not values or not 0 < len(draft.name) <= _LONGEST_NAME:
        return
    is_whole = bool(units or limits)
    if not is_whole and len(draft.name) > _SHORT_NAME:
        return
    flags, rest = draft.of("flag"), draft.of("text") + draft.of("date")
    line = draft.pieces[0].line
    own = [word for token in draft.pieces if token.line is line for word in token.piece.words]
    row = PrintedRow(
        name=name,
        texts={_RESULT: " ".join((*values, *rest))},
        place=box_of(line, own),
        unit=" ".join(units),
        range_text=" ".join(limits),
        range_is_unclear=len(limits) > 1,
        flag=" ".join(flags),
    )
    if draft.is_odd or draft.is_cut or len(values) > 1 or len(units) > 1:
        row.unclear.add(_RESULT)
    yield row, is_whole
