# SPDX-License-Identifier: Apache-2.0
"""`explain/alt.en.md`: what a marker is and how its values read, for people.

A head, then sections with fixed headings; each names its sources on its first line. Like a card
text an explainer is Markdown with placeholders: a number that the pack holds is never written a
second time.
"""

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction

from cds_service.knowledge.model.bounds import Number
from cds_service.knowledge.model.conditions import leaves
from cds_service.knowledge.model.explainers import Explainer, Section, SectionKind
from cds_service.knowledge.model.leaves import Compare
from cds_service.knowledge.model.pack import Marker, Pack
from cds_service.knowledge.reading.schemas import ExplainerHeadShape
from cds_service.knowledge.reading.text_wording import wording_faults
from cds_service.sourcefile.diagnostics import Mark, Problem, nearest
from cds_service.sourcefile.document import parse
from cds_service.sourcefile.schema import read_shape
from cds_service.text_templates import TextError, placeholders

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
        mark = _mark(shown, lines, before.strip().split("\n", maxsplit=1)[0])
        yield Problem("K106", mark, "text before the first '## ' heading belongs to no section")
    headings = pieces[::2]
    for n, (heading, content) in enumerate(zip(headings, pieces[1::2], strict=True)):
        mark = _mark(shown, lines, f"## {heading}")
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


def check_explainers(pack: Pack) -> Iterator[Problem]:
    """Every problem between the explainers and the rest of the pack."""
    for name, by_language in pack.explainers.items():
        for explainer in by_language.values():
            marker = pack.markers.get(name)
            if marker is None:
                mark = Mark(explainer.file, 1, 1, explainer.lines[0])
                remedy = nearest(name, pack.markers)
                yield Problem("K305", mark, f"there is no marker '{name}'", remedy)
                continue
            yield from _whole(explainer, marker)
            known = names_in_explainers(marker, pack)
            for section in explainer.sections:
                yield from _check_names(explainer, section, marker, pack)
                for part, text in section.parts.items():
                    yield from _check_part(explainer, section, part)
                    yield from _check_text(explainer, text, marker, known)


def _whole(explainer: Explainer, marker: Marker) -> Iterator[Problem]:
    """The sections that an explainer of this marker has, and what `covers` points to."""
    here = Mark(explainer.file, 1, 1, explainer.lines[0])
    headings = [heading_of(section) for section in explainer.sections]
    needed = ["what it is", *dict.fromkeys(f"band: {band.id}" for band in marker.bands)]
    for heading in needed:
        if heading not in headings:
            yield Problem("K105", here, f"'## {heading}' is missing")
    for statement, places in explainer.covers.items():
        for place in places:
            if place not in headings:
                mark = _mark(explainer.file, explainer.lines, f"{statement}:")
                message = f"'{statement}' should be under '{place}', which is not there"
                yield Problem("K301", mark, message, nearest(place, headings))


def _check_names(
    explainer: Explainer, section: Section, marker: Marker, pack: Pack
) -> Iterator[Problem]:
    mark = _mark(explainer.file, explainer.lines, f"## {heading_of(section)}")
    known = {
        "band": [band.id for band in marker.bands],
        "with": [*pack.markers, *pack.measures],
    }.get(section.kind)
    if known is not None and section.name not in known:
        message = f"there is no such thing as '{section.name}' here"
        yield Problem("K301", mark, message, nearest(section.name, known))
    for source in section.sources:
        if source not in pack.sources:
            message = f"there is no source '{source}' in sources.yaml"
            yield Problem("K301", mark, message, nearest(source, pack.sources))


def _check_part(explainer: Explainer, section: Section, part: str) -> Iterator[Problem]:
    mark = _mark(explainer.file, explainer.lines, f"### {part}" if part else "")
    if section.kind == "band":
        if part not in BAND_PARTS:
            message = f"'### {part}' is no part of a band" if part else "text without a '###' head"
            yield Problem("K104", mark, message, "write one of: " + "; ".join(BAND_PARTS))
        if BOTTOM_LINE not in section.parts:
            mark = _mark(explainer.file, explainer.lines, f"## {heading_of(section)}")
            yield Problem("K105", mark, f"'### {BOTTOM_LINE}' is missing")
    elif part:
        yield Problem("K104", mark, f"'### {part}' belongs under a band only")


def _check_text(
    explainer: Explainer, text: str, marker: Marker, known: frozenset[str]
) -> Iterator[Problem]:
    for code, piece, message, remedy in wording_faults(text):
        yield Problem(code, _mark(explainer.file, explainer.lines, piece), message, remedy)
    try:
        found = placeholders(text)
    except TextError as error:
        mark = _mark(explainer.file, explainer.lines, text.split("\n")[error.line - 1])
        yield Problem("K501", mark, str(error))
        return
    for placeholder in found:
        if str(placeholder) not in known:
            mark = _mark(explainer.file, explainer.lines, str(placeholder))
            message = f"'{{{{ {placeholder} }}}}' is nothing that an explainer of {marker.id} shows"
            yield Problem("K501", mark, message, nearest(str(placeholder), known))
    yield from _check_numbers(explainer, text, marker)


def _check_numbers(explainer: Explainer, text: str, marker: Marker) -> Iterator[Problem]:
    """A band's or limit's number in the marker's unit is written by its placeholder only."""
    if not marker.unit:
        return
    ours = amounts_of(marker)
    number = r"[0-9]+(?:\.[0-9]+)?"
    written = rf"({number})(?: (?:to|or|and) ({number}))? +{re.escape(marker.unit)}(?!\w)"
    for match in re.finditer(written, text):
        for number_text in (match[1], match[2]):
            if number_text and Fraction(number_text) in ours:
                mark = _mark(explainer.file, explainer.lines, match[0])
                message = f"'{number_text}' is a number of the marker's file"
                remedy = "write a placeholder such as {{ band.ID }} or {{ limit.NAME }}"
                yield Problem("K505", mark, message, remedy)


def amounts_of(marker: Marker) -> frozenset[Fraction]:
    """Every amount that the marker's bands and limits hold."""
    found = {
        leaf.bound.amount
        for band in marker.bands
        for leaf in leaves(band.when)
        if isinstance(leaf, Compare) and isinstance(leaf.bound, Number)
    }
    stated = (choice.amount for choices in marker.limits.values() for choice in choices)
    return frozenset((*found, *(amount for amount in stated if amount is not None)))


def names_in_explainers(marker: Marker, pack: Pack) -> frozenset[str]:
    """Every placeholder that an explainer of the marker may hold.

    `band.ID`, `limit.NAME` (a stated amount of a limit policy) and `window.RULE.ORDER`.
    """
    bands = (f"band.{band.id}" for band in marker.bands)
    limits = (
        f"limit.{_name(choice.named)}"
        for choices in marker.limits.values()
        for choice in choices
        if choice.amount is not None
    )
    windows = (
        f"window.{_name(rule.id)}.{_name(suggestion.order)}"
        for rule in pack.rules.values()
        for suggestion in rule.suggestions
    )
    return frozenset((*bands, *limits, *windows))


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", text)


def _mark(file: str, lines: tuple[str, ...], piece: str) -> Mark:
    """The first line that holds the piece (its own first line), or the top of the file."""
    piece = piece.split("\n", maxsplit=1)[0]
    for number, line in enumerate(lines, start=1):
        if piece and piece in line:
            return Mark(file, number, line.index(piece) + 1, line, len(piece))
    return Mark(file, 1, 1, lines[0] if lines else "")
