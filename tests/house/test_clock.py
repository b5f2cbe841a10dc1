# SPDX-License-Identifier: Apache-2.0
"""The clock and the stopwatch."""

from datetime import timedelta

from cds_service.clock import stopwatch, system_clock


def test_the_system_clock_says_utc() -> None:
    assert system_clock().utcoffset() == timedelta(0)


def test_a_stopwatch_only_goes_forward() -> None:
    elapsed = stopwatch()

    first, second = elapsed(), elapsed()

    assert 0 <= first <= second
