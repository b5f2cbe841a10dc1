# SPDX-License-Identifier: Apache-2.0
"""Intervals and their comparisons, held against values picked from them."""

from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.amounts import (
    Comparator,
    Interval,
    Relation,
    compare,
    exactly,
    interval_of,
    plain,
    rounded,
    significant,
)

RELATIONS: tuple[Relation, ...] = get_args(Relation)
OPPOSITES: dict[Relation, Relation] = {
    "below": "at least",
    "at least": "below",
    "above": "at most",
    "at most": "above",
}
MIRRORS: dict[Relation, Relation] = {
    "below": "above",
    "above": "below",
    "at most": "at least",
    "at least": "at most",
}
STEP = Fraction(1, 4)
FAR = 100


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    """Every kind of interval that is not empty, with whole ends."""
    low = draw(st.none() | st.integers(-3, 3))
    high = draw(st.none() | st.integers(-3 if low is None else low, 4))
    point = low is not None and low == high
    low_open = low is not None and not point and draw(st.booleans())
    high_open = high is not None and not point and draw(st.booleans())
    return Interval(
        None if low is None else Fraction(low),
        None if high is None else Fraction(high),
        low_open,
        high_open,
    )


def fits(interval: Interval, value: Fraction) -> bool:
    low, high = interval.low, interval.high
    above = low is None or value > low or (value == low and not interval.low_open)
    below = high is None or value < high or (value == high and not interval.high_open)
    return above and below


def values_in(interval: Interval) -> list[Fraction]:
    """Enough values of the interval to show every answer: its ends, near them and far away."""
    steps = [n * STEP for n in range(-16, 21)]
    return [value for value in (Fraction(-FAR), *steps, Fraction(FAR)) if fits(interval, value)]


def holds(left: Fraction, relation: Relation, right: Fraction) -> bool:
    return {
        "below": left < right,
        "at most": left <= right,
        "above": left > right,
        "at least": left >= right,
    }[relation]


@pytest.mark.parametrize("relation", RELATIONS)
@given(left=intervals(), right=intervals())
def test_a_comparison_agrees_with_every_pair_of_values(
    relation: Relation, left: Interval, right: Interval
) -> None:
    answers = {holds(a, relation, b) for a, b in product(values_in(left), values_in(right))}

    expected = answers.pop() if len(answers) == 1 else None

    assert compare(left, relation, right) is expected


@pytest.mark.parametrize("relation", RELATIONS)
@given(left=intervals(), right=intervals())
def test_the_opposite_word_gives_the_opposite_answer(
    relation: Relation, left: Interval, right: Interval
) -> None:
    answer = compare(left, relation, right)
    other = compare(left, OPPOSITES[relation], right)

    assert other is (None if answer is None else not answer)


@pytest.mark.parametrize("relation", RELATIONS)
@given(left=intervals(), right=intervals())
def test_a_comparison_reads_the_same_from_the_other_side(
    relation: Relation, left: Interval, right: Interval
) -> None:
    assert compare(left, relation, right) is compare(right, MIRRORS[relation], left)


@pytest.mark.parametrize("relation", RELATIONS)
@given(
    left=intervals(),
    right=intervals(),
    times=st.fractions(Fraction(1, 9), 9, max_denominator=9),
)
def test_a_multiple_need_not_be_made_to_be_compared_with(
    relation: Relation, left: Interval, right: Interval, times: Fraction
) -> None:
    expected = compare(left, relation, right.times(times))

    assert compare(left, relation, right, times.as_integer_ratio()) is expected


@given(outer=intervals(), inner=intervals())
def test_an_interval_contains_another_if_it_holds_all_its_values(
    outer: Interval, inner: Interval
) -> None:
    expected = all(fits(outer, value) for value in values_in(inner))

    assert outer.contains(inner) is expected


@given(interval=intervals(), factor=st.fractions(Fraction(1, 9), 9, max_denominator=9))
def test_a_factor_moves_every_value(interval: Interval, factor: Fraction) -> None:
    moved = interval.times(factor)

    for value in values_in(Interval(None, None)):
        assert fits(moved, value * factor) is fits(interval, value)


@pytest.mark.parametrize(
    ("comparator", "inside", "outside"),
    [
        ("<", [4, -9], [5, 6]),
        ("<=", [5, 4], [6]),
        (">", [6], [5, 4]),
        (">=", [5, 6], [4]),
        (None, [5], [4, 6]),
    ],
)
def test_a_comparator_stands_for_a_range(
    comparator: Comparator | None, inside: list[int], outside: list[int]
) -> None:
    interval = interval_of(Fraction(5), comparator)

    assert all(interval.contains(exactly(value)) for value in inside)
    assert not any(interval.contains(exactly(value)) for value in outside)
    assert interval.exact == (5 if comparator is None else None)


def test_twice_the_limit_is_exact_after_division() -> None:
    factor = 1 / Fraction("17.104")
    limit, value = exactly(21).times(factor), exactly(42).times(factor)

    assert compare(value, "at least", limit.times(Fraction(2))) is True
    assert compare(value, "above", limit.times(Fraction(2))) is False


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        ("0.5", 0, "1"),
        ("1.5", 0, "2"),
        ("2.5", 0, "3"),
        ("-2.5", 0, "-3"),
        ("0.125", 2, "0.13"),
        ("-0.125", 2, "-0.13"),
        ("0.004", 2, "0.00"),
        ("-0.004", 2, "0.00"),
        ("1/3", 3, "0.333"),
        ("2/3", 3, "0.667"),
        ("99.995", 2, "100.00"),
        ("7", 2, "7.00"),
    ],
)
def test_halves_are_rounded_away_from_zero(value: str, decimals: int, text: str) -> None:
    assert rounded(Fraction(value), decimals) == text


def test_a_value_just_under_a_half_is_rounded_down() -> None:
    assert rounded(Fraction(1, 2) - Fraction(1, 10**40), 0) == "0"


def test_a_number_of_any_size_can_be_shown() -> None:
    assert rounded(Fraction(10**60), 2) == "1" + "0" * 60 + ".00"
    assert plain(Fraction(10**60)) == "1" + "0" * 60


@given(value=st.decimals(-1000, 1000, allow_nan=False, places=4), decimals=st.integers(0, 5))
def test_rounding_agrees_with_decimals(value: Decimal, decimals: int) -> None:
    place = Decimal(1).scaleb(-decimals)
    expected = value.quantize(place, ROUND_HALF_UP, context=Context(prec=40))

    assert Decimal(rounded(Fraction(value), decimals)) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("5", "5"),
        ("5.10", "5.1"),
        ("0", "0"),
        ("100", "100"),
        ("1/3", "0.333333"),
        ("-2.50", "-2.5"),
    ],
)
def test_a_plain_number_has_no_needless_zeros(value: str, text: str) -> None:
    assert plain(Fraction(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0"),
        ("137/17", "8.06"),
        ("2/3", "0.667"),
        ("1/30", "0.0333"),
        ("1/3000", "0.000333"),
        ("-1/3", "-0.333"),
        ("4", "4"),
        ("120", "120"),
        ("1234.567", "1235"),
        ("99.96", "100"),
    ],
)
def test_significant_digits_give_up_no_whole_digit(value: str, text: str) -> None:
    assert significant(Fraction(value), 3) == text
