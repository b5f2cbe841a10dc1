# SPDX-License-Identifier: Apache-2.0
"""What is wanted of the service: ratios within one run and amounts, and whether they are met."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.load import middle
from benchmarks.peers.entrants import FLASK, HEALTHCHAIN, OURS
from benchmarks.peers.measure import Measured
from benchmarks.peers.signed import Signed
from benchmarks.peers.workloads import CARDS, NONE, SIZES, name_of

NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Results(Measured):
    """The whole run."""

    signed: Sequence[Signed] = ()
    batch: float | None = None  # patients a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A target: at most so much, or at least so much."""

    name: str
    must: float
    aim: float
    unit: str = ""
    at_least: bool = False
    found: Callable[[Results], float | None] = field(repr=False)

    @property
    def title(self) -> str:
        """The name with the unit."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    def met(self, value: float | None) -> str:
        """How far the target is met by a value."""
        if value is None:
            return NOT_MEASURED
        for limit, word in ((self.aim, "aim"), (self.must, "must")):
            if value >= limit if self.at_least else value <= limit:
                return word
        return "no"


def _cpu(size: int, kind: str, must: float, aim: float) -> Wanted:
    workload = name_of(size, kind)

    def found(results: Results) -> float | None:
        loads = [*results.loads[OURS, workload], *results.loads[FLASK, workload]]
        if any(load.cpu is None for load in loads):
            return None
        return median(results.ratios("cpu_each", workload, OURS, FLASK))

    return Wanted(name=f"CPU a request of {FLASK}: {workload}", must=must, aim=aim, found=found)


def _rate(size: int, kind: str, must: float, aim: float) -> Wanted:
    workload = name_of(size, kind)
    return Wanted(
        name=f"requests/s of {HEALTHCHAIN}, at least: {workload}",
        must=must,
        aim=aim,
        at_least=True,
        found=lambda results: median(results.ratios("rate", workload, OURS, HEALTHCHAIN)),
    )


def _tail(results: Results) -> float:
    """The largest of the ratios of all workloads of one size: a mix has long calls by itself."""
    plain = [name_of(size, kind) for size in SIZES for kind in (NONE, CARDS)]
    return max(
        middle(results.loads[OURS, workload], "p99")
        / max(middle(results.loads[OURS, workload], "p50"), 1e-9)
        for workload in plain
    )


def _memory(results: Results) -> float | None:
    found = results.alone[OURS]
    return None if found.idle is None or found.loaded is None else max(found.idle, found.loaded)


def _share(algorithm: str) -> Callable[[Results], float | None]:
    def found(results: Results) -> float | None:
        return next(
            (signed.share for signed in results.signed if signed.algorithm == algorithm), None
        )

    return found


WANTED = (
    _cpu(50, NONE, 1.3, 0.75),
    _cpu(50, CARDS, 1.65, 1.0),
    _cpu(5, NONE, 1.25, 0.7),
    _cpu(5, CARDS, 1.8, 1.1),
    _cpu(500, NONE, 1.2, 0.8),
    _cpu(500, CARDS, 1.4, 0.9),
    _rate(50, NONE, 1.3, 2.5),
    _rate(50, CARDS, 1.2, 2.0),
    _rate(500, NONE, 1.8, 3.0),
    _rate(500, CARDS, 1.8, 3.0),
    Wanted(name="p99 / p50, largest of one size", must=3.0, aim=2.0, found=_tail),
    Wanted(name="memory (PSS), idle or loaded", must=130.0, aim=90.0, unit="MB", found=_memory),
    Wanted(
        name="start to first answer",
        must=1.3,
        aim=0.8,
        unit="s",
        found=lambda results: results.alone[OURS].start,
    ),
    Wanted(name="CPU added by a token, RS384: 50, none", must=0.15, aim=0.1, found=_share("RS384")),
    Wanted(
        name="batch of 25 Observations a patient, at least",
        must=2500.0,
        aim=5000.0,
        unit="patients/s",
        at_least=True,
        found=lambda results: results.batch,
    ),
)
