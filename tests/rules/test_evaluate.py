# SPDX-License-Identifier: Apache-2.0
"""Each condition is true, false or not known of a frame."""

from datetime import timedelta
from fractions import Fraction

import pytest

from cds_service.amounts import Ternary
from cds_service.copying import replace
from cds_service.knowledge.model.bounds import Earlier, Number, TimesLimit, TimesMarker
from cds_service.knowledge.model.conditions import (
    AllOf,
    AnyOf,
    Condition,
)
from cds_service.knowledge.model.leaves import (
    AgeCompare,
    Compare,
    FactIs,
    IsExact,
    MeasureCompare,
    MeasuredWith,
    NoLimit,
    Ordering,
    OtherMethod,
    Present,
    SetAsideBecause,
    SexIs,
)
from cds_service.knowledge.model.leaves import (
    TestedBefore as Before,  # pytest would collect it
)
from cds_service.labs.facts import FactAnswer
from cds_service.labs.patient import Person
from cds_service.labs.patient_record import LabResult, SetAside
from cds_service.labs.reasons import PackReason
from cds_service.labs.result_selection import Frame, MeasureValue
from cds_service.rules.evaluate import compiled
from cds_service.rules.trigger import compile_trigger
from tests.labs.patients import NOW, framed, hours, record, result

DAY = timedelta(days=1)
INDEX = result("30", ago=DAY, limits=(None, "20"))
BETA = result("3", "beta", limits=("4", None))
FIVE = Number(Fraction(5), "5")


def known(condition: Condition, frame: Frame) -> Ternary:
    return compiled(condition)(frame)


def alpha(relation: str, number: str, earlier: Earlier | None = None) -> Compare:
    bound = Number(Fraction(number), number)
    return Compare(("alpha",), relation, bound, earlier)  # type: ignore[arg-type]


def bare() -> Frame:
    return Frame(index="", now=NOW, person=Person(None, "unknown"), facts={}, ordering=frozenset())


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (alpha("above", "29.9"), True),
        (alpha("above", "30"), False),
        (alpha("at least", "30"), True),
        (alpha("below", "30"), False),
        (alpha("at most", "30"), True),
        (Compare(("alpha",), "above", TimesLimit(Fraction(1), "upper limit")), True),
        (Compare(("alpha",), "at least", TimesLimit(Fraction(3, 2), "upper limit")), True),
        (Compare(("alpha",), "above", TimesLimit(Fraction(3, 2), "upper limit")), False),
        (Compare(("alpha",), "above", TimesLimit(Fraction(1), "lower limit")), None),
        (Compare(("alpha",), "above", TimesLimit(Fraction(1), "screening limit")), None),
        (Compare(("beta",), "below", TimesLimit(Fraction(1), "lower limit")), True),
        (Compare(("alpha",), "at least", TimesMarker(Fraction(10), "beta")), True),
        (Compare(("alpha",), "above", TimesMarker(Fraction(10), "beta")), False),
        (Compare(("alpha",), "above", TimesMarker(Fraction(1), "gamma")), None),
        (Compare(("gamma",), "above", FIVE), None),
        (Compare(("beta", "alpha"), "above", FIVE), True),
        (Compare(("beta", "gamma"), "above", FIVE), None),
        (Compare(("gamma", "alpha"), "above", FIVE), True),
        (Compare(("beta", "alpha"), "below", Number(Fraction(1), "1")), False),
        (Present("beta"), True),
        (Present("gamma"), False),
        (Present("beta", since_index=True), False),
        (IsExact("alpha"), True),
        (IsExact("gamma"), None),
        (NoLimit("alpha", "upper limit"), False),
        (NoLimit("alpha", "lower limit"), True),
        (NoLimit("gamma", "upper limit"), None),
        (MeasuredWith("alpha", "by X"), False),
        (MeasuredWith("gamma", "by X"), None),
        (SexIs(("male",)), True),
        (SexIs(("female", "unknown")), False),
        (AgeCompare("at least", 600, "50 years"), True),
        (AgeCompare("below", 600, "50 years"), False),
        (FactIs("on-gammazine", answer=False), True),
        (FactIs("on-gammazine", answer=True), False),
        (SetAsideBecause("unit-missing"), False),
        (Ordering("repeat-alpha"), False),
        (MeasureCompare("alpha-beta-ratio", "above", FIVE), None),
    ],
)
def test_a_leaf_of_a_frame(condition: Condition, expected: Ternary) -> None:
    assert known(condition, framed(INDEX, BETA)) is expected


