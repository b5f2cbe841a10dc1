# SPDX-License-Identifier: Apache-2.0
"""Whether the pages of a report say that the specimen is hemolysed."""

from collections.abc import Iterable, Sequence
from typing import Final

from cds_service.reports.pdf.pages import PageLine, PageWord, text_of
from cds_service.reports.remarks import (
    names_hemolysis,
    names_index,
    says_hemolyzed,
    says_present,
)

_NEAR: Final = 2.2  # sizes of the letters between two lines of a name


def are_hemolyzed(pages: Iterable[Sequence[PageLine]]) -> bool:
    """Whether a line says so that is no part of the name of an index on two lines."""
    return any(
        says_hemolyzed(line.text) and not _is_index(line, lines)
        for lines in pages
        for line in lines
    )


def _is_index(line: PageLine, lines: Iterable[PageLine]) -> bool:
    """Whether all that says so in a line are names of an index with a part above or below.

    An index of `+++` says so as well.
    """
    found = [chunk for chunk in line.chunks() if says_hemolyzed(text_of(chunk))]
    near = [
        other
        for other in lines
        if other is not line
        and abs(other.top - line.top) < _NEAR * line.size
        and not says_present(other.text)
    ]
    is_measured = bool(found) and not says_present(line.text)
    return is_measured and all(_has_index_beside(chunk, near) for chunk in found)


def _has_index_beside(chunk: Sequence[PageWord], near: Iterable[PageLine]) -> bool:
    return names_hemolysis(text_of(chunk)) and any(
        names_index(text_of(other)) and other[0].x0 < chunk[-1].x1 and chunk[0].x0 < other[-1].x1
        for line in near
        for other in line.chunks()
    )
