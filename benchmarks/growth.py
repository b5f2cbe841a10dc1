# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.growth`: how the cost of a call grows, as a page to paste into the docs.

CPU time of the whole POST in this process, over bodies that are all different, against the number
of Observations, the number of rules, and the length of the history of each marker. Beside each
time stands what it is of `orjson.loads` over the same bodies in the same run.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson
import yaml

from benchmarks.charts import chart
from benchmarks.floors import post
from benchmarks.paths import LOADS, POST, Bench, make_bench, steps_of
from benchmarks.timing import logged_nowhere, measure
from cds_service.knowledge.model.status import rules_on

OBSERVATIONS = (0, 5, 20, 50, 100, 200, 500)
RULES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of those of the pack
RESULTS_OF_A_MARKER = (1, 2, 5, 10, 25)
MIDDLE = 50
_QUIET, _WIDE = (0.55, 0.95), (0.3, 3.0)  # of the limits of markers: what values are drawn from
_BODIES = 24


@dataclass(frozen=True, slots=True)
class Point:
    """Microseconds of a call, and how many times the floor that is, at one amount."""

    amount: float
    micros: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Curve:
    """What grows, and the points without cards and with them."""

    what: str
    quiet: Sequence[Point]
    wide: Sequence[Point]


def measured(
    bench: Bench, amount: float, levels: tuple[float, float], size: int, markers: int | None
) -> Point:
    """A point, over bodies whose answers were checked."""
    chance = random.Random(f"{amount}, {levels}, {size}, {markers}")
    charts = [
        chart(
            bench.pack,
            size,
            seed=chance.getrandbits(48),
            levels=[chance.uniform(*levels) for _ in range(20)],
            markers=markers,
            patient=f"patient-{chance.getrandbits(48):012x}",
        )
        for _ in range(_BODIES)
    ]
    for patient_chart in charts:
        steps_of(bench, patient_chart)
    bodies = [patient_chart.body for patient_chart in charts]

    def posted() -> None:
        for body in bodies:
            post(bench.app, bench.path, body)

    def loaded() -> None:
        for body in bodies:
            orjson.loads(body)

    times = measure({POST: posted, LOADS: loaded}, rounds=7, seconds=0.05)
    return Point(amount, times.micros(POST) / _BODIES, times.ratio(POST, LOADS))


def curves() -> Iterator[Curve]:
    """Each in turn; the packs are read anew where rules are switched off."""
    whole = make_bench()
    at = partial(measured, whole)
    yield Curve(
        "Observations",
        [at(size, _QUIET, size, None) for size in OBSERVATIONS],
        [at(size, _WIDE, size, None) for size in OBSERVATIONS],
    )
    yield Curve(
        "results of each marker",
        [at(each, _QUIET, MIDDLE, _markers(each)) for each in RESULTS_OF_A_MARKER],
        [at(each, _WIDE, MIDDLE, _markers(each)) for each in RESULTS_OF_A_MARKER],
    )
    benches = [_with_rules(whole, share) for share in RULES]
    yield Curve(
        "rules",
        [measured(bench, count, _QUIET, MIDDLE, None) for bench, count in benches],
        [measured(bench, count, _WIDE, MIDDLE, None) for bench, count in benches],
    )


def _markers(each: int) -> int:
    """How many markers 50 results are of, if each has so many."""
    return max(1, round(MIDDLE * 0.6 / each))


def _with_rules(whole: Bench, share: float) -> tuple[Bench, int]:
    """The service with this share of its rules, and how many those are."""
    rules = sorted(rule.id for rule in rules_on(whole.pack))
    random.Random(0).shuffle(rules)
    kept = round(len(rules) * share)
    off = [{"rule": rule, "because": "to measure"} for rule in rules[kept:]]
    if not off:
        return whole, kept
    site = {
        "pack": whole.pack.id,
        "site": "benchmark",
        "reviewed": "2026-11-29",
        "switched off": off,
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "site.yaml")
        file.write_text(yaml.safe_dump(site), encoding="utf-8")
        return make_bench(site_file=file), kept


def lines_of(curve: Curve) -> Iterator[str]:
    """The curve as a table and a chart in Markdown."""
    yield f"| {curve.what} | no card, us | of `orjson.loads` | cards, us | of `orjson.loads` |"
    yield "| ---: | ---: | ---: | ---: | ---: |"
    for quiet, wide in zip(curve.quiet, curve.wide, strict=True):
        cells = (f"{point.micros:,.0f} | {point.ratio:.1f}" for point in (quiet, wide))
        yield f"| {quiet.amount:g} | {' | '.join(cells)} |"
    yield ""
    yield "```mermaid"
    yield "xychart-beta"
    yield f'    x-axis "{curve.what}" [{", ".join(f"{point.amount:g}" for point in curve.quiet)}]'
    yield '    y-axis "CPU time of a call, us"'
    for points in (curve.quiet, curve.wide):
        yield f"    line [{', '.join(f'{point.micros:.0f}' for point in points)}]"
    yield "```"
    yield ""


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    with logged_nowhere():
        for curve in curves():
            print("\n".join(lines_of(curve)), flush=True)


if __name__ == "__main__":
    main()
