# SPDX-License-Identifier: Apache-2.0
"""Reports with a block for each test -> their rows: a title, and below it `Result: 41 U/L`.

What a label says counts, and nothing else: the title is the line above, the limits are those behind
their label, and a second result below one title is a doubt about both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cds_service.plain_words import plain_words
from cds_service.reports.pdf.columns import Column
from cds_service.reports.pdf.contents import Piece, pieces_of
from cds_service.reports.pdf.kinds import is_kind
from cds_service.reports.pdf.pages import PageLine, PageWord
from cds_service.reports.pdf.printed_rows import PrintedRow, bare_name, box_of
from cds_service.reports.vocabulary import (
    COLUMNS,
    LABELS,
    ColumnKind,
    longest_match,
    meaning_of,
    names_blood,
    names_fluid,
    names_method,
)

_LONGEST_LABEL: Final = 5  # words
_LONGEST_TITLE: Final = 12
_ABBREVIATED: Final = 4  # words of a title that may end with a point: `Bilirubin ges.`
_RESULT: Final = Column(kind="result", x0=0.0, x1=0.0, text="")


class LabelledField(NamedTuple):
    """A label that is known, and the words behind it."""

    kind: ColumnKind
    words: tuple[PageWord, ...]


@dataclass(slots=True)
class _Block:
    """What is known of the test whose title was last."""

    title: str = ""
    specimen: str = ""
    section: str = ""
    is_previous: bool = False  # below a heading of earlier results
    limits: list[PageWord] = field(default_factory=list)  # that stand above the result
    row: PrintedRow | None = None


def fields_of(line: PageLine) -> tuple[list[LabelledField], Sequence[PageWord]]:
    """The labels of a line with what they label, and the words before the first."""
    words = line.words
    ends = [n for n, word in enumerate(words) if word.text.endswith(":")]
    found: list[tuple[int, int, ColumnKind]] = []  # first word, word after the label
    for end in ends:
        kind_and_start = _label_before(words, end, found[-1][1] if found else 0)
        if kind_and_start is not None:
            found.append((kind_and_start[0], end + 1, kind_and_start[1]))
    if not found:
        return [], words
    fields = [
        LabelledField(kind, tuple(words[after:until]))
        for (_, after, kind), until in zip(
            found, [*(start[0] for start in found[1:]), len(words)], strict=True
        )
    ]
    return fields, words[: found[0][0]]


def _label_before(words: Sequence[PageWord], end: int, first: int) -> tuple[int, ColumnKind] | None:
    """Where the label that ends with a colon begins, and what it labels."""
    for start in range(max(first, end - _LONGEST_LABEL), end + 1):
        kind = meaning_of([word.text for word in words[start : end + 1]], COLUMNS)
        if kind is not None:
            return start, kind
    return None


def read_fields(
    lines: Sequence[PageLine], rows: list[PrintedRow], other: list[tuple[int, PageLine]]
) -> None:
    """Add the rows of these lines; what is none is added to the other lines."""
    block = _Block()
    for line in lines:
        fields, lead = fields_of(line)
        if not fields:
            other.append((len(rows), line))
            _read_title(line, block)
            continue
        if lead and not block.row:
            _read_lead(lead, block)
        if not any(field.kind in {"result", "range", "low", "high"} for field in fields):
            other.append((len(rows), line))
        for labelled in fields:
            _read_field(labelled, line, block, rows)


def _read_title(line: PageLine, block: _Block) -> None:
    words = [piece for word in line.words for piece in plain_words(word.text)]
    label = longest_match(words, 0, LABELS)
    is_label = label is not None and ":" in line.text
    is_sentence = line.text.endswith(".") and len(line.words) > _ABBREVIATED
    if is_label or is_sentence or len(line.words) > _LONGEST_TITLE:
        return
    if names_method(line.text) and block.row is None and block.title:
        return
    if block.row is not None and is_kind(line.text):
        block.row.doubt()
    if meaning_of([line.text], COLUMNS) == "previous":
        block.is_previous = True
    if names_fluid(line.text):
        block.section = line.text
    elif names_blood(line.text):
        block.section = ""
    block.title, block.specimen, block.row = line.text, "", None
    block.limits.clear()


def _read_lead(words: Sequence[PageWord], block: _Block) -> None:
    """The title before the first label of a line."""
    block.title = " ".join(word.text for word in words).strip(" -–:")
    block.specimen, block.row = "", None
    block.limits.clear()


def _read_field(
    labelled: LabelledField, line: PageLine, block: _Block, rows: list[PrintedRow]
) -> None:
    text = " ".join(word.text for word in labelled.words)
    if labelled.kind == "specimen":
        block.specimen = text
    elif labelled.kind in {"range", "low", "high"} and block.row is None:
        block.limits.extend(labelled.words)
    elif labelled.kind == "range" and block.row is not None:
        block.row.range_is_unclear |= bool(block.row.range_text)
        block.row.range_text = f"{block.row.range_text} {text}".strip()
    elif labelled.kind in {"low", "high"} and block.row is not None:
        block.row.range_is_unclear = True
    elif labelled.kind == "unit" and block.row is not None and not block.row.unit:
        block.row.unit = text
    elif labelled.kind == "result" and block.title and labelled.words:
        _add(labelled, line, block, rows)


def _add(labelled: LabelledField, line: PageLine, block: _Block, rows: list[PrintedRow]) -> None:
    pieces = list(_of_words(labelled.words, line))
    text = " ".join(p.text for p in pieces if p.kind not in {"range", "date"})
    limits = [p.text for p in pieces if p.kind == "range"]
    above = " ".join(word.text for word in block.limits)
    row = PrintedRow(
        name=bare_name(block.title),
        texts={_RESULT: text},
        place=box_of(line, labelled.words),
        range_text=" ".join(filter(None, (above, *limits))),
        range_is_unclear=len(limits) + bool(above) > 1,
        specimen=block.specimen,
        section="" if block.specimen else block.section,
    )
    if block.row is not None:
        block.row.unclear.add(_RESULT)
        row.unclear.add(_RESULT)
    if block.is_previous or any(p.kind == "date" for p in pieces):
        row.unclear.add(_RESULT)
    block.row = row
    rows.append(row)


def _of_words(words: Sequence[PageWord], line: PageLine) -> Iterator[Piece]:
    yield from pieces_of(PageLine(line.page, tuple(words), line.rules))
