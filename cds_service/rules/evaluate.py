# SPDX-License-Identifier: Apache-2.0
"""Conditions compiled to functions of a frame, with Kleene's three answers.

A condition is compiled once, when the pack is loaded; equal conditions share one function.
Missing data gives `None`, never `False`.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cache
from typing import TypeAlias

from cds_service.amounts import COMPARISONS, Interval, Relation, Ternary, exactly
from cds_service.knowledge.model.bounds import (
    Earlier,
    LimitKind,
    Number,
    TimesLimit,
    TimesMarker,
    TimesPrevious,
)
from cds_service.knowledge.model.conditions import (
    AllOf,
    AnyOf,
    Condition,
    PatternIs,
)
from cds_service.knowledge.model.leaves import (
    AgeCompare,
    Compare,
    FactIs,
    HasUnusedData,
    IndexAge,
    IsExact,
    MeasureCompare,
    MeasuredWith,
    NoLimit,
    Ordering,
    OtherMethod,
    Present,
    PresentBeforeNow,
    SameMethod,
    SetAsideBecause,
    SexIs,
    Taking,
    TestedBefore,
)
from cds_service.knowledge.model.pack import NotComputed, Reason
from cds_service.labs.patient import age_is
from cds_service.labs.patient_record import LabResult
from cds_service.labs.reading_limits import LIMIT_IN, limit_in
from cds_service.labs.reasons import PackReason
from cds_service.labs.result_selection import Frame, Reading

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
        case PatternIs(when=when):
            return _pattern(condition, compiled(when))
        case _:
            return _leaf(condition)


def compiled_reasons(
    reasons: Iterable[Reason | NotComputed],
) -> tuple[tuple[Test, PackReason], ...]:
    """The reasons of a pack with their conditions as functions, in the same order."""
    return tuple((compiled(reason.when), PackReason(reason.because)) for reason in reasons)


def first_reason(reasons: Iterable[tuple[Test, PackReason]], frame: Frame) -> PackReason | None:
    """The first reason whose condition is known to hold."""
    for test, because in reasons:
        if test(frame) is True:
            return because
    return None


def _pattern(condition: PatternIs, holds: Test) -> Test:
    wanted = condition.answer
    if condition.or_unknown:
        return lambda frame: holds(frame) is not True

    def test(frame: Frame) -> Ternary:
        known = holds(frame)
        return None if known is None else known is wanted

    return test


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
    match condition.bound:
        case TimesLimit() as bound:
            bare = _with_limit(condition, bound, marker)
        case Number(amount=amount) if condition.earlier is None:
            bare = _with_number(condition.relation, exactly(amount), marker)
        case _:
            bare = _with_result(condition, marker)
    return bare if condition.within_hours is None else _near_index(condition, marker, bare)


def _with_number(relation: Relation, bound: Interval, marker: str) -> Test:
    holds = COMPARISONS[relation]

    def test(frame: Frame) -> Ternary:
        reading = frame.readings.get(marker)
        return None if reading is None else holds(reading.result.value, bound)

    return test


def _with_limit(condition: Compare, bound: TimesLimit, marker: str) -> Test:
    relation, earlier, limit_of = condition.relation, condition.earlier, LIMIT_IN[bound.limit]
    holds = COMPARISONS[relation]
    holds_beyond = COMPARISONS[_beyond(bound.limit, relation)] if bound.times == 1 else holds
    times = bound.times.as_integer_ratio()

    def test(frame: Frame) -> Ternary:
        reading = frame.readings.get(marker)
        if reading is None:
            return None
        limit = limit_of(reading)
        result = reading.result if earlier is None else frame.previous(marker, earlier)
        if limit is None or result is None:
            return None
        test_of = holds_beyond if limit.exclusive else holds
        return test_of(result.value, limit.interval, times)

    return test


def _with_result(condition: Compare, marker: str) -> Test:
    """Compare with what another result gives, or the previous test with a number."""
    earlier, bound = condition.earlier, _bound(condition, marker)
    holds = COMPARISONS[condition.relation]

    def test(frame: Frame) -> Ternary:
        reading = frame.readings.get(marker)
        if reading is None:
            return None
        result = reading.result if earlier is None else frame.previous(marker, earlier)
        other = bound(frame)
        return None if result is None or other is None else holds(result.value, other)

    return test


def _near_index(condition: Compare, marker: str, bare: Test) -> Test:
    """The comparison where the result lies within so many hours of the index."""
    reach = timedelta(hours=condition.within_hours or 0)

    def test(frame: Frame) -> Ternary:
        reading, index = frame.readings.get(marker), frame.index_result
        if reading is None or index is None or abs(reading.result.time - index.time) > reach:
            return None
        return bare(frame)

    return test


def _bound(condition: Compare, marker: str) -> Callable[[Frame], Interval | None]:
    match condition.bound:
        case Number(amount=amount):
            fixed = exactly(amount)
            return lambda _frame: fixed
        case TimesPrevious(earlier=earlier) as bound:
            return lambda frame: _beside(bound, frame.previous(marker, earlier))
        case TimesMarker(marker=other) as bound:
            return lambda frame: _beside(
                bound, reading.result if (reading := frame.readings.get(other)) else None
            )
        case TimesLimit():
            message = "a limit belongs to one reading"
            raise TypeError(message)


def _beside(bound: TimesMarker | TimesPrevious, result: LabResult | None) -> Interval | None:
    """The multiple of another result, with what comes on top."""
    if result is None:
        return None
    multiple = result.value.times(bound.times)
    return multiple if bound.plus is None else multiple.plus(bound.plus.amount)


def _beyond(kind: LimitKind, relation: Relation) -> Relation:
    """The relation where a value equal to the limit lies beyond it."""
    match kind, relation:
        case "lower limit", "below":
            return "at most"
        case "lower limit", "at least":
            return "above"
        case "upper limit", "above":
            return "at least"
        case "upper limit", "at most":
            return "below"
        case _:
            return relation


def _leaf(condition: Condition) -> Test:
    match condition:
        case AgeCompare():
            return lambda frame: age_is(condition, frame.person)
        case SexIs(sexes=sexes):
            return lambda frame: frame.person.sex in sexes
        case FactIs():
            return _fact(condition)
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
        case Taking(fact=fact):
            return lambda frame: frame.taking.get(fact)
        case Ordering(what=what, without=without):
            return lambda frame: what in frame.ordering and without not in frame.ordering
        case PresentBeforeNow() | IndexAge() | TestedBefore() | SameMethod() | OtherMethod():
            return _of_times(condition)
        case _:
            return _of_reading(condition)


def _of_times(
    condition: PresentBeforeNow | IndexAge | TestedBefore | SameMethod | OtherMethod,
) -> Test:
    """Leaves about when results were taken."""
    match condition:
        case PresentBeforeNow():
            return lambda frame: _present_before_now(condition, frame)
        case IndexAge(relation=relation, days=days):
            return lambda frame: _index_age(frame, timedelta(days), older=relation == "older than")
        case TestedBefore(marker=marker, earlier=earlier):
            return _frame_test(marker, lambda frame: frame.previous(marker, earlier) is not None)
        case SameMethod(marker=marker, earlier=earlier):
            return _frame_test(marker, lambda frame: _same_method(frame, marker, earlier))
        case OtherMethod(marker=marker):
            return _frame_test(marker, lambda frame: _other_method(condition, frame))


def _of_reading(condition: Condition) -> Test:
    """Leaves about the state of one result; without the result they are not known."""
    match condition:
        case IsExact(marker=marker):
            return _reading_test(marker, lambda reading: reading.result.value.exact is not None)
        case MeasuredWith(marker=marker, method=method):
            return _reading_test(marker, lambda reading: reading.result.method == method)
        case NoLimit(marker=marker, limit=kind):
            return _reading_test(marker, lambda reading: limit_in(reading, kind) is None)
        case _:
            message = f"no evaluation for {type(condition).__name__}"
            raise TypeError(message)


def _present_before_now(condition: PresentBeforeNow, frame: Frame) -> bool:
    oldest = frame.now - timedelta(days=condition.days)
    return any(
        result.time >= oldest
        and not result.impossible
        and (not condition.exact or result.value.exact is not None)
        for result in frame.history.get(condition.marker, ())
    )


def _index_age(frame: Frame, limit: timedelta, *, older: bool) -> Ternary:
    index = frame.index_result
    return None if index is None else (frame.now - index.time > limit) is older


def _frame_test(marker: str, answer: Test) -> Test:
    """A condition that is not known without a result of the marker."""
    return lambda frame: answer(frame) if marker in frame.readings else None


def _same_method(frame: Frame, marker: str, earlier: Earlier) -> Ternary:
    previous = frame.previous(marker, earlier)
    return None if previous is None else previous.method == frame.readings[marker].result.method


def _reading_test(marker: str, answer: Callable[[Reading], Ternary]) -> Test:
    def test(frame: Frame) -> Ternary:
        reading = frame.readings.get(marker)
        return None if reading is None else answer(reading)

    return test


def _other_method(condition: OtherMethod, frame: Frame) -> Ternary:
    previous = frame.previous(condition.marker, condition.earlier)
    if previous is None:
        return None
    now = frame.readings[condition.marker].result
    return (now.method == condition.method) != (previous.method == condition.method)


def _fact(condition: FactIs) -> Test:
    fact, wanted = condition.fact, condition.answer
    if condition.or_unknown:
        return lambda frame: frame.facts[fact].known is not True

    def test(frame: Frame) -> Ternary:
        known = frame.facts[fact].known
        return None if known is None else known is wanted

    return test


def _measure(condition: MeasureCompare) -> Test:
    measure, holds = condition.measure, COMPARISONS[condition.relation]
    bound = exactly(condition.bound.amount)

    def test(frame: Frame) -> Ternary:
        found = frame.measures.get(measure)
        if found is None or found.value is None:
            return None
        return holds(exactly(found.value), bound)

    return test
