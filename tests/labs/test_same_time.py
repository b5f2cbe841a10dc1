# SPDX-License-Identifier: Apache-2.0
"""Which of several results of one time counts."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.amounts import Interval, interval_of
from cds_service.labs.patient_record import ResultStatus
from cds_service.labs.same_time import precedence, status_rank, value_order
from tests.labs.patients import result

NUMBERS = st.integers(0, 5).map(Fraction)
COMPARATORS = st.sampled_from([None, "<", "<=", ">", ">="])
SENT = st.builds(interval_of, NUMBERS, COMPARATORS)
RANGES = st.builds(
    lambda ends, low_open, high_open: Interval(min(ends), max(ends), low_open, high_open),
    st.lists(NUMBERS, min_size=2, max_size=2, unique=True),
    st.booleans(),
    st.booleans(),
)
VALUES = st.one_of(SENT, RANGES)


def is_higher(first: Interval, second: Interval) -> bool:
    """Whether neither end of the first is the lower one, written out case by case."""
    if second.low is None or first.high is None:
        return True
    if first.low is None or second.high is None:
        return False
    return first.low >= second.low and first.high >= second.high


@given(VALUES, VALUES)
def test_the_narrower_counts_if_it_lies_within_the_wider_else_the_higher(
    first: Interval, second: Interval
) -> None:
    counts = max(first, second, key=value_order)

    if first == second:
        assert value_order(first) == value_order(second)
    elif first.contains(second):
        assert counts == second
    elif second.contains(first):
        assert counts == first
    else:
        other = second if counts == first else first
        assert is_higher(counts, other)
        assert value_order(first) != value_order(second)


@pytest.mark.parametrize(
    ("status", "rank"), [("preliminary", 0), ("final", 1), ("amended", 2), ("corrected", 2)]
)
def test_the_status_decides_before_the_value(status: ResultStatus, rank: int) -> None:
    low, high = result("1", status=status), result("9", status="preliminary")

    assert status_rank(low) == rank
    assert max(low, high, key=precedence) == (high if status == "preliminary" else low)
