# SPDX-License-Identifier: Apache-2.0
"""Instructions of one call, counted by valgrind: a busy machine does not disturb them.

A child process makes everything ready, calls each function once, then one of them N more times.
The difference to a child that makes no further call is what N calls cost; start-up cancels out, but
for a few millions that addresses decide, so N is large.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.charts import chart
from benchmarks.paths import (
    CORE,
    DECODE,
    FLOOR,
    LOADS,
    POST,
    floor_calls,
    make_bench,
    path_calls,
    steps_of,
)
from benchmarks.timing import steady

NAMES = (LOADS, FLOOR, DECODE, CORE, POST)  # a child takes half a minute
_ROOT = Path(__file__).parents[1]
_COLLECTED = re.compile(r"Collected\s*:\s*([0-9]+)")
_NOBODY = "nothing"


def is_available() -> bool:
    """Whether valgrind is installed."""
    return shutil.which("valgrind") is not None


def count(size: int, *, calls: int) -> Mapping[str, float]:
    """Instructions of one call of each function at this size."""
    start = _collected(_NOBODY, size, 0)
    return {name: (_collected(name, size, calls) - start) / calls for name in NAMES}


def _collected(name: str, size: int, calls: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command += [sys.executable, "-m", "benchmarks.instructions", name, str(size), str(calls)]
    done = subprocess.run(
        command,
        cwd=_ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = _COLLECTED.search(done.stderr)
    if found is None:
        raise AssertionError("valgrind told no count of instructions")
    return int(found[1])


def _child(name: str, size: int, calls: int) -> None:
    bench = make_bench()
    one = chart(bench.pack, size)
    steps = steps_of(bench, one)
    functions = {
        **floor_calls(bench, one, len(steps.answer)),
        **path_calls(bench, one, steps),
        _NOBODY: lambda: None,
    }
    call = functions[name]
    with steady():
        for function in functions.values():
            function()
        for _ in range(calls):
            call()


if __name__ == "__main__":
    _child(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
