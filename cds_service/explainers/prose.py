# SPDX-License-Identifier: Apache-2.0
"""An explainer with its placeholders filled, as views; made once for each marker."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TypeAlias

from cds_service.amounts import plain
from cds_service.explanation.clauses import title_of
from cds_service.explanation.scale import blank_frame, stretches
from cds_service.explanation.view import Cited, View, cited
from cds_service.knowledge.model.bounds import Bound, Number, TimesLimit, TimesMarker
from cds_service.knowledge.model.conditions import AllOf, AnyOf, Condition, leaves
from cds_service.knowledge.model.explainers import Explainer, Section
from cds_service.knowledge.model.leaves import Compare
from cds_service.knowledge.model.pack import Grade, Marker, Pack
from cds_service.knowledge.reading.explainers import BOTTOM_LINE, NEXT, REASONS
from cds_service.render.result_units import ResultUnit, unit_of_marker, unit_of_system
from cds_service.render.values import window_of
from cds_service.text_templates import compile_detail

_Words: TypeAlias = dict[str, dict[str, object]]


class Prose(View, frozen=True, kw_only=True):
    """A text in Markdown and the ids of its sources."""

    id: str = ""  # a marker or measure, or a band
    title: str
    text: str
    sources: tuple[str, ...] = ()
    decision: bool = False  # it also rests on a decision of the pack's authors


class BandProse(View, frozen=True, kw_only=True):
    """The text about one band."""

    id: str
    title: str
    range: str
    bottom_line: str
    reasons: str = ""
    next: str = ""
    sources: tuple[str, ...] = ()
    decision: bool = False


class FilledExplainer(View, frozen=True, kw_only=True):
    """The whole explainer of a marker."""

    title: str
    last_review: str
    what_it_is: Prose
    the_scale: Prose | None = None
    bands: tuple[BandProse, ...] = ()
    together: tuple[Prose, ...] = ()
    topics: tuple[Prose, ...] = ()
    sources: tuple[Cited, ...] = ()


def filled(explainer: Explainer, marker: Marker, pack: Pack, system: str = "") -> FilledExplainer:
    """The explainer as views, its amounts in the unit of this system (US or SI)."""
    words = _words(marker, pack, unit_of_system(marker, system) or unit_of_marker(marker))
    sections = [_with_addresses(section, pack) for section in explainer.sections]
    by_kind: dict[str, list[Section]] = {}
    for section in sections:
        by_kind.setdefault(section.kind, []).append(section)
    cites = dict.fromkeys(source for section in sections for source in section.sources)
    scale = [_prose(section, "", words) for section in by_kind.get("the scale", [])]
    return FilledExplainer(
        title=explainer.title,
        last_review=explainer.last_review,
        what_it_is=_prose(by_kind["what it is"][0], f"What {marker.title} is", words),
        the_scale=scale[0] if scale else None,
        bands=tuple(_band(section, marker, words) for section in by_kind.get("band", [])),
        together=tuple(
            _prose(section, title_of(section.name, pack), words)
            for section in by_kind.get("with", [])
        ),
        topics=tuple(_prose(section, section.name, words) for section in by_kind.get("topic", [])),
        sources=tuple(cited(pack.sources[name]) for name in cites),
    )


def _with_addresses(section: Section, pack: Pack) -> Section:
    """The section with those of its sources that a reader can open."""
    return replace(
        section, sources=tuple(source for source in section.sources if pack.sources[source].url)
    )


def _prose(section: Section, title: str, words: _Words) -> Prose:
    return Prose(
        id=section.name if section.kind == "with" else "",
        title=title[:1].upper() + title[1:],
        text=_fill(section.parts.get("", ""), words),
        sources=section.sources,
        decision=section.decision,
    )


def _band(section: Section, marker: Marker, words: _Words) -> BandProse:
    title = next(band.title for band in marker.bands if band.id == section.name)
    return BandProse(
        id=section.name,
        title=title,
        range=str(words["band"][_name(section.name)]),
        bottom_line=_fill(section.parts[BOTTOM_LINE], words),
        reasons=_fill(section.parts.get(REASONS, ""), words),
        next=_fill(section.parts.get(NEXT, ""), words),
        sources=section.sources,
        decision=section.decision,
    )


def _fill(text: str, words: _Words) -> str:
    return compile_detail(text).render(words).strip()


def _words(marker: Marker, pack: Pack, unit: ResultUnit) -> _Words:
    """The value of every placeholder that `knowledge.checking.explainers` knows."""
    bands: dict[str, list[str]] = {}
    if _is_fixed(marker.bands):
        for stretch in stretches(marker.bands, marker, blank_frame(marker)):
            bands.setdefault(_name(stretch.grade.id), []).append(stretch.words(unit))
    else:
        for band in marker.bands:
            bands[_name(band.id)] = [_in_words(band.when, unit, pack)]
    return {
        "band": {name: " or ".join(words) for name, words in bands.items()},
        "limit": dict(_limits(marker, unit)),
        "window": {_name(rule): windows for rule, windows in _windows(pack)},
    }


def _is_fixed(grades: tuple[Grade, ...]) -> bool:
    """Whether every band lies between amounts, whatever the limit."""
    compared = [leaf for grade in grades for leaf in leaves(grade.when)]
    return all(isinstance(leaf, Compare) and isinstance(leaf.bound, Number) for leaf in compared)


def _in_words(condition: Condition, unit: ResultUnit, pack: Pack) -> str:
    """Where a band begins: for example `at least 1000 U/L or above 5 × the upper limit`."""
    match condition:
        case AllOf(parts=parts):
            return ", ".join(_in_words(part, unit, pack) for part in parts)
        case AnyOf(parts=parts):
            return " or ".join(_in_words(part, unit, pack) for part in parts)
        case Compare(relation=relation, bound=bound):
            return f"{relation} {_bound(bound, unit, pack)}"
        case _:
            return f"{condition.subject} {condition.phrase}"


def _bound(bound: Bound, unit: ResultUnit, pack: Pack) -> str:
    match bound:
        case Number(amount=amount):
            return f"{unit.number(amount)} {unit.text}".strip()
        case TimesLimit(times=times, limit=limit):
            return f"the {limit}" if times == 1 else f"{plain(times)} × the {limit}"
        case TimesMarker(times=times, marker=marker):
            return f"{plain(times)} × {title_of(marker, pack)}"
        case _:
            return bound.in_words()


def _limits(marker: Marker, unit: ResultUnit) -> Iterator[tuple[str, str]]:
    amounts: dict[str, set[Fraction]] = {}
    for choices in marker.limits.values():
        for choice in choices:
            if choice.amount is not None:
                amounts.setdefault(_name(choice.named), set()).add(choice.amount)
    for name, different in amounts.items():
        listed = " or ".join(unit.number(amount) for amount in sorted(different))
        yield name, f"{listed} {unit.text}".strip()


def _windows(pack: Pack) -> Iterator[tuple[str, Mapping[str, str]]]:
    for rule in pack.rules.values():
        yield (
            rule.id,
            {
                _name(suggestion.order): window_of(suggestion, pack.messages_in()).window
                for suggestion in rule.suggestions
            },
        )


def _name(text: str) -> str:
    return "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in text)
