# SPDX-License-Identifier: Apache-2.0
"""`explain/alt.en.md`: what a marker is and how its values read, for people.

A head, then sections with fixed headings; each names its sources on its first line. Like a card
text an explainer is Markdown with placeholders: a number that the pack holds is never written a
second time.
"""

import re
from collections.abc import Iterable, Iterator

from cds_service.knowledge.model.explainers import Explainer, Section, SectionKind
from cds_service.knowledge.reading.schemas import ExplainerHeadShape
from cds_service.sourcefile.diagnostics import Mark, Problem
from cds_service.sourcefile.document import parse
from cds_service.sourcefile.schema import read_shape

BOTTOM_LINE = "bottom line"
REASONS = "possible reasons"
NEXT = "what is usually done next"
BAND_PARTS = (BOTTOM_LINE, REASONS, NEXT)
DECISION = "decision"

_FRONT = re.compile(r"---\n(.*?\n)---\n(.*)", re.DOTALL)
_HEADING = re.compile(r"^## +(.+?) *$", re.MULTILINE)
_PART = re.compile(r"^### +(.+?) *$", re.MULTILINE)
_SOURCES = re.compile(r"\s*sources: *(.+?) *(?:\n|$)")
_ONCE: tuple[SectionKind, ...] = ("what it is", "the scale")
_NAMED: tuple[SectionKind, ...] = ("band", "with", "topic")
_FORMS = "what it is; the scale; band: ID; with: MARKER or MEASURE; topic: HEADING"


def read_explainer(text: str, shown: str) -> tuple[Explainer | None, list[Problem]]:
    """The explainer of a file named `MARKER.LANGUAGE.md`, or the problems of its form."""
    marker, language = shown.rsplit("/", maxsplit=1)[-1].split(".")[:2]
    match = _FRONT.fullmatch(text.replace("\r\n", "\n"))
    if match is None:
        first = text.splitlines()[0] if text else ""
        remedy = "begin with '---', 'title: ...', 'last review: YYYY-MM-DD' and '---'"
        return None, [Problem("K106", Mark(shown, 1, 1, first), "has no head", remedy)]
    document, problems = parse(match[1], shown, first_line=2)
    head, more = read_shape(ExplainerHeadShape, document.data, document)
    if head is None or problems:
        return None, [*problems, *more]
    lines = tuple(text.splitlines())
    read = list(_sections(match[2], shown, lines))
    if found := [part for part in read if isinstance(part, Problem)]:
        return None, found
    explainer = Explainer(
        marker=marker,
        language=language,
        file=shown,
        lines=lines,
        title=head.title,
        last_review=head.last_review,
        covers={word: tuple(places) for word, places in head.covers.items()},
        sections=tuple(part for part in read if isinstance(part, Section)),
    )
    return explainer, []


def by_language(explainers: Iterable[Explainer]) -> dict[str, dict[str, Explainer]]:
    """The explainers by marker, then by language."""
    found: dict[str, dict[str, Explainer]] = {}
    for explainer in explainers:
        found.setdefault(explainer.marker, {})[explainer.language] = explainer
    return found


def heading_of(section: Section) -> str:
    """The heading of a section as it stands in the file."""
    return f"{section.kind}: {section.name}" if section.name else section.kind


def _sections(body: str, shown: str, lines: tuple[str, ...]) -> Iterator[Section | Problem]:
    before, *pieces = _HEADING.split(body)
    if before.strip():
        mark = mark_of(shown, lines, before.strip().split("\n", maxsplit=1)[0])
        yield Problem("K106", mark, "text before the first '## ' heading belongs to no section")
    headings = pieces[::2]
    for n, (heading, content) in enumerate(zip(headings, pieces[1::2], strict=True)):
        mark = mark_of(shown, lines, f"## {heading}")
        if heading in headings[:n]:
            yield Problem("K102", mark, f"'## {heading}' stands twice", "make one of the two")
            continue
        yield _section(heading, content, mark)


def _section(heading: str, content: str, mark: Mark) -> Section | Problem:
    word, _, name = (piece.strip() for piece in heading.partition(":"))
    kind = next((kind_word for kind_word in (_NAMED if name else _ONCE) if word == kind_word), None)
    if kind is None:
        return Problem("K104", mark, f"'## {heading}' is no heading of an explainer", _FORMS)
    match = _SOURCES.match(content)
    if match is None:
        remedy = f"write 'sources: ID, ID' under the heading, or 'sources: {DECISION}'"
        return Problem("K401", mark, f"'## {heading}' names no sources", remedy)
    named = [word.strip() for word in match[1].split(",")]
    pieces = _PART.split(content[match.end() :])
    parts = {name: text.strip() for name, text in zip(pieces[1::2], pieces[2::2], strict=True)}
    if len(parts) < len(pieces[1::2]):
        return Problem("K102", mark, f"a '###' heading stands twice under '## {heading}'")
    if pieces[0].strip():
        parts = {"": pieces[0].strip(), **parts}
    if not parts:
        return Problem("K106", mark, f"'## {heading}' is empty")
    return Section(
        kind=kind,
        name=name,
        sources=tuple(word for word in named if word != DECISION),
        decision=DECISION in named,
        parts=parts,
    )


def mark_of(file: str, lines: tuple[str, ...], piece: str) -> Mark:
    """The first line that holds the piece (its own first line), or the top of the file."""
    piece = piece.split("\n", maxsplit=1)[0]
    for number, line in enumerate(lines, start=1):
        if piece and piece in line:
            return Mark(file, number, line.index(piece) + 1, line, len(piece))
    return Mark(file, 1, 1, lines[0] if lines else "")
