# SPDX-License-Identifier: Apache-2.0
"""What headings say of the rows below them: that they are somebody else's, or of another day.

It is looked for on the pages and not by those who read rows, so that it holds for tables, blocks,
lists and text alike. A heading of somebody else holds up to one of the patient.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from cds_service.plain_words import plain_words
from cds_service.reports.dates import DayOrder, dates_in, has_date, without_dates
from cds_service.reports.pdf.pages import STRUCK, PageLine, PageWord
from cds_service.reports.pdf.printed_rows import PrintedRow, box_of
from cds_service.reports.report import Place
from cds_service.reports.report_headings import Subject, speaks_of_results, split_label, subject_of
from cds_service.reports.vocabulary import COLUMNS, LABELS, longest_match

_LINE: Final = 2.0  # points by which what stands in one line may be higher
_LONGEST: Final = 5  # words of a heading beside its date
_INDENT: Final = 40.0  # points
_REACH: Final = 90.0  # points from a heading with a date to the table that it heads


@dataclass(frozen=True, slots=True)
class _Heading:
    """A part of a line that says whose results are below it, or of which day."""

    place: Place
    subject: Subject | None = None
    days: tuple[str, ...] = ()
    is_plain: bool = False  # whether nothing but results and the day are in it
    text: str = ""
    is_alone: bool = True  # in its line


class CollectedLabel(NamedTuple):
    """Where a page says when the specimen was collected, and its date, if that can be read."""

    place: Place
    day: str | None


def read_headings(
    rows: Sequence[PrintedRow],
    lines: Iterable[PageLine],
    labels: Sequence[CollectedLabel],
    labelled: Collection[str],
    order: DayOrder | None,
    name: str = "",
) -> None:
    """Mark the rows below headings of somebody else, and give the others the days of theirs.

    What stands below a label (`labelled`) is no heading, nor is a part of the patient's `name`
    above the rows, such as the surname `Vater`.
    """
    page, own = _Page(rows), set(plain_words(name))
    headings = [
        heading
        for line in lines
        for heading in _headings(line, page, order)
        if heading.subject or heading.text not in labelled
    ]
    subjects = sorted(
        (
            heading
            for heading in headings
            if heading.subject and not _is_of_name(heading, own, page)
        ),
        key=_others_last,
    )
    dated = sorted(
        (heading for heading in headings if heading.days or heading.is_plain), key=_reading_order
    )
    for row in rows:
        above = page.above(row, subjects)
        row.is_of_other |= bool(above) and above[-1].subject == "other"
        over = page.above(row, dated)
        if over:
            _date(row, over[-1], labels)


def _date(row: PrintedRow, heading: _Heading, labels: Sequence[CollectedLabel]) -> None:
    """Give a row the day of its heading, or none where it is not clear that this is its day.

    A day before that of the collection is that of earlier results; a day after it may be that of
    the report.
    """
    before = [label for label in labels if _is_above(label.place, heading.place)]
    if any(
        _is_above(heading.place, label.place) and _is_above(label.place, row.place)
        for label in labels
    ):
        return  # a label in between counts
    known = before[-1].day if before else next((label.day for label in labels), None)
    if known is None or not heading.days or all(day[:10] == known[:10] for day in heading.days):
        row.is_dated &= known is None or bool(heading.days)
        return
    is_clear = len(heading.days) == 1 and heading.is_plain and before and heading.days[0] < known
    row.is_dated = False
    row.day = heading.days[0] if is_clear else None


def _headings(line: PageLine, page: "_Page", order: DayOrder | None) -> Iterator[_Heading]:
    whole = box_of(line, line.words)
    # It seems to be a row where it reaches below the next heading of columns.
    if page.is_row(whole) and subject_of(_lead(line.text)) == "other":
        yield _Heading(whole, "other")
        return
    chunks = line.chunks()
    is_alone = len(chunks) == 1
    for chunk in chunks:
        place = box_of(line, chunk)
        if page.is_row(place):
            continue
        text = _text(chunk)
        subject, words = subject_of(text), plain_words(without_dates(text))
        if subject is not None:
            yield _Heading(place, subject, text=text, is_alone=is_alone)
        elif has_date(text) and len(words) <= _LONGEST and page.is_over_rows(place):
            is_label = _is_labelled(text, is_below_rows=page.is_below_rows(place))
            is_in_table = not all(map(has_date, map(_text, chunks))) or page.is_beside_row(place)
            if is_label or is_in_table or not (words or page.is_left(place)):
                continue
            days = tuple(dict.fromkeys(day.iso for day in dates_in(text, order)))
            yield _Heading(place, None, days, speaks_of_results(text), text.strip(" :."), is_alone)


class _Page:
    """The rows by their places."""

    def __init__(self, rows: Iterable[PrintedRow]) -> None:
        self._by_page: defaultdict[int, list[Place]] = defaultdict(list)
        for row in rows:
            self._by_page[row.place.page].append(row.place)

    def is_row(self, place: Place) -> bool:
        """Whether something is a part of a row."""
        middle = (place.top + place.bottom) / 2
        return any(
            row.top - 1 <= middle <= row.bottom + 1 and _overlap(row, place)
            for row in self._by_page[place.page]
        )

    def is_beside_row(self, place: Place) -> bool:
        """Whether something stands in the line of a row."""
        middle = (place.top + place.bottom) / 2
        rows = self._by_page[place.page]
        return any(row.top - 1 <= middle <= row.bottom + 1 for row in rows)

    def is_over_rows(self, place: Place) -> bool:
        """Whether a row follows close below."""
        return any(0 < row.top - place.top < _REACH for row in self._by_page[place.page])

    def is_below_rows(self, place: Place) -> bool:
        """Whether a row stands above it on its page."""
        return any(row.top < place.top for row in self._by_page[place.page])

    def is_after_rows(self, place: Place) -> bool:
        """Whether a row stands on a page before."""
        return any(page < place.page for page, rows in self._by_page.items() if rows)

    def is_left(self, place: Place) -> bool:
        """Whether something begins where the names of tests do in a row below."""
        rows = (row for row in self._by_page[place.page] if row.top > place.top)
        return any(abs(row.x0 - place.x0) < _INDENT for row in rows)

    def above(self, row: PrintedRow, headings: Iterable[_Heading]) -> list[_Heading]:
        """Those above a row that can be its own; those of one line are of tables side by side."""
        beside = [
            other
            for other in self._by_page[row.place.page]
            if abs(other.top - row.place.top) < _LINE and not _overlap(other, row.place)
        ]
        above = [heading for heading in headings if _is_above(heading.place, row.place)]
        if not beside:
            return above
        return [
            heading
            for heading in above
            if heading.is_alone
            or _overlap(heading.place, row.place)
            or not any(_overlap(heading.place, other) for other in beside)
        ]


def _is_above(place: Place, other: Place) -> bool:
    return (place.page, place.top) <= (other.page, other.top + _LINE)


def _overlap(place: Place, other: Place) -> bool:
    return place.x0 < other.x1 and other.x0 < place.x1


def _reading_order(heading: _Heading) -> tuple[int, float]:
    return heading.place.page, heading.place.top


def _others_last(heading: _Heading) -> tuple[int, int, bool]:
    """In one line that of somebody else comes last, for it is the one that must not be missed."""
    place = heading.place
    return place.page, round(place.top / _LINE), heading.subject == "other"


def _is_labelled(text: str, *, is_below_rows: bool) -> bool:
    """Whether a date is labelled as that of something else, such as the print or a birth.

    Without a colon `Sample of` and `Collected` begin headings, and so does what may be the day of a
    report (`Befund vom`) between rows.
    """
    words = plain_words(text)
    label = longest_match(words, 0, LABELS)
    if ":" in text:
        return label is not None or longest_match(words, 0, COLUMNS) is not None
    if label is None or label[1] in {"specimen", "collected"}:
        return False
    return label[1] != "other date" or not is_below_rows


def _is_of_name(heading: _Heading, name: Collection[str], page: _Page) -> bool:
    """Whether a heading above all rows is nothing but words of the patient's name.

    Between rows it may be that of somebody else as well; at the head of a later page it is the
    patient's if it is the whole name.
    """
    words = set(plain_words(heading.text))
    if not words or not words.issubset(name) or page.is_below_rows(heading.place):
        return False
    return words.issuperset(name) or not page.is_after_rows(heading.place)


def _lead(text: str) -> str:
    """What a line says before a colon, or the line if it has neither a colon nor a number."""
    lead, _ = split_label(text)
    if lead != text:
        return f"{lead}:"
    return "" if any(map(str.isdigit, without_dates(text))) else text


def _text(words: Sequence[PageWord]) -> str:
    return " ".join(word.text for word in words if not word.text.endswith(STRUCK))
