# SPDX-License-Identifier: Apache-2.0
"""CPU time of functions, measured side by side.

Every round runs each function for the same short while, so that a neighbour on the machine
disturbs both sides of a ratio. A ratio is the median of the ratios of the rounds.
"""

import gc
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time

from cds_service.log import configure_log

Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Times:
    """Microseconds a call of each function, one number a round."""

    rounds: Mapping[str, tuple[float, ...]]

    def micros(self, name: str) -> float:
        """The median time of one call."""
        return median(self.rounds[name])

    def ratio(self, name: str, floor: str) -> float:
        """How many times the floor it takes."""
        return median(self._ratios(name, floor))

    def spread(self, name: str, floor: str) -> float:
        """The distance between the largest and the smallest ratio, as a part of the median."""
        ratios = self._ratios(name, floor)
        return (max(ratios) - min(ratios)) / median(ratios)

    def _ratios(self, name: str, floor: str) -> list[float]:
        pairs = zip(self.rounds[name], self.rounds[floor], strict=True)
        return [mine / its for mine, its in pairs]


@contextmanager
def logged_nowhere() -> Iterator[None]:
    """A line is made for each request, and written to nothing."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        configure_log(stream=nowhere)
        yield


@contextmanager
def steady() -> Iterator[None]:
    """No garbage collection on either side, and nothing that was there before is looked at."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def measure(calls: Mapping[str, Call], *, rounds: int, seconds: float) -> Times:
    """Each function for about so many seconds a round, in alternation."""
    with steady():
        counts = {name: _count(call, seconds) for name, call in calls.items()}
        found: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                found[name].append(_micros(call, counts[name]))
            gc.collect()
    return Times({name: tuple(times) for name, times in found.items()})


def _count(call: Call, seconds: float) -> int:
    """How many calls fill the time; the first call warms up what is made lazily."""
    call()
    once = max(_micros(call, 1), 0.1)
    return max(1, round(seconds * 1e6 / once))


def _micros(call: Call, count: int) -> float:
    repeats = range(count)
    begin = process_time()
    for _ in repeats:
        call()
    return (process_time() - begin) * 1e6 / count
