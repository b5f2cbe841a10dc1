# SPDX-License-Identifier: Apache-2.0
"""Cases of a pack's files: `given`, `expect`, and whether they agree.

`read_cases` takes them from the documents; each `but:` line becomes a case of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cds_service.knowledge.reading.folder import PackFiles
from cds_service.sourcefile.diagnostics import Mark, Problem
from cds_service.sourcefile.document import Data, Document, Where

ARROW = " -> "


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseChange:
    """What a `but` line changes in the case that it stands under."""

    base: "Case"
    subject: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One worked example: the file and thing it is about, and each thing it expects.

    The case of a `but` line has a `change`; its `given` is that of the base with the change made.
    """

    path: str  # inside the pack, such as rules/alpha-high.yaml
    about: str  # the id of the rule, marker, measure, fact or order; empty for the pack
    title: str
    given: Mapping[str, Data]
    expect: tuple[tuple[str, Data], ...]  # (word, value); a bare word has an empty value
    mark: Mark
    change: CaseChange | None = None

    @property
    def base(self) -> "Case":
        """The case that this one changes; one without a change is its own base."""
        return self if self.change is None else self.change.base


def read_cases(files: PackFiles) -> tuple[list[Case], list[Problem]]:
    """Every case of every file, and the problems of those that cannot be read."""
    cases: list[Case] = []
    problems: list[Problem] = []
    for path in sorted(files.documents):
        document = files.documents[path]
        if not isinstance(document.data, dict):
            continue
        listed = document.data.get("cases", [])
        for n, data in enumerate(listed if isinstance(listed, list) else []):
            found, unreadable = cases_of(document, path, data, ("cases", n))
            cases.extend(found)
            problems.extend(unreadable)
    return cases, problems


def cases_of(
    document: Document, path: str, data: Data, where: Where
) -> tuple[list[Case], list[Problem]]:
    """One entry of a list of cases, with its `but:` lines, about the file at `path` of a pack."""
    about = path.split("/")[1].removesuffix(".yaml") if "/" in path else ""
    found = list(_case(document, path, about, data, where))
    cases = [item for item in found if isinstance(item, Case)]
    return cases, [item for item in found if isinstance(item, Problem)]


def _case(
    document: Document, path: str, about: str, data: Data, where: Where
) -> Iterator[Case | Problem]:
    if not isinstance(data, dict):
        return  # the shape check reports that
    given = data.get("given", {})
    title = str(data.get("case", ""))
    if not isinstance(given, dict):
        return
    expect = _expectations(data.get("expect", ""))
    mark = document.mark((*where, "expect"))
    base = Case(path=path, about=about, title=title, given=given, expect=expect, mark=mark)
    if expect:
        yield base
    else:
        yield Problem("K604", mark, "the case expects nothing", "write what must be so")
    changes = data.get("but", [])
    for n, change in enumerate(changes if isinstance(changes, list) else []):
        yield _but(document, base, change, (*where, "but", n))


def _but(document: Document, base: Case, change: Data, where: Where) -> Case | Problem:
    """The same patient with one thing changed: `subject: words -> expectation`."""
    mark = document.mark(where)
    help_text = "write: - SUBJECT: VALUE -> EXPECTATION"
    if not isinstance(change, dict) or len(change) != 1:
        return Problem("K604", mark, "a 'but' line changes one thing", help_text)
    ((subject, words),) = change.items()
    if not isinstance(words, str) or ARROW not in words:
        return Problem("K604", mark, "a 'but' line needs ' -> ' and what is expected", help_text)
    before, expected = words.rsplit(ARROW, 1)
    value = before.strip()
    return replace(
        base,
        title=f"{base.title}, but {subject}: {value}",
        given={**base.given, subject: value},
        expect=_expectations(expected.strip()),
        mark=mark,
        change=CaseChange(base=base, subject=str(subject), value=value),
    )


def _expectations(data: Data) -> tuple[tuple[str, Data], ...]:
    if isinstance(data, dict):
        return tuple(data.items())
    if isinstance(data, list):
        return tuple(pair for item in data for pair in _expectations(item))
    return tuple((part, "") for part in data.split(" and ")) if data else ()
