# SPDX-License-Identifier: Apache-2.0
"""How much work something is, in a measure that no busy neighbour changes."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


def with_calls(work: Callable[[], T]) -> tuple[T, int]:
    """What `work` returns, and how many Python functions it called in this thread."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        answer = work()
    finally:
        sys.setprofile(None)
    return answer, calls


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """End the block after so much time of this processor for this process: it would go on and on.

    For what is one call of C, such as a regular expression, in which no calls can be counted.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"it is not done after {seconds} seconds of the processor")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
