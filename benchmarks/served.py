# SPDX-License-Identifier: Apache-2.0
"""The real server on loopback against the floor on the same server, under a short bounded load."""

import sys
from collections.abc import Iterator
from statistics import median
from time import perf_counter

from benchmarks.charts import chart
from benchmarks.load import Load, Server, Target, fair, load_on, post, running
from benchmarks.paths import Bench, cards_from, expected_cards
from benchmarks.processes import memory_of
from benchmarks.report import Figure
from cds_service.clock import system_clock

_SERVICE = [sys.executable, "-m", "cds_service", "serve", "--port", "{port}"]
_FLOOR = [sys.executable, "-m", "benchmarks.floors", "{port}"]
_FLOOR_NAME = "Flask + orjson.loads, constant answer, same server"


def served(bench: Bench, size: int, *, rounds: int, seconds: float) -> list[Figure]:
    """Both servers under load in turn; raises if an answer is wrong."""
    body = chart(bench.pack, size, now=system_clock()).body
    with running(_SERVICE) as service, running(_FLOOR) as floor:
        answer = _checked(bench, service, body)
        ours = Target(server=service, path=bench.path, bodies=[body])
        its = Target(server=floor, path=f"/loads/{len(answer)}", bodies=[body])
        fair(ours)
        fair(its)
        pairs = [(load_on(ours, seconds), load_on(its, seconds)) for _ in range(rounds)]
        memory = memory_of(service.process.pid)
    return [*_figures(pairs, size), *_of_memory(memory, size)]


def start_up(bench: Bench) -> float:
    """Seconds from starting the service to its first answered call."""
    body = chart(bench.pack, 5, now=system_clock()).body
    begin = perf_counter()
    with running(_SERVICE) as server:
        post(server.port, bench.path, body)
        return perf_counter() - begin


def _figures(pairs: list[tuple[Load, Load]], size: int) -> Iterator[Figure]:
    ours, its = [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def figure(name: str, unit: str, mine: list[float], floor: list[float]) -> Figure:
        ratios = [own / max(other, 1e-9) for own, other in zip(mine, floor, strict=True)]
        return Figure(
            mode="served",
            name=f"served, {name}",
            size=size,
            floor=_FLOOR_NAME,
            ratio=median(ratios),
            amount=median(mine),
            unit=unit,
            spread=(max(ratios) - min(ratios)) / max(median(ratios), 1e-9),
        )

    if all(load.cpu is not None for load in (*ours, *its)):
        yield figure(
            "CPU a request", "us", [load.cpu_each for load in ours], [load.cpu_each for load in its]
        )
    yield figure(
        "requests a second", "requests/s", [load.rate for load in ours], [load.rate for load in its]
    )
    yield figure("p50", "ms", [load.p50 for load in ours], [load.p50 for load in its])
    yield figure("p99", "ms", [load.p99 for load in ours], [load.p99 for load in its])


def _of_memory(memory: float | None, size: int) -> Iterator[Figure]:
    if memory is not None:
        yield Figure(
            mode="served",
            name="served, resident memory of all processes",
            size=size,
            floor="100 MB",
            ratio=memory / 100,
            amount=memory,
            unit="MB",
        )


def _checked(bench: Bench, server: Server, body: bytes) -> bytes:
    """The answer, which has the cards that this process finds."""
    answer = post(server.port, bench.path, body)
    if cards_from(server.port, answer) != expected_cards(bench, body, system_clock()):
        raise AssertionError("the server answers otherwise; nothing is measured")
    return answer
