# SPDX-License-Identifier: Apache-2.0
"""What a result may be compared with: how it is written, what it stands for, what it becomes."""

from dataclasses import replace
from fractions import Fraction
from typing import Final

from cds_service.knowledge.model.bounds import (
    Bound,
    Earlier,
    LimitKind,
    Number,
    TimesLimit,
    TimesMarker,
    TimesPrevious,
)
from cds_service.knowledge.reading.forms import Phrase, PhraseForm
from cds_service.sourcefile.diagnostics import nearest


def earlier(phrase: Phrase, least: str, most: str) -> Earlier:
    """The window of a previous test; a problem is noted if it is none."""
    if int(least) > int(most):
        phrase.problem("K205", "the first number of days is above the second")
    return Earlier(int(least), int(most))


def _times_limit(
    phrase: Phrase, _unit: str | None, factor: str | None, kind: LimitKind
) -> TimesLimit | None:
    for marker in phrase.subject:
        if kind not in phrase.words.markers[marker].limits:
            message = f"{marker} has no {kind}, so this is never known"
            phrase.problem("K205", message, f"write '{kind}:' in its file")
            return None
    return TimesLimit(Fraction(factor or 1), kind)


def _number(phrase: Phrase, last_unit: str | None, number: str, unit: str | None) -> Number | None:
    unit = unit or last_unit
    amounts = set()
    for marker in phrase.subject:
        words = phrase.words.markers[marker]
        factor = words.factors.get(unit) if unit else (None if words.unit else Fraction(1))
        if factor is None:
            allowed = "write one of: " + (", ".join(words.factors) or "a number without unit")
            problem = f"has no unit '{unit}'" if unit else "needs a unit after the number"
            phrase.problem("K203", f"{marker} {problem}", allowed)
            return None
        amounts.add(Fraction(number) * factor)
    if len(amounts) != 1:
        phrase.problem("K203", "the markers do not share this unit")
        return None
    return Number(amounts.pop(), f"{number} {unit}" if unit else number)


def _times_marker(
    phrase: Phrase, _unit: str | None, factor: str | None, other: str
) -> TimesMarker | None:
    markers = phrase.words.markers
    if other not in markers:
        phrase.problem("K201", f"there is no marker '{other}'", nearest(other, markers))
        return None
    if any(markers[marker].unit != markers[other].unit for marker in phrase.subject):
        phrase.problem("K203", f"{other} has another unit, so the two do not compare")
        return None
    return TimesMarker(Fraction(factor or 1), other)


def _times_marker_plus(
    phrase: Phrase, unit: str | None, factor: str | None, other: str, number: str, own_unit: str
) -> TimesMarker | None:
    multiple = _times_marker(phrase, unit, factor, other)
    more = _number(phrase, unit, number, own_unit)
    return None if multiple is None or more is None else replace(multiple, plus=more)


def _times_previous(
    phrase: Phrase, _unit: str | None, factor: str | None, least: str, most: str
) -> TimesPrevious:
    return TimesPrevious(Fraction(factor or 1), earlier(phrase, least, most))


def _times_previous_plus(
    phrase: Phrase,
    unit: str | None,
    factor: str | None,
    least: str,
    most: str,
    number: str,
    own_unit: str | None,
) -> TimesPrevious | None:
    more = _number(phrase, unit, number, own_unit)
    previous = _times_previous(phrase, unit, factor, least, most)
    return None if more is None else replace(previous, plus=more)


AMOUNT: Final[PhraseForm[Bound]] = PhraseForm(
    "NUMBER [UNIT]",
    "a fixed amount; a marker with a unit needs one, and of two bounds the first may take the unit"
    " of the second",
    _number,
)
BOUNDS: Final[tuple[PhraseForm[Bound], ...]] = (
    PhraseForm(
        "[FACTOR x] LIMIT",
        "the limit that the marker's file finds for that very result, or a multiple of it",
        _times_limit,
    ),
    AMOUNT,
    PhraseForm(
        "[FACTOR x] MARKER",
        "the result of another marker of the frame, or a multiple of it; both have the same unit",
        _times_marker,
    ),
    PhraseForm(
        "[FACTOR x] MARKER plus NUMBER UNIT",
        "the same with an amount on top, such as what rounding can add",
        _times_marker_plus,
    ),
    PhraseForm(
        "[FACTOR x] the previous test N to N days earlier",
        "the previous test of the same marker, or a multiple of it: the last that is at least so"
        " many days older than the index, if it is not more than the second number of days older",
        _times_previous,
    ),
    PhraseForm(
        "[FACTOR x] the previous test N to N days earlier plus NUMBER [UNIT]",
        "the same with an amount on top",
        _times_previous_plus,
    ),
)
