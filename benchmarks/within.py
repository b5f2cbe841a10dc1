# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.within`: what each step costs within a call, and what lies between them.

`benchmarks.steps` repeats one step over all bodies, so that its code and data are in the caches of
the processor. Within a call each comes after the others and finds them gone. Here the handler that
serves calls is measured from inside: the steps are wrapped, and each repeat is a whole call. Of
several repeats the least counts, which other work on the machine disturbs least. The columns are
microseconds of CPU time of the thread that answers, the mean over bodies that are all different.
"""

import gc
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import thread_time_ns
from typing import Any
from unittest.mock import patch

from benchmarks.floors import post
from benchmarks.paths import Bench
from benchmarks.step_tables import measured, sent_bodies, table
from benchmarks.timing import steady
from cds_service import service
from cds_service.memory.card_memory import CardMemory, RecalledCall
from cds_service.web import hook_calls

WHOLE = "whole POST"
REST = "the rest: dispatch, and freeing what the call made"
_BODIES, _REPEATS = 20, 30

# The functions that a call goes through one after the other; none is within another.
STEPS: Mapping[str, tuple[tuple[object, str], ...]] = {
    "head, body": ((hook_calls.HookCalls, "begin"), (hook_calls, "taken")),
    "depth": ((hook_calls, "check_depth"),),
    "decode and check": ((hook_calls, "read_request"),),
    "intake": ((service, "input_from_request"), (service, "read_record")),
    "decide": ((service, "evaluate"), (service, "settle")),
    "memory of cards": ((CardMemory, "recall"), (RecalledCall, "keep")),
    "render": ((service, "render"), (service, "with_folded_named")),
    "bytes of the answer": ((hook_calls, "write_response"),),
    "counts, log line": ((hook_calls, "count"), (hook_calls, "close")),
}


def within(
    bench: Bench, size: int, kind: str, *, count: int = _BODIES, repeats: int = _REPEATS
) -> dict[str, float]:
    """Microseconds of each step within a call, of the rest and of the whole."""
    sent = sent_bodies(bench, size, kind, count)
    least: list[dict[str, int]] = [{} for _ in sent]
    with _wrapped() as spent, steady():
        for _ in range(repeats):
            for body, known in zip(sent, least, strict=True):
                spent.clear()
                begin = thread_time_ns()
                post(bench.app, bench.path, body)
                spent[WHOLE] = thread_time_ns() - begin
                for name, time in spent.items():
                    known[name] = min(time, known.get(name, time))
            gc.collect()
    mean = {
        name: sum(times.get(name, 0) for times in least) / count / 1000 for name in (*STEPS, WHOLE)
    }
    rest = mean[WHOLE] - sum(mean[name] for name in STEPS)
    return {**{name: mean[name] for name in STEPS}, REST: rest, WHOLE: mean[WHOLE]}


@contextmanager
def _wrapped() -> Iterator[dict[str, int]]:
    """The steps wrapped, and the nanoseconds that each has taken so far."""
    spent: dict[str, int] = defaultdict(int)
    patches = [
        patch.object(place, function, _timed(getattr(place, function), step, spent))
        for step, functions in STEPS.items()
        for place, function in functions
    ]
    for patcher in patches:
        patcher.start()
    try:
        yield spent
    finally:
        for patcher in patches:
            patcher.stop()


def _timed(function: Callable[..., Any], step: str, spent: dict[str, int]) -> Callable[..., Any]:
    def timed(*args: Any, **options: Any) -> Any:
        begin = thread_time_ns()
        try:
            return function(*args, **options)
        finally:
            spent[step] += thread_time_ns() - begin

    return timed


def main() -> None:
    """Measure and print a table in Markdown."""
    found = measured("benchmarks.within", __doc__, within)
    rows = (
        (step, [f"{times[step]:,.0f}" for times in found.values()])
        for step in (*STEPS, REST, WHOLE)
    )
    print("\n".join(table(found, rows)))


if __name__ == "__main__":
    main()
