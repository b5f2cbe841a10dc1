# SPDX-License-Identifier: Apache-2.0
"""What makes rows doubtful that no heading explains: earlier results, and tests that come twice."""

from collections.abc import Iterable, Iterator, Sequence

from cds_service.plain_words import plain_words
from cds_service.reports.dates import has_date
from cds_service.reports.pdf.kinds import names_variety
from cds_service.reports.pdf.pages import PageLine, text_of
from cds_service.reports.pdf.printed_rows import PrintedRow
from cds_service.reports.vocabulary import COLUMNS, ColumnKind, longest_match


def doubt_earlier(rows: Iterable[PrintedRow], lines: Iterable[PageLine]) -> None:
    """No row counts that stands below words such as `Previous results`, up to the end."""
    marks = [(line.page, line.top) for line in lines if _is_about_earlier(line)]
    first = min(marks, default=None)
    for row in rows:
        if first is not None and (row.place.page, row.place.top) > first:
            row.unclear.update(row.texts)


def _is_about_earlier(line: PageLine) -> bool:
    """Whether a part of a line says `Previous results`, or that with a date or other headings."""
    for chunk in line.chunks():
        words = [w for word in chunk for w in plain_words(word.text)]
        hit = longest_match(words, 0, COLUMNS)
        is_first = hit is not None and hit[1] == "previous"
        is_whole = hit is not None and hit[0] == len(words)
        is_dated = has_date(text_of(chunk))
        if (is_first and (is_whole or is_dated)) or _is_of_headings(words):
            return True
    return False


def _is_of_headings(words: Sequence[str]) -> bool:
    """Whether words are headings of columns that run together, among them one of former results."""
    kinds: list[ColumnKind] = []
    at = known = 0
    while at < len(words):
        hit = longest_match(words, at, COLUMNS)
        if hit is not None:
            kinds.append(hit[1])
            known += hit[0] - at
        at = hit[0] if hit is not None else at + 1
    return "previous" in kinds and len(set(kinds)) > 1 and 2 * known >= len(words)


def doubt_twice(rows: Sequence[PrintedRow]) -> None:
    """Of a test that is there twice with different results no row counts: one may be earlier."""
    texts: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        texts.setdefault(plain_words(row.name), set()).update(row.texts.values())
    retold = {words for name in {row.name for row in rows} for words in _names_in(name)}
    for row in rows:
        is_dated = all(column.text for column in row.texts)  # each column has its date above it
        words = plain_words(row.name)
        if not is_dated and (len(texts[words]) > 1 or words in retold):
            row.unclear.update(row.texts)


def _names_in(name: str) -> Iterator[tuple[str, ...]]:
    """What a name would be without small words before it: `then ALT`, `before that ALT`."""
    words = name.split()
    for start in range(1, len(words)):
        before = words[:start]
        if all(word.islower() for word in before) and not names_variety(" ".join(before)):
            yield plain_words(" ".join(words[start:]))
