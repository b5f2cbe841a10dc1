# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.steps`: what the steps of a call cost, as a table for the docs.

CPU time in this process over bodies that are all different, those of the workloads that are sent
beside other servers, and what it is of `orjson.loads` over the same bodies in the same run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

import orjson

from benchmarks.floors import post
from benchmarks.paths import (
    DECIDE,
    INTAKE,
    LOADS,
    POST,
    RENDER,
    Bench,
    decided,
    rendered,
    taken_in,
)
from benchmarks.step_tables import measured, sent_bodies, table
from benchmarks.timing import Call, Times, measure
from cds_service.fhir.depth import is_deeper
from cds_service.fhir.json_checks import outline_of
from cds_service.hooks.request import read_request

T = TypeVar("T")

DEPTH = "how deep the JSON is nested"
READ = "decode and check"
KEYS = "of it: keys that come twice"
STEPS = (LOADS, DEPTH, READ, KEYS, INTAKE, DECIDE, RENDER, POST)
_BODIES = 60


def times_of(bench: Bench, size: int, kind: str, *, count: int = _BODIES) -> Times:
    """Microseconds that each step takes for all the bodies together."""
    settings = bench.settings
    sent = sent_bodies(bench, size, kind, count)
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
    rows = (
        (
            step,
            [
                f"{times.micros(step) / count:,.0f} ({times.ratio(step, LOADS):.2g})"
                for times in found.values()
            ],
        )
        for step in STEPS
    )
    return table(found, rows)


def main() -> None:
    """Measure and print."""
    print("\n".join(lines_of(measured("benchmarks.steps", __doc__, times_of))))


if __name__ == "__main__":
    main()
