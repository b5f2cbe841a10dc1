# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.instruction_baseline`: whether a call has become dearer.

Instructions of the steps as ratios to floors of the same run, compared with those that stand in
`instructions.json` for this Python. The exit code is 1 if one is more than 5 % worse, 2 if there is
nothing to compare. `--record` writes the ratios down instead, after a wanted change.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import instructions
from benchmarks.paths import CORE, DECODE, FLOOR, LOADS, POST

FILE = Path(__file__).with_name("instructions.json")
ALLOWED = 0.05
FLOORS = {DECODE: LOADS, CORE: LOADS, POST: FLOOR}
SIZE, CALLS = 50, 16
_LIBRARIES = ("Flask", "msgspec", "orjson")


def ratios(counts: Mapping[str, float]) -> dict[str, float]:
    """Each step as a multiple of its floor."""
    return {name: round(counts[name] / counts[floor], 4) for name, floor in FLOORS.items()}


def worse(found: Mapping[str, float], baseline: Mapping[str, float]) -> list[str]:
    """The steps that have become dearer than is allowed."""
    return [name for name, ratio in found.items() if ratio > baseline[name] * (1 + ALLOWED)]


def lines_of(found: Mapping[str, float], baseline: Mapping[str, float]) -> list[str]:
    """A line a step."""
    bad = worse(found, baseline)
    return [
        f"{name:<26} {ratio:8.3f} of {FLOORS[name]}, was {baseline[name]:.3f}: "
        f"{ratio / baseline[name] - 1:+.1%}{', worse' if name in bad else ''}"
        for name, ratio in found.items()
    ]


def python() -> str:
    """The version that a baseline is for."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def main(words: Sequence[str] | None = None) -> int:
    """Count, then compare or record."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instruction_baseline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--record", action="store_true", help="write the ratios to the file")
    given = parser.parse_args(words)
    known: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    if not instructions.is_available():
        print("valgrind is not installed", file=sys.stderr)
        return 2
    if not given.record and python() not in known:
        print(f"there is no baseline for Python {python()}: record one", file=sys.stderr)
        return 2
    found = ratios(instructions.count(SIZE, calls=CALLS))
    if given.record:
        made_with = {name: version(name) for name in _LIBRARIES}
        known[python()] = {"ratios": found, "made with": made_with}
        FILE.write_text(f"{json.dumps(known, indent=2, sort_keys=True)}\n", encoding="utf-8")
        print(f"recorded for Python {python()}: {found}")
        return 0
    baseline = known[python()]["ratios"]
    for line in lines_of(found, baseline):
        print(line)
    return 1 if worse(found, baseline) else 0


if __name__ == "__main__":
    sys.exit(main())
