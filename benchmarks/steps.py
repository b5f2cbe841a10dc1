# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.steps`: what the steps of a call cost, as a table for the docs.

CPU time in this process over bodies that are all different, those of the workloads that are sent
beside other servers, and what it is of `orjson.loads` over the same bodies in the same run.
"""

import argparse
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

import orjson

from benchmarks.charts import NOW
from benchmarks.floors import post
from benchmarks.paths import (
    DECIDE,
    INTAKE,
    LOADS,
    POST,
    RENDER,
    Bench,
    decided,
    make_bench,
    rendered,
    taken_in,
)
from benchmarks.peers.workloads import CARDS, NONE, bodies, name_of
from benchmarks.timing import Call, Times, logged_nowhere, measure
from cds_service.fhir.depth import is_deeper
from cds_service.fhir.json_checks import outline_of
from cds_service.hooks.request import read_request

T = TypeVar("T")

SIZES = (5, 50)
DEPTH = "how deep the JSON is nested"
READ = "decode and check"
KEYS = "of it: keys that come twice"
STEPS = (LOADS, DEPTH, READ, KEYS, INTAKE, DECIDE, RENDER, POST)
_BODIES = 60


def times_of(bench: Bench, size: int, kind: str, *, count: int = _BODIES) -> Times:
    """Microseconds that each step takes for all the bodies together."""
    settings = bench.settings
    found = bodies(bench, size, kind, now=NOW, chance=random.Random(size))
    sent = [body.data for body in islice(found, count)]
    read = partial(read_request, max_depth=settings.max_depth, max_entries=settings.max_entries)
    requests = [read(body) for body in sent]
    records = [(request, taken_in(bench, request)) for request in requests]
    outcomes = [(request, decided(bench, request, record)) for request, record in records]
    calls: Mapping[str, Call] = {
        LOADS: _each(orjson.loads, sent),
        DEPTH: _each(lambda body: is_deeper(body, settings.max_depth), sent),
        READ: _each(read, sent),
        KEYS: _each(outline_of, sent),
        INTAKE: _each(lambda request: taken_in(bench, request), requests),
        DECIDE: _each(lambda pair: decided(bench, *pair), records),
        RENDER: _each(lambda pair: rendered(bench, *pair), outcomes),
        POST: _each(lambda body: post(bench.app, bench.path, body), sent),
    }
    return measure(calls, rounds=7, seconds=0.05)


def _each(function: Callable[[T], object], items: Sequence[T]) -> Call:
    def all_of_them() -> None:
        for item in items:
            function(item)

    return all_of_them


def lines_of(found: Mapping[str, Times], *, count: int = _BODIES) -> Iterator[str]:
    """A table in Markdown: microseconds a call, and what they are of the floor."""
    yield f"| | {' | '.join(found)} |"
    yield f"| --- |{' ---: |' * len(found)}"
    for step in STEPS:
        cells = (
            f"{times.micros(step) / count:,.0f} ({times.ratio(step, LOADS):.2g})"
            for times in found.values()
        )
        yield f"| {step} | {' | '.join(cells)} |"


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.steps",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    with logged_nowhere():
        bench = make_bench()
        kinds = [(size, kind) for size in SIZES for kind in (NONE, CARDS)]
        found = {name_of(size, kind): times_of(bench, size, kind) for size, kind in kinds}
        print("\n".join(lines_of(found)))


if __name__ == "__main__":
    main()