@pytest.mark.parametrize(
    ("comparator", "condition", "expected"),
    [
        ("<", alpha("below", "30"), True),
        ("<", alpha("below", "29"), None),
        ("<=", alpha("below", "30"), None),
        ("<", alpha("at least", "30"), False),
        (">", alpha("above", "30"), True),
        (">", alpha("at most", "30"), False),
        (">", alpha("below", "31"), None),
        ("<", IsExact("alpha"), False),
        (">=", Compare(("alpha",), "above", TimesLimit(Fraction(1), "upper limit")), True),
    ],
)
def test_a_range_is_true_false_or_not_known(
    comparator: str, condition: Condition, expected: Ternary
) -> None:
    found = framed(result("30", comparator=comparator, limits=(None, "20")))  # type: ignore[arg-type]

    assert known(condition, found) is expected


EARLIER = Earlier(2, 9)


def history(*others: LabResult) -> Frame:
    return framed(INDEX, *others)


@pytest.mark.parametrize(
    ("days", "condition", "expected"),
    [
        (None, alpha("above", "1", EARLIER), None),
        (None, Before("alpha", EARLIER), False),
        (1.9, alpha("above", "1", EARLIER), None),
        (1.9, Before("alpha", EARLIER), False),
        (2, alpha("above", "1", EARLIER), True),
        (2, Before("alpha", EARLIER), True),
        (9, alpha("above", "1", EARLIER), True),
        (9, alpha("below", "1", EARLIER), False),
        (9, Before("alpha", EARLIER), True),
        (9.1, alpha("above", "1", EARLIER), None),
        (9.1, Before("alpha", EARLIER), False),
        (60 / 1440, Before("alpha", Earlier(0, 1)), False),
        (61 / 1440, Before("alpha", Earlier(0, 1)), True),
        (3, Before("beta", EARLIER), None),
    ],
)
def test_the_previous_test_counts_inside_its_window(
    days: float | None, condition: Condition, expected: Ternary
) -> None:
    others = [] if days is None else [result("7", ago=DAY + timedelta(days=days))]

    assert known(condition, history(*others)) is expected


def test_the_previous_test_is_judged_by_the_limit_of_the_index() -> None:
    previous = result("25", ago=DAY * 5, limits=(None, "50"))
    above = Compare(("alpha",), "above", TimesLimit(Fraction(1), "upper limit"), EARLIER)

    assert known(above, history(previous)) is True


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        ("by X", None, True),
        (None, "by X", True),
        ("by X", "by X", False),
        (None, None, False),
        ("by X", "by Y", True),
        ("by Y", None, False),
    ],
)
def test_another_method_than_before(now: str | None, before: str | None, expected: bool) -> None:
    found = framed(result(method=now), result(method=before, ago=hours(90)))

    assert known(OtherMethod("alpha", "by X", EARLIER), found) is expected
    assert known(MeasuredWith("alpha", "by X"), found) is (now == "by X")


def test_another_method_than_before_needs_a_previous_test() -> None:
    assert known(OtherMethod("alpha", "by X", EARLIER), framed(result(method="by X"))) is None


@pytest.mark.parametrize(
    ("answer", "yes", "no", "anything_but_yes"),
    [(True, True, False, False), (False, False, True, True), (None, None, None, True)],
)
def test_a_fact_is_yes_no_or_not_known(
    answer: Ternary, yes: Ternary, no: Ternary, anything_but_yes: Ternary
) -> None:
    frame = replace(bare(), facts={"it": FactAnswer(answer)})

    assert known(FactIs("it", answer=True), frame) is yes
    assert known(FactIs("it", answer=False), frame) is no
    assert known(FactIs("it", answer=False, or_unknown=True), frame) is anything_but_yes


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), (MeasureValue(), None), (MeasureValue(because=PackReason("x")), None)]
    + [(MeasureValue(value=Fraction(5)), False), (MeasureValue(value=Fraction(51, 10)), True)],
)
def test_a_measure_without_a_value_is_not_known(
    value: MeasureValue | None, expected: Ternary
) -> None:
    frame = replace(bare(), measures={} if value is None else {"ratio": value})

    assert known(MeasureCompare("ratio", "above", FIVE), frame) is expected


