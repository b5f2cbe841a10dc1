# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks`: measure the service against floors in the same run.

Only ratios are to be trusted; the amounts beside them are this machine in this minute. Every
answer is checked before it is timed. `docs/performance.md` says what the figures mean.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import instructions, machine, process
from benchmarks.charts import SIZES
from benchmarks.paths import FLOOR, LOADS, POST, Bench, make_bench
from benchmarks.peers.run import peers
from benchmarks.report import Figure, as_json, lines_of
from benchmarks.served import served, start_up
from benchmarks.timing import logged_nowhere

_MIDDLE = 50
_ALLOWED_START = 0.5  # seconds, the target P9


def _time(bench: Bench, quick: bool) -> Iterator[Figure]:
    rounds, seconds = (3, 0.01) if quick else (9, 0.06)
    for size in SIZES[:2] if quick else SIZES:
        yield from process.of_size(bench, size, rounds=rounds, seconds=seconds)
    yield from process.special(bench, 5 if quick else _MIDDLE, rounds=rounds, seconds=seconds)
    if not quick:
        yield from process.of_variants(bench, _MIDDLE, rounds=7, seconds=0.04)


def _batch(bench: Bench, quick: bool) -> Iterator[Figure]:
    patients, rounds = (5, 3) if quick else (200, 7)
    yield from process.batch(bench, patients, rounds=rounds, seconds=0.05)


def _served(bench: Bench, quick: bool) -> Iterator[Figure]:
    seconds = start_up(bench)
    yield Figure(
        mode="served",
        name="start to the first answer",
        size=5,
        floor=f"{_ALLOWED_START} s",
        ratio=seconds / _ALLOWED_START,
        amount=seconds,
        unit="s",
    )
    for size in SIZES[:1] if quick else SIZES:
        yield from served(bench, size, rounds=1 if quick else 5, seconds=1 if quick else 2)


def _instructions(_bench: Bench, quick: bool) -> Iterator[Figure]:
    if not instructions.is_available():
        print("instructions: skipped, valgrind is not installed")
        return
    size = 5 if quick else _MIDDLE
    counts = instructions.count(size, calls=5 if quick else 40)
    for name, amount in counts.items():
        floor = FLOOR if name == POST else LOADS
        if name not in {FLOOR, LOADS}:
            yield Figure(
                mode="instructions",
                name=name,
                size=size,
                floor=floor,
                ratio=amount / counts[floor],
                amount=amount / 1e3,
                unit="kIr",
            )


_MODES: dict[str, Callable[[Bench, bool], Iterator[Figure]]] = {
    "time": _time,
    "batch": _batch,
    "served": _served,
    "instructions": _instructions,
}
_QUICK_MODES = ("time", "batch")
_PEERS = "peers"  # only when it is named: it needs an environment of its own


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "modes",
        nargs="*",
        metavar="MODE",
        help=f"{', '.join(_MODES)}, {_PEERS} "
        f"[default: all but {_PEERS}; with --quick {' and '.join(_QUICK_MODES)}]",
    )
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    found = parser.parse_args()
    unknown = sorted(set(found.modes) - _MODES.keys() - {_PEERS})
    if unknown:
        parser.error(
            f"unknown mode {', '.join(unknown)}: choose from {', '.join(_MODES)}, {_PEERS}"
        )
    found.modes = found.modes or list(_QUICK_MODES if found.quick else _MODES)
    return found


def main() -> None:
    """Measure, print and write."""
    arguments = _arguments()
    about: dict[str, Any] = machine.describe()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    with logged_nowhere():
        bench = make_bench()
        figures: list[Figure] = []
        beside: dict[str, Any] = {}
        for mode in arguments.modes:
            print(f"\n{mode}", flush=True)
            if mode == _PEERS:
                beside[_PEERS] = peers(bench, quick=arguments.quick)
                continue
            found = list(_MODES[mode](bench, arguments.quick))
            for line in lines_of(found):
                print(line)
            figures += found
    if arguments.json:
        text = json.dumps({"machine": about, "figures": as_json(figures), **beside}, indent=2)
        arguments.json.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
