# SPDX-License-Identifier: Apache-2.0
"""Conditions compiled to functions of a frame, with Kleene's three answers.

A condition is compiled once, when the pack is loaded; equal conditions share one function.
Missing data gives `None`, never `False`.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from fractions import Fraction
from functools import cache
from typing import TypeAlias

from cds_service.amounts import Interval, Relation, Ternary, compare, exactly
from cds_service.knowledge.model.conditions import (
    AgeCompare,
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Earlier,
    FactIs,
    HasUnusedData,
    IsExact,
    LimitKind,
    MeasureCompare,
    MeasuredWith,
    NoLimit,
    Number,
    Ordering,
    OtherMethod,
    Present,
    SetAsideBecause,
    SexIs,
    TestedBefore,
    TimesLimit,
)
from cds_service.knowledge.model.pack import NotComputed, Reason
from cds_service.labs.frames import Frame, Reading
from cds_service.labs.limits import Limit
from cds_service.labs.patient import age_is
from cds_service.labs.reasons import PackReason

Test: TypeAlias = Callable[[Frame], Ternary]


@cache
def compiled(condition: Condition) -> Test:
    """A function that answers the condition for a frame."""
    match condition:
        case AllOf(parts=parts):
            return _all_of(tuple(compiled(part) for part in parts))
        case AnyOf(parts=parts):
            return _any_of(tuple(compiled(part) for part in parts))
        case Compare(markers=markers) if len(markers) > 1:
            return _any_of(tuple(_compare(condition, marker) for marker in markers))
        case Compare(markers=markers):
            return _compare(condition, markers[0])
        case _:
            return _leaf(condition)


def compiled_reasons(
    reasons: Iterable[Reason | NotComputed],
) -> tuple[tuple[Test, PackReason], ...]:
    """The reasons of a pack with their conditions as functions, in the same order."""
    return tuple((compiled(reason.when), PackReason(reason.because)) for reason in reasons)


def first_reason(reasons: Iterable[tuple[Test, PackReason]], frame: Frame) -> PackReason | None:
    """The first reason whose condition is known to hold."""
    return next((because for test, because in reasons if test(frame) is True), None)


def met_by(condition: Condition, frame: Frame) -> str | None:
    """The marker that meets an `any of` comparison in the condition (the first that does)."""
    match condition:
        case AllOf(parts=parts) | AnyOf(parts=parts):
            return next((name for part in parts if (name := met_by(part, frame))), None)
        case Compare(markers=markers) if len(markers) > 1:
            return next((m for m in markers if _compare(condition, m)(frame) is True), None)
        case _:
            return None


def _all_of(tests: tuple[Test, ...]) -> Test:
    def test(frame: Frame) -> Ternary:
        answer: Ternary = True
        for part in tests:
            known = part(frame)
            if known is False:
                return False
            if known is None:
                answer = None
        return answer

    return test


def _any_of(tests: tuple[Test, ...]) -> Test:
    def test(frame: Frame) -> Ternary:
        answer: Ternary = False
        for part in tests:
            known = part(frame)
            if known is True:
                return True
            if known is None:
                answer = None
        return answer

    return test


def _compare(condition: Compare, marker: str) -> Test:
    """Compare one marker, now or at the previous test, with the bound."""
    relation, earlier = condition.relation, condition.earlier
    bound, is_exclusive = _bound(condition), _exclusive_of(condition)
    beyond = _beyond(condition)

    def test(frame: Frame) -> Ternary:
        reading = frame.readings.get(marker)
        if reading is None:
            return None
        value = reading.result.value if earlier is None else _previous_value(reading, earlier)
        other = bound(frame, reading)
        if value is None or other is None:
            return None
        return compare(value, beyond if is_exclusive(reading) else relation, other)

    return test


def _bound(condition: Compare) -> Callable[[Frame, Reading], Interval | None]:
    match condition.bound:
        case Number(amount=amount):
            fixed = exactly(amount)
            return lambda _frame, _reading: fixed
        case TimesLimit(times=times, limit=kind):
            return lambda _frame, reading: _multiple(limit_in(reading, kind), times)
        case bound:
            times, other = bound.times, bound.marker
            plus = bound.plus.amount if bound.plus else None

            def of_other(frame: Frame, _reading: Reading) -> Interval | None:
                reading = frame.readings.get(other)
                if reading is None:
                    return None
                multiple = reading.result.value.times(times)
                return multiple if plus is None else multiple.plus(plus)

            return of_other


def _beyond(condition: Compare) -> Relation:
    """The relation where a value equal to the limit lies beyond it."""
    match condition.bound, condition.relation:
        case TimesLimit(limit="lower limit"), "below":
            return "at most"
        case TimesLimit(limit="lower limit"), "at least":
            return "above"
        case TimesLimit(limit="upper limit"), "above":
            return "at least"
        case TimesLimit(limit="upper limit"), "at most":
            return "below"
        case _:
            return condition.relation


def _exclusive_of(condition: Compare) -> Callable[[Reading], bool]:
    """Whether the limit itself, not a multiple of it, is compared with and lies beyond itself."""
    match condition.bound:
        case TimesLimit(times=1, limit=kind):

            def of_limit(reading: Reading) -> bool:
                limit = limit_in(reading, kind)
                return limit is not None and limit.exclusive

            return of_limit
        case _:
            return lambda _reading: False


def limit_in(reading: Reading, kind: LimitKind) -> Limit | None:
    """The limit of that kind that belongs to a reading."""
    match kind:
        case "upper limit":
            return reading.upper
        case "lower limit":
            return reading.lower
        case "screening limit":
            return reading.screening


def _multiple(limit: Limit | None, times: Fraction) -> Interval | None:
    return None if limit is None else limit.times(times)


def _previous_value(reading: Reading, earlier: Earlier) -> Interval | None:
    """The previous test's value if it is that far back; one that is not leaves it unknown."""
    return reading.previous.value if _was_before(reading, earlier) and reading.previous else None


