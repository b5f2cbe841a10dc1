# SPDX-License-Identifier: Apache-2.0
"""The checks of explainers: their sections, their sources, and numbers that the pack holds."""

import re
from collections.abc import Iterator
from fractions import Fraction

from cds_service.knowledge.model.bounds import Number
from cds_service.knowledge.model.conditions import leaves
from cds_service.knowledge.model.explainers import Explainer, Section
from cds_service.knowledge.model.leaves import Compare
from cds_service.knowledge.model.pack import Marker, Pack
from cds_service.knowledge.reading.explainers import (
    BAND_PARTS,
    BOTTOM_LINE,
    heading_of,
    mark_of,
)
from cds_service.knowledge.reading.text_wording import wording_faults
from cds_service.sourcefile.diagnostics import Mark, Problem, nearest
from cds_service.text_templates import TextError, placeholders


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
                mark = mark_of(explainer.file, explainer.lines, f"{statement}:")
                message = f"'{statement}' should be under '{place}', which is not there"
                yield Problem("K301", mark, message, nearest(place, headings))


def _check_names(
    explainer: Explainer, section: Section, marker: Marker, pack: Pack
) -> Iterator[Problem]:
    mark = mark_of(explainer.file, explainer.lines, f"## {heading_of(section)}")
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
    mark = mark_of(explainer.file, explainer.lines, f"### {part}" if part else "")
    if section.kind == "band":
        if part not in BAND_PARTS:
            message = f"'### {part}' is no part of a band" if part else "text without a '###' head"
            yield Problem("K104", mark, message, "write one of: " + "; ".join(BAND_PARTS))
        if BOTTOM_LINE not in section.parts:
            mark = mark_of(explainer.file, explainer.lines, f"## {heading_of(section)}")
            yield Problem("K105", mark, f"'### {BOTTOM_LINE}' is missing")
    elif part:
        yield Problem("K104", mark, f"'### {part}' belongs under a band only")


def _check_text(
    explainer: Explainer, text: str, marker: Marker, known: frozenset[str]
) -> Iterator[Problem]:
    for code, piece, message, remedy in wording_faults(text):
        yield Problem(code, mark_of(explainer.file, explainer.lines, piece), message, remedy)
    try:
        found = placeholders(text)
    except TextError as error:
        mark = mark_of(explainer.file, explainer.lines, text.split("\n")[error.line - 1])
        yield Problem("K501", mark, str(error))
        return
    for placeholder in found:
        if str(placeholder) not in known:
            mark = mark_of(explainer.file, explainer.lines, str(placeholder))
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
                mark = mark_of(explainer.file, explainer.lines, match[0])
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
