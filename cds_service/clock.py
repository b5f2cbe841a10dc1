# SPDX-License-Identifier: Apache-2.0
"""The only place that asks what time it is. Everything else is handed the time, or a clock."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""A function that gives the present moment, with its time zone."""


Left: TypeAlias = Callable[[], float]
"""A function that gives the seconds that are left; below zero when the time is over."""


def system_clock() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def stopwatch() -> Callable[[], float]:
    """Start a stopwatch: a function that gives the milliseconds since this call."""
    start = perf_counter()
    return lambda: (perf_counter() - start) * 1000


def countdown(seconds: float) -> Left:
    """Start a countdown from this number of seconds."""
    elapsed = stopwatch()
    return lambda: seconds - elapsed() / 1000
