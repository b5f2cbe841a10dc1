# SPDX-License-Identifier: Apache-2.0
"""Each entrant alone for its start and memory, then all of them in turn, round by round."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter, sleep

from benchmarks.load import Load, Server, Target, fair, first_answer, load_on, running
from benchmarks.peers.entrants import Entrant, prove
from benchmarks.peers.workloads import Workload
from benchmarks.processes import fair_memory_of

REST = 0.3  # seconds after a load in which work that was put off still counts

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to measure."""

    rounds: int
    seconds: float
    starts: int
    settle: float  # seconds between the first answer and the look at the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What an entrant takes while no other runs."""

    starts: Sequence[float]  # seconds from the start of the process to its first answer
    idle: float | None  # megabytes
    loaded: float | None

    @property
    def start(self) -> float:
        """The median of the starts."""
        return median(self.starts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything that was measured in a run."""

    alone: Mapping[str, Alone] = field(default_factory=dict)  # by entrant
    loads: Mapping[tuple[str, str], Sequence[Load]] = field(default_factory=dict)  # and workload

    def ratios(self, measure: str, workload: str, mine: str, its: str) -> list[float]:
        """One number of an entrant divided by that of another, round by round."""
        pairs = zip(self.loads[mine, workload], self.loads[its, workload], strict=True)
        return [
            getattr(mine_load, measure) / max(getattr(other, measure), 1e-9)
            for mine_load, other in pairs
        ]


def alone(entrant: Entrant, first: Workload, mix: Workload, effort: Effort) -> Alone:
    """Start it a few times; let the last one rest, then put a load on it."""
    starts: list[float] = []
    idle = loaded = None
    for left in reversed(range(effort.starts)):
        begin = perf_counter()
        with running(entrant.command, entrant.environment, wait=False) as server:
            first_answer(server, entrant.path, first.bodies[0].data)
            starts.append(perf_counter() - begin)
            if left:
                continue
            sleep(effort.settle)
            idle = fair_memory_of(server.process.pid)
            load_on(_target(entrant, server, mix), effort.seconds * effort.rounds)
            sleep(REST)
            loaded = fair_memory_of(server.process.pid)
    return Alone(starts=starts, idle=idle, loaded=loaded)


def in_turn(
    entrants: Sequence[Entrant], workloads: Sequence[Workload], effort: Effort, say: Say
) -> dict[tuple[str, str], list[Load]]:
    """The loads of every entrant and workload, all answers proven before the first of them."""
    found: dict[tuple[str, str], list[Load]] = {}
    with ExitStack() as stack:
        servers = {
            entrant.name: stack.enter_context(running(entrant.command, entrant.environment))
            for entrant in entrants
        }
        for entrant in entrants:
            say(f"proving the answers of {entrant.name}")
            for workload in workloads:
                prove(entrant, servers[entrant.name], workload)
            fair(_target(entrant, servers[entrant.name], workloads[0]))
        for workload in workloads:
            say(f"measuring {workload.name}")
            for number in range(effort.rounds):
                for entrant in _rotated(entrants, number):
                    target = _target(entrant, servers[entrant.name], workload)
                    load = load_on(target, effort.seconds, rest=REST)
                    found.setdefault((entrant.name, workload.name), []).append(load)
        say("proving the answers once more")
        for entrant in entrants:
            prove(entrant, servers[entrant.name], workloads[0])
            prove(entrant, servers[entrant.name], workloads[1])
    return found


def _rotated(entrants: Sequence[Entrant], number: int) -> list[Entrant]:
    """Each round begins with another entrant, so that none is always the first."""
    first = number % len(entrants)
    return [*entrants[first:], *entrants[:first]]


def _target(entrant: Entrant, server: Server, workload: Workload) -> Target:
    return Target(server=server, path=entrant.path, bodies=workload.data)
