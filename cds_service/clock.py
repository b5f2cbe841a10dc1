# SPDX-License-Identifier: Apache-2.0
"""The only place that asks what time it is. Everything else is handed the time, or a clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from time import perf_counter
from typing import Final, TypeAlias

from cds_service.errors import Busy

Clock: TypeAlias = Callable[[], datetime]
"""A function that returns the present moment, with its time zone."""

Stopwatch: TypeAlias = Callable[[], float]
"""A function that returns the milliseconds since it was started."""


def system_clock() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def stopwatch() -> Stopwatch:
    """Start a stopwatch; it does not follow changes of the system's clock."""
    start = perf_counter()
    return lambda: (perf_counter() - start) * 1000


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of a period of `seconds`, which begins when the stopwatch `elapsed` is started.

    Without a stopwatch the period begins now. A second deadline of the same beginning, such as
    that of a part of the work, is `replace(deadline, seconds=...)`.

    >>> Deadline(0.25, elapsed=lambda: 100).remaining()
    0.15
    >>> Deadline(0.25, elapsed=lambda: 250).expired
    True
    """

    seconds: float
    elapsed: Stopwatch = field(default_factory=stopwatch)

    def remaining(self) -> float:
        """The seconds that remain; negative after the deadline."""
        return self.seconds - self.elapsed() / 1000

    @property
    def expired(self) -> bool:
        """Whether no time remains."""
        return self.remaining() <= 0

    def check(self) -> None:
        """Raise `Busy` if no time remains."""
        if self.elapsed() >= self.seconds * 1000:  # as `expired`, asked for each resource
            raise Busy("There was not enough time to judge; send it again.")


NO_DEADLINE: Final = Deadline(inf)
