# SPDX-License-Identifier: Apache-2.0
"""Instructions of one call, counted by valgrind: a busy machine does not disturb them.

A process makes everything ready and calls each function once. Then it forks a child for each of
them, which makes N more calls, and one that makes none; the difference is what N calls cost. The N
calls go round several charts, so that what is remembered of one body does not pass for speed.
Only the thread that makes the calls is counted: how often the thread of the store writes meanwhile
is a matter of time.
"""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.charts import chart
from benchmarks.paths import (
    CORE,
    DECODE,
    FLOOR,
    LOADS,
    POST,
    Bench,
    floor_calls,
    make_bench,
    path_calls,
    steps_of,
)
from benchmarks.timing import Call, logged_nowhere, steady
from cds_service.settings import environment_with

NAMES = (LOADS, FLOOR, DECODE, CORE, POST)
_ROOT = Path(__file__).parents[1]
_TOTALS = re.compile(r"^totals: ([0-9]+)", re.MULTILINE)
_NOBODY = "nothing"
_CHARTS = 8


def is_available() -> bool:
    """Whether valgrind is installed."""
    return shutil.which("valgrind") is not None


def count(size: int, *, calls: int) -> Mapping[str, float]:
    """Instructions of one call of each function at this size."""
    with tempfile.TemporaryDirectory() as state, tempfile.TemporaryDirectory() as totals:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={totals}/%p"]
        command += ["--separate-threads=yes", "--dump-line=no"]
        command += [sys.executable, "-m", "benchmarks.instructions", str(size), str(calls)]
        done = subprocess.run(
            command,
            cwd=_ROOT,
            env=environment_with(
                {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "XDG_STATE_HOME": state}
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"the calls failed:\n{done.stderr}")
        children = dict(line.split(" ", 1)[::-1] for line in done.stdout.splitlines())
        if children.keys() != {_NOBODY, *NAMES}:
            raise AssertionError("not every function was called")
        counts = {name: _total(Path(totals, f"{pid}-01")) for name, pid in children.items()}
    return {name: (counts[name] - counts[_NOBODY]) / calls for name in NAMES}


def _total(file: Path) -> int:
    """The instructions of one thread, that of its forebears before the fork included."""
    found = _TOTALS.search(file.read_text(encoding="utf-8", errors="replace"))
    if found is None:
        raise AssertionError("valgrind told no count of instructions")
    return int(found[1])


def _parent(size: int, calls: int) -> None:
    """Make ready, then fork; says the process and the function of each child."""
    with logged_nowhere():
        bench = make_bench()
        sets = [_functions(bench, size, seed) for seed in range(_CHARTS)]
        with steady():
            for function in sets[0].values():
                function()
            # All at once, as every child begins with what this process has cost until then.
            children = {_forked(sets, name, calls): name for name in (_NOBODY, *NAMES)}
            for pid, name in children.items():
                if os.waitpid(pid, 0)[1]:
                    sys.exit(f"'{name}' failed")
                print(pid, name, flush=True)


def _forked(sets: Sequence[Mapping[str, Call]], name: str, calls: int) -> int:
    """The process that makes these calls, or none if nothing is to be called, and ends."""
    pid = os.fork()
    if pid:
        return pid
    try:
        for call in range(calls if name != _NOBODY else 0):
            sets[call % len(sets)][name]()
    except BaseException:  # noqa: BLE001 - nothing may go on as the parent would
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # what Python does at its end costs more than all calls


def _functions(bench: Bench, size: int, seed: int) -> dict[str, Call]:
    patient_chart = chart(bench.pack, size, seed=seed, levels=_levels(seed))
    steps = steps_of(bench, patient_chart)
    return {
        **floor_calls(bench, patient_chart, len(steps.answer)),
        **path_calls(bench, patient_chart, steps),
        _NOBODY: lambda: None,
    }


def _levels(seed: int) -> Sequence[float]:
    """What values are of the limits of their markers: others in each chart."""
    chance = random.Random(seed)
    return [chance.uniform(0.3, 3.0) for _ in range(20)]


if __name__ == "__main__":
    _parent(int(sys.argv[1]), int(sys.argv[2]))
