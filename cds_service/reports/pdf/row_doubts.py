# SPDX-License-Identifier: Apache-2.0
"""What in the line of a row leaves open which test, result or limits are its own."""

import re
from collections.abc import Sequence
from typing import Final

from cds_service.plain_words import plain_words
from cds_service.reports.dates import has_date
from cds_service.reports.pdf.cells_of_line import Cells
from cds_service.reports.pdf.columns import Column, Panel
from cds_service.reports.pdf.contents import kind_of
from cds_service.reports.pdf.kinds import changes_test
from cds_service.reports.pdf.placing import limits_beside

# A number alone, or before anything but what makes it a unit (`10 9/L`) or the end of a range.
_NUMBER: Final = re.compile(r"[<>]?\s*\d+(?:[.,]\d+)*(?=\s|$)(?!\s*[*^x/]|\s+\d+\s*/)")
# Before a range, or in the place of one.
_STRAY: Final = re.compile(
    r"\d+(?:[.,]\d+)*\s*$|[<>]?\s*\d+(?:[.,]\d+)*\s+(?:[A-Z*+]{1,2}\s+)?[\d<>≤≥(\[]"
)
_SIGN_BEHIND: Final = re.compile(r"(?:^|\s)[<>≤≥=]{1,2}$")
_ANYWHERE: Final = re.compile(r"(?:^|\s)[<>≤≥]?\s?\d+(?:[.,]\d+)*$")
_AMONG_UNITS: Final = re.compile(r"\s[<>≤≥(\[]?\s?\d")


def holds_stray(by_kind: dict[str, str]) -> bool:
    """Whether a number stands where units, ranges or flags do.

    It is the result then, and what stands below `Result` is an earlier one without a heading.
    """
    unit, limits = by_kind.get("unit", ""), by_kind.get("range", "")
    beside = (text for kind, text in by_kind.items() if kind != "result")
    if any(map(_SIGN_BEHIND.search, beside)):
        return True  # the sign of a result whose first word stands nearer to another heading
    if kind_of(unit) != "unit" and _AMONG_UNITS.search(unit):
        return True
    stray = _NUMBER.match(unit) or _NUMBER.match(by_kind.get("flag", ""))
    return stray is not None or _STRAY.match(limits) is not None


def is_beside_heading(cells: Cells, panel: Panel) -> bool:
    """Whether a result is not below its heading, and a number is below one that is not known."""
    if panel.content is not None:
        return False
    columns = panel.columns
    strays = (n for n, column in enumerate(columns) if column.kind == "other")
    if not any(_NUMBER.match(cells.text(n)) for n in strays):
        return False
    return any(
        columns[n].kind == "result" and columns[n].overlap(words[0].x0, words[-1].x1) <= 0
        for n, words in cells.words.items()
    )


def are_rivals(results: Sequence[Column], texts: dict[Column, str]) -> bool:
    """Whether either of two results without dates may be the one.

    Results in and out of range can have a column each, of which one is empty.
    """
    undated = [result for result in results if not has_date(result.text)]
    sides = [heading for heading in undated if "range" in plain_words(heading.text)]
    return len(undated) > 1 and (len(undated) > len(sides) or len(texts) > 1)


def is_range_unclear(cells: Cells, panel: Panel) -> bool:
    """Whether it is open which limits are those of a row."""
    if any(panel.columns[n].kind in {"range", "low", "high"} for n in cells.unclear):
        return True
    kinds = {column.kind for column in panel.columns}
    others = (n for n, column in enumerate(panel.columns) if column.kind == "other")
    if len(kinds & {"low", "high"}) == 1 and any(_ANYWHERE.search(cells.text(n)) for n in others):
        return True  # which may be the other limit, below a heading that is not known
    return panel.content is None and bool(limits_beside(cells, panel))


def is_headed_surely(panel: Panel) -> bool:
    """Whether a scan says of every column what it is.

    Where `Result` is misread, `Valeurs` of the limits can be taken for the heading of results.
    """
    return all(column.is_sure and column.kind != "other" for column in panel.columns)


def is_sure(cells: Cells) -> bool:
    """Whether both readings of a scan say the same of every word."""
    return all(word.is_sure for words in cells.words.values() for word in words)


def is_changed_beside(cells: Cells, panel: Panel) -> bool:
    """Whether anything beside the name and the result makes it one of another test."""
    others = [n for n, column in enumerate(panel.columns) if column.kind in {"other", "specimen"}]
    texts = [*map(cells.text, others), " ".join(word.text for word in cells.beside)]
    return any(map(changes_test, filter(None, texts)))
