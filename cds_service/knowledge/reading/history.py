# SPDX-License-Identifier: Apache-2.0
"""`history:` of a rule or a pack: which version came when, and what changed, newest first.

A clinician writes it; nothing is decided by it. It is checked against the version that the file
has now, and by the lock against the versions that were there before.
"""

from collections.abc import Iterator, Sequence
from datetime import date

from cds_service.knowledge.model.pack import Change
from cds_service.knowledge.reading.schemas import ChangeShape
from cds_service.sourcefile.diagnostics import Mark, Problem
from cds_service.sourcefile.document import Document

HISTORY = "history"


def read_history(lines: Sequence[ChangeShape]) -> tuple[Change, ...]:
    """The lines as they are written."""
    return tuple(
        Change(version=line.version, date=line.date, change=" ".join(line.change.split()))
        for line in lines
    )


def ordered(version: str) -> tuple[int, ...]:
    """A version as numbers, so that 1.10.0 comes after 1.9.0."""
    return tuple(int(part) for part in version.split("."))


def check_history(
    name: str, version: str, history: Sequence[Change], document: Document
) -> Iterator[Problem]:
    """The first line is the version that stands now; versions and dates go down from there."""
    if version not in {line.version for line in history}:
        yield missing(name, version, document.mark(("version",)))
    yield from _versions(version, history, document)
    yield from _dates(history, document)


def missing(name: str, version: str, mark: Mark) -> Problem:
    """The problem of a version that no line tells of."""
    remedy = f"add a line: - {{version: {version}, date: YEAR-MONTH-DAY, change: what changed}}"
    return Problem("K703", mark, f"the history of {name} has no line for {version}", remedy)


def _versions(version: str, history: Sequence[Change], document: Document) -> Iterator[Problem]:
    above = version
    for n, line in enumerate(history):
        if ordered(line.version) >= ordered(above) and (n or line.version != version):
            mark = document.mark((HISTORY, n, "version"))
            remedy = "put the newest version, which is the file's own, first and each once"
            yield Problem("K704", mark, f"{line.version} stands below {above}", remedy)
        above = line.version


def _dates(history: Sequence[Change], document: Document) -> Iterator[Problem]:
    newest: date | None = None
    for n, line in enumerate(history):
        at = (HISTORY, n, "date")
        try:
            day = date.fromisoformat(line.date)
        except ValueError:
            message, remedy = (
                f"there is no day {line.date}",
                "write YEAR-MONTH-DAY, such as 2026-11-24",
            )
            yield Problem("K705", document.mark(at), message, remedy)
            continue
        if newest is not None and day > newest:
            message = f"{line.date} lies after the date of a newer version"
            yield Problem(
                "K705", document.mark(at), message, "an older version has an earlier date"
            )
        newest = day