def _was_before(reading: Reading, earlier: Earlier) -> bool:
    if reading.previous is None:
        return False
    distance = reading.result.time - reading.previous.time
    least, most = timedelta(days=earlier.least_days), timedelta(days=earlier.most_days)
    return least <= distance <= most


def _leaf(condition: Condition) -> Test:
    match condition:
        case AgeCompare():
            return lambda frame: age_is(condition, frame.person)
        case SexIs(sexes=sexes):
            return lambda frame: frame.person.sex in sexes
        case FactIs(fact=fact, or_unknown=True):
            return lambda frame: frame.facts[fact].known is not True
        case FactIs(fact=fact, answer=wanted):
            return lambda frame: _fact(frame, fact, wanted=wanted)
        case MeasureCompare():
            return _measure(condition)
        case Present(marker=marker, since_index=True):
            return lambda frame: marker in frame.later
        case Present(marker=marker):
            return lambda frame: marker in frame.readings
        case SetAsideBecause(reason=reason):
            return lambda frame: frame.set_aside is not None and frame.set_aside.reason == reason
        case HasUnusedData():
            return lambda frame: bool(frame.unused)
        case Ordering(what=what, without=without):
            return lambda frame: what in frame.ordering and without not in frame.ordering
        case _:
            return _of_reading(condition)


def _of_reading(condition: Condition) -> Test:
    """Leaves about the state of one result; without the result they are not known."""
    match condition:
        case IsExact(marker=marker):
            return _reading_test(marker, lambda one: one.result.value.exact is not None)
        case MeasuredWith(marker=marker, method=method):
            return _reading_test(marker, lambda one: one.result.method == method)
        case OtherMethod(marker=marker, method=method):
            return _reading_test(marker, lambda one: _other_method(one, method))
        case TestedBefore(marker=marker, earlier=earlier):
            return _reading_test(marker, lambda one: _was_before(one, earlier))
        case NoLimit(marker=marker, limit=kind):
            return _reading_test(marker, lambda one: limit_in(one, kind) is None)
        case _:
            message = f"no evaluation for {type(condition).__name__}"
            raise TypeError(message)


def _reading_test(marker: str, answer: Callable[[Reading], Ternary]) -> Test:
    def test(frame: Frame) -> Ternary:
        reading = frame.readings.get(marker)
        return None if reading is None else answer(reading)

    return test


def _other_method(reading: Reading, method: str) -> Ternary:
    if reading.previous is None:
        return None
    return (reading.result.method == method) != (reading.previous.method == method)


def _fact(frame: Frame, fact: str, *, wanted: bool) -> Ternary:
    known = frame.facts[fact].known
    return None if known is None else known is wanted


def _measure(condition: MeasureCompare) -> Test:
    measure, relation = condition.measure, condition.relation
    bound = exactly(condition.bound.amount)

    def test(frame: Frame) -> Ternary:
        found = frame.measures.get(measure)
        if found is None or found.value is None:
            return None
        return compare(exactly(found.value), relation, bound)

    return test
