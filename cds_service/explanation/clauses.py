# SPDX-License-Identifier: Apache-2.0
"""Conditions as trees of words that a page can lay out."""

from dataclasses import replace
from typing import Literal

from msgspec import Struct

from cds_service.knowledge.model.bounds import TimesMarker
from cds_service.knowledge.model.conditions import (
    AllOf,
    AnyOf,
    Condition,
    PatternIs,
)
from cds_service.knowledge.model.leaves import (
    Compare,
    Leaf,
)
from cds_service.knowledge.model.marker_parts import markers_of
from cds_service.knowledge.model.pack import Pack, Reason


class Clause(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A condition: `all` or `any` of its parts, or one thing that `is` so.

    A pattern is one thing whose one part says what it stands for.
    """

    kind: Literal["all", "any", "is"]
    written: str  # as in the rule's file
    subject: str = ""
    phrase: str = ""
    marker: str = ""  # the id of the marker that the subject is, for its explainer
    parts: tuple["Clause", ...] = ()


class WithholdingClause(Struct, frozen=True, kw_only=True, rename="camel"):
    """A condition that withholds a card or an order, with its reason code."""

    because: str
    when: Clause


def clause_of(condition: Condition, pack: Pack) -> Clause:
    """The condition as words."""
    if isinstance(condition, AllOf | AnyOf):
        parts = tuple(clause_of(part, pack) for part in condition.parts)
        if len(parts) == 1:
            return parts[0]
        kind: Literal["all", "any"] = "all" if isinstance(condition, AllOf) else "any"
        return Clause(kind=kind, written=condition.in_words(), parts=parts)
    if isinstance(condition, PatternIs):
        return Clause(
            kind="is",
            written=condition.in_words(),
            subject=capital(title_of(condition.pattern, pack)),
            phrase=condition.phrase,
            parts=(clause_of(condition.when, pack),),
        )
    return _leaf(condition, pack)


def reasons_of(reasons: tuple[Reason, ...], pack: Pack) -> tuple[WithholdingClause, ...]:
    """Each reason with its condition as words."""
    return tuple(
        WithholdingClause(because=reason.because, when=clause_of(reason.when, pack))
        for reason in reasons
    )


def title_of(name: str, pack: Pack) -> str:
    """What people call a marker, measure, fact or order; any other word as it is."""
    for named_parts in (pack.markers, pack.measures, pack.facts, pack.patterns, pack.orders):
        if name in named_parts:
            return named_parts[name].title
    return name


def _leaf(leaf: Leaf, pack: Pack) -> Clause:
    markers = markers_of(leaf)
    names = leaf.markers if isinstance(leaf, Compare) else (leaf.subject,)
    titled = leaf
    if isinstance(leaf, Compare) and isinstance(leaf.bound, TimesMarker):
        bound = replace(leaf.bound, marker=title_of(leaf.bound.marker, pack))
        titled = replace(leaf, bound=bound)
    return Clause(
        kind="is",
        written=leaf.in_words(),
        subject=capital(" or ".join(title_of(name, pack) for name in names)),
        phrase=titled.phrase,
        marker=markers[0] if len(markers) == 1 else "",
    )


def leaf_text(leaf: Leaf, pack: Pack) -> str:
    """The condition on one line, such as `Alpha or Beta: above 35 U/L`, with titles for ids."""
    clause = _leaf(leaf, pack)
    return f"{clause.subject}: {clause.phrase}"


def capital(text: str) -> str:
    """The text with its first letter as a capital."""
    return text[:1].upper() + text[1:]
