# SPDX-License-Identifier: Apache-2.0
"""Lines that stand beside, above or within a table and are none of its rows."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from cds_service.plain_words import plain_words
from cds_service.reports.pdf.columns import Panel
from cds_service.reports.pdf.contents import kind_of
from cds_service.reports.pdf.pages import PageLine, PageWord
from cds_service.reports.vocabulary import LABELS, longest_match

_RESULT_SIGNS: Final = re.compile(r"[(\[]?[-−+]{1,4}[)\]]?")
_LONG_TEXT: Final = 3  # words in a row without a gap, which reach over several columns


def specimen_label(chunk: Sequence[PageWord]) -> bool:
    """Whether a part of a line begins with the label of a specimen."""
    words = [piece for word in chunk for piece in plain_words(word.text)]
    hit = longest_match(words, 0, LABELS)
    return hit is not None and hit[1] == "specimen"


def is_labelled(line: PageLine) -> bool:
    """Whether a line begins with the label of a date or of who the report is about."""
    chunk = line.chunks()[0]
    words = [piece for word in chunk for piece in plain_words(word.text)]
    hit = longest_match(words, 0, LABELS)
    text = " ".join(word.text for word in line.words)
    return hit is not None and ":" in text.split(chunk[-1].text)[0] + chunk[-1].text


def is_prose(line: PageLine, panel: Panel) -> bool:
    """Whether words without a gap reach over several columns."""
    for chunk in line.chunks():
        over = [column for column in panel.columns if column.overlap(chunk[0].x0, chunk[-1].x1) > 0]
        if len(chunk) > _LONG_TEXT and len(over) > 2:
            return True
    return False


def is_no_result(texts: Iterable[str]) -> bool:
    """Whether there is but a unit, or a flag, where results stand; `-` and `+` can be results."""
    found = list(texts)
    return bool(found) and all(
        kind_of(text) in {"unit", "flag"} and not _RESULT_SIGNS.fullmatch(text) for text in found
    )
