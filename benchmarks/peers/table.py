# SPDX-License-Identifier: Apache-2.0
"""The figures of a run: one table of all entrants, then the targets; the same for a file."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from benchmarks.load import Load, middle
from benchmarks.peers.entrants import FLASK, HEALTHCHAIN, OURS
from benchmarks.peers.targets import WANTED, Results
from benchmarks.peers.workloads import Workload

_NOISY = 0.3
_MEASURES = (
    ("CPU a request, ms", "cpu_each", 1e-3),
    ("requests/s", "rate", 1.0),
    ("p50, ms", "p50", 1.0),
    ("p99, ms", "p99", 1.0),
)


def spread(values: Sequence[float]) -> float:
    """Half the distance between the largest and the smallest, as a part of the median."""
    return (max(values) - min(values)) / max(median(values), 1e-9) / 2


def amount(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return "-"
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def lines_of(results: Results, workloads: Sequence[Workload]) -> Iterator[str]:
    """The table of all entrants, and that of the targets below it."""
    names = list(results.alone)
    rows = [["", *names, f"of {FLASK}", f"of {HEALTHCHAIN}"]]
    for title, measure, factor in _MEASURES:
        rows.append([title])
        rows += [
            _row(results, workload.name, measure, factor)
            for workload in workloads
            if _is_measured(results, measure, workload.name)
        ]
    rows += [["alone"], *_rows_alone(results)]
    yield from _aligned(rows)
    for signed in results.signed:
        yield (
            f"{signed.algorithm}: a token adds {signed.added:.0f} us, {signed.share:.2f} of a call "
            f"({min(signed.shares):.2f} to {max(signed.shares):.2f} in the rounds); "
            f"the bare verification takes {signed.bare:.0f} us"
        )
    yield ""
    targets = [["target", "found", "must", "aim", "met"]]
    for wanted in WANTED:
        value = wanted.found(results)
        row = [wanted.title, amount(value), f"{wanted.must:g}", f"{wanted.aim:g}"]
        targets.append([*row, wanted.met(value)])
    yield from _aligned(targets)


def as_json(results: Results, workloads: Sequence[Workload]) -> dict[str, Any]:
    """The same, with every round."""
    return {
        "workloads": {workload.name: workload.about for workload in workloads},
        "alone": {
            name: {"start": list(alone.starts), "idle": alone.idle, "loaded": alone.loaded}
            for name, alone in results.alone.items()
        },
        "loads": [
            {"entrant": name, "workload": workload, "rounds": [_of_load(load) for load in loads]}
            for (name, workload), loads in results.loads.items()
        ],
        "signed": [
            {
                "algorithm": signed.algorithm,
                "share": signed.share,
                "added us": signed.added,
                "bare us": signed.bare,
            }
            for signed in results.signed
        ],
        "targets": [
            {
                "name": target.name,
                "unit": target.unit,
                "at least": target.at_least,
                "must": target.must,
                "aim": target.aim,
                "found": target.found(results),
                "met": target.met(target.found(results)),
            }
            for target in WANTED
        ],
    }


def _of_load(load: Load) -> dict[str, Any]:
    return {
        "requests": load.requests,
        "seconds": load.seconds,
        "cpu us": load.cpu_each if load.cpu is not None else None,
        "p50 ms": load.p50,
        "p99 ms": load.p99,
    }


def _is_measured(results: Results, measure: str, workload: str) -> bool:
    loads = [
        load for (_, name), found in results.loads.items() if name == workload for load in found
    ]
    return measure != "cpu_each" or all(load.cpu is not None for load in loads)


def _row(results: Results, workload: str, measure: str, factor: float) -> list[str]:
    row = [f"  {workload}"]
    for name in results.alone:
        loads = results.loads[name, workload]
        row.append(
            f"{amount(middle(loads, measure) * factor)} {_plus_minus(loads, measure)}".strip()
        )
    for its in (FLASK, HEALTHCHAIN):
        ratios = results.ratios(measure, workload, OURS, its)
        noisy = " noisy" if spread(ratios) * 2 > _NOISY else ""
        row.append(f"{median(ratios):.2f}{noisy}")
    return row


def _plus_minus(loads: Sequence[Load], measure: str) -> str:
    return f"±{spread([getattr(load, measure) for load in loads]):3.0%}" if len(loads) > 1 else ""


def _rows_alone(results: Results) -> Iterator[list[str]]:
    every = results.alone
    lines: list[tuple[str, dict[str, float | None]]] = [
        ("start to first answer, s", {name: measured.start for name, measured in every.items()}),
        ("memory idle, MB", {name: measured.idle for name, measured in every.items()}),
        ("memory loaded, MB", {name: measured.loaded for name, measured in every.items()}),
    ]
    for title, values in lines:
        ratios = [_ratio(values[OURS], values[its]) for its in (FLASK, HEALTHCHAIN)]
        yield [f"  {title}", *(amount(value) for value in values.values()), *ratios]


def _ratio(mine: float | None, its: float | None) -> str:
    return "-" if mine is None or not its else f"{mine / its:.2f}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    wide = [max(len(row[at]) for row in rows if len(row) > at) for at in range(len(rows[0]))]
    for row in rows:
        first, *rest = row
        cells = [f"{cell:>{width}}" for cell, width in zip(rest, wide[1:], strict=False)]
        yield "  ".join([f"{first:<{wide[0]}}", *cells]).rstrip()