def test_present_since_the_index_is_strictly_later() -> None:
    later = framed(INDEX, result("3", "beta", ago=hours(1)))

    assert known(Present("beta", since_index=True), later) is True
    assert known(Present("beta", since_index=True), framed(INDEX, BETA)) is False


def test_what_was_set_aside_has_one_reason() -> None:
    item = SetAside(reason="unit-missing", marker="alpha", code="", reference="")
    frame = replace(bare(), set_aside=item)

    assert known(SetAsideBecause("unit-missing"), frame) is True
    assert known(SetAsideBecause("implausible"), frame) is False


@pytest.mark.parametrize(
    ("ordering", "without", "expected"),
    [
        (set(), None, False),
        ({"repeat-alpha"}, None, True),
        ({"repeat-alpha"}, "beta-test", True),
        ({"repeat-alpha", "beta-test"}, "beta-test", False),
        ({"beta-test"}, "repeat-alpha", False),
    ],
)
def test_ordering_one_thing_without_another(
    ordering: set[str], without: str | None, expected: bool
) -> None:
    frame = replace(bare(), ordering=frozenset(ordering))

    assert known(Ordering("repeat-alpha", without), frame) is expected


YES, NO, UNKNOWN = SexIs(("unknown",)), SexIs(("male",)), Compare(("gamma",), "above", FIVE)


@pytest.mark.parametrize(
    ("parts", "everything", "anything"),
    [
        ((YES, YES), True, True),
        ((YES, NO), False, True),
        ((NO, NO), False, False),
        ((YES, UNKNOWN), None, True),
        ((UNKNOWN, YES), None, True),
        ((NO, UNKNOWN), False, None),
        ((UNKNOWN, NO), False, None),
        ((UNKNOWN, UNKNOWN), None, None),
    ],
)
def test_missing_data_never_reads_as_no(
    parts: tuple[Condition, ...], everything: Ternary, anything: Ternary
) -> None:
    assert known(AllOf(parts), bare()) is everything
    assert known(AnyOf(parts), bare()) is anything


def test_the_marker_that_met_the_comparison_is_found() -> None:
    frame = framed(INDEX, BETA)
    either = Compare(("beta", "alpha"), "above", FIVE)
    neither = Compare(("beta", "alpha"), "above", Number(Fraction(99), "99"))

    both = AllOf((YES, AnyOf((neither, either))))

    def trigger(condition: Condition) -> str | None:
        return compile_trigger(condition, ("alpha",))(frame)

    assert trigger(either) == "alpha"
    assert trigger(both) == "alpha"
    assert trigger(neither) is None
    assert trigger(alpha("above", "1")) is None


def test_equal_conditions_share_one_function() -> None:
    assert compiled(alpha("above", "5")) is compiled(alpha("above", "5"))


def test_nothing_else_is_a_condition() -> None:
    with pytest.raises(TypeError, match="no evaluation for PatientRecord"):
        compiled(record())


@pytest.mark.parametrize(
    ("marker", "relation", "times", "inclusive", "exclusive"),
    [
        ("alpha", "above", "1", False, True),
        ("alpha", "at most", "1", True, False),
        ("alpha", "at least", "1", True, True),
        ("alpha", "below", "1", False, False),
        ("alpha", "above", "1/2", True, True),
        ("beta", "below", "1", False, True),
        ("beta", "at least", "1", True, False),
        ("beta", "above", "1", False, False),
    ],
)
def test_a_value_equal_to_a_limit_that_is_outside_lies_beyond_it(
    marker: str, relation: str, times: str, inclusive: Ternary, exclusive: Ternary
) -> None:
    kind = "upper limit" if marker == "alpha" else "lower limit"
    bound = TimesLimit(Fraction(times), kind)  # type: ignore[arg-type]
    condition = Compare((marker,), relation, bound)  # type: ignore[arg-type]
    alpha_, beta = result("20", limits=(None, "20")), result("4", "beta", limits=("4", None))

    assert known(condition, framed(alpha_, beta)) is inclusive
    assert known(condition, framed(outside(alpha_), outside(beta))) is exclusive


def outside(result: LabResult) -> LabResult:
    """The result whose laboratory says that the limits themselves lie outside."""
    ranges = (replace(range_, low_exclusive=True, high_exclusive=True) for range_ in result.ranges)
    return replace(result, ranges=tuple(ranges))
