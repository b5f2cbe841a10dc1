# SPDX-License-Identifier: Apache-2.0
"""The clock, the stopwatch and the deadline."""

from dataclasses import replace
from datetime import timedelta
from math import inf

import pytest

from cds_service.clock import NO_DEADLINE, Deadline, stopwatch, system_clock
from cds_service.errors import Busy
from tests.house.source import modules, names_used


def test_the_system_clock_says_utc() -> None:
    assert system_clock().utcoffset() == timedelta(0)


def test_a_stopwatch_only_goes_forward() -> None:
    elapsed = stopwatch()

    first, second = elapsed(), elapsed()

    assert 0 <= first <= second


@pytest.mark.parametrize(
    ("milliseconds", "remaining", "is_over"),
    [(0, 0.5, False), (499, 0.001, False), (500, 0.0, True), (1500, -1.0, True)],
)
def test_a_deadline_counts_from_its_stopwatch(
    milliseconds: float, remaining: float, *, is_over: bool
) -> None:
    deadline = Deadline(0.5, elapsed=lambda: milliseconds)

    assert deadline.remaining() == pytest.approx(remaining)
    assert deadline.expired is is_over


def test_a_deadline_that_has_passed_is_refused() -> None:
    Deadline(60).check()

    with pytest.raises(Busy, match="not enough time"):
        Deadline(0).check()


def test_a_deadline_derived_from_another_begins_with_it() -> None:
    whole = Deadline(1.0, elapsed=lambda: 900)

    part = replace(whole, seconds=0.8 * whole.seconds)

    assert (whole.expired, part.expired) == (False, True)


def test_no_deadline_never_passes() -> None:
    assert NO_DEADLINE.remaining() == inf
    NO_DEADLINE.check()


def test_times_are_read_in_one_place() -> None:
    # Python 3.14 reads the hour 24, which FHIR and RFC 3339 do not have.
    readers = {
        path
        for path, tree in modules().items()
        for name, _ in names_used(tree)
        if name == "datetime.fromisoformat"
    }

    assert readers == {"iso_times.py"}
