# SPDX-License-Identifier: Apache-2.0
"""What `benchmarks.steps` and `benchmarks.within` share: bodies, command line, table."""

import argparse
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from benchmarks.charts import NOW
from benchmarks.paths import Bench, make_bench
from benchmarks.peers.workloads import CARDS, NONE, bodies, name_of
from benchmarks.timing import logged_nowhere

T = TypeVar("T")

SIZES = (5, 50)


def sent_bodies(bench: Bench, size: int, kind: str, count: int) -> list[bytes]:
    """The first bodies of a workload, all different and the same in every run."""
    found = bodies(bench, size, kind, now=NOW, chance=random.Random(size))
    return [body.data for body in islice(found, count)]


def measured(
    program: str, description: str | None, measure: Callable[[Bench, int, str], T]
) -> dict[str, T]:
    """Read the command line, which has no options, and measure each workload by its name."""
    argparse.ArgumentParser(
        prog=f"python -m {program}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    with logged_nowhere():
        bench = make_bench()
        kinds = [(size, kind) for size in SIZES for kind in (NONE, CARDS)]
        return {name_of(size, kind): measure(bench, size, kind) for size, kind in kinds}


def table(columns: Iterable[str], rows: Iterable[tuple[str, Iterable[str]]]) -> Iterator[str]:
    """The lines of a table in Markdown."""
    names = tuple(columns)
    yield f"| | {' | '.join(names)} |"
    yield f"| --- |{' ---: |' * len(names)}"
    for name, cells in rows:
        yield f"| {name} | {' | '.join(cells)} |"
