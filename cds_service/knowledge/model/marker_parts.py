# SPDX-License-Identifier: Apache-2.0
"""What a condition reads of markers: their results, limits, previous and later tests."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cds_service.knowledge.model.bounds import Earlier, TimesLimit, TimesMarker, TimesPrevious
from cds_service.knowledge.model.leaves import (
    Compare,
    IsExact,
    Leaf,
    MeasuredWith,
    NoLimit,
    OtherMethod,
    Present,
    PresentBeforeNow,
    SameMethod,
    TestedBefore,
)

PartName: TypeAlias = Literal[
    "result", "previous", "recent", "upper limit", "lower limit", "screening limit", "later"
]


@dataclass(frozen=True, slots=True)
class MarkerPart:
    """What is read of a marker in a frame.

    Its `result` (the index or the one paired with it), the test `previous` to the index, results
    that are `recent` whatever the index, a limit of its result, or whether there is a result
    `later` than the index. `earlier` says how far back a previous or recent one may be.
    """

    marker: str
    part: PartName
    earlier: Earlier | None = None


def parts_of(leaf: Leaf) -> tuple[MarkerPart, ...]:
    """What a leaf reads of markers, in the order of its phrase.

    >>> from fractions import Fraction
    >>> twice = TimesLimit(Fraction(2), "upper limit")
    >>> [part.part for part in parts_of(Compare(("alpha",), "above", twice))]
    ['result', 'upper limit']
    """
    match leaf:
        case Compare(markers=markers):
            own = [part for marker in markers for part in _compared(marker, leaf)]
            other = leaf.bound.marker if isinstance(leaf.bound, TimesMarker) else None
            return (*own, MarkerPart(other, "result")) if other else tuple(own)
        case Present(marker=marker, since_index=True):
            return (MarkerPart(marker, "later"),)
        case Present(marker=marker) | IsExact(marker=marker) | MeasuredWith(marker=marker):
            return (MarkerPart(marker, "result"),)
        case PresentBeforeNow(marker=marker, days=days):
            return (MarkerPart(marker, "recent", Earlier(0, days)),)
        case TestedBefore() | SameMethod() | OtherMethod():
            marker = leaf.marker
            return (MarkerPart(marker, "result"), MarkerPart(marker, "previous", leaf.earlier))
        case NoLimit(marker=marker, limit=limit):
            return (MarkerPart(marker, "result"), MarkerPart(marker, limit))
        case _:
            return ()


def markers_of(leaf: Leaf) -> tuple[str, ...]:
    """The markers whose results a leaf reads, each once."""
    return tuple(dict.fromkeys(part.marker for part in parts_of(leaf)))


def _compared(marker: str, leaf: Compare) -> Iterator[MarkerPart]:
    """The parts of one of its own markers that a comparison reads."""
    yield MarkerPart(marker, "result")
    if leaf.earlier is not None:
        yield MarkerPart(marker, "previous", leaf.earlier)
    match leaf.bound:
        case TimesLimit(limit=limit):
            yield MarkerPart(marker, limit)
        case TimesPrevious(earlier=earlier):
            yield MarkerPart(marker, "previous", earlier)
        case _:
            pass
