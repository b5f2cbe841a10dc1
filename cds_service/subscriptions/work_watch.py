# SPDX-License-Identifier: Apache-2.0
"""What a worker shows of itself: each piece of work counted, timed and traced, and its last look.

Kinds and outcomes are words of ours: nothing of a patient is in a metric or a trace.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

from cds_service.clock import Clock, stopwatch
from cds_service.errors import StoreError
from cds_service.metrics import Metrics, make_metrics
from cds_service.subscriptions.held_lease import LONGEST
from cds_service.subscriptions.work import GAP, ITEM, LOOK, OF_MESSAGES, SEARCH, Lease
from cds_service.tracing.calls import CallTraces

WorkKind: TypeAlias = Literal["patient", "resource", "message", "search", "gap", "subscription"]
WorkOutcome: TypeAlias = Literal["done", "retried", "dead", "lost", "database-away"]

STUCK: Final = timedelta(seconds=LONGEST + 600)  # no piece of work takes longer than `LONGEST`
_KINDS: Final[tuple[tuple[str, WorkKind], ...]] = (
    (LOOK, "subscription"),
    (SEARCH, "search"),
    (GAP, "gap"),
    (ITEM, "resource"),
    (OF_MESSAGES, "message"),
)


def kind_of(lease: Lease) -> WorkKind:
    """What kind of work a lease is."""
    found = (kind for prefix, kind in _KINDS if lease.key.startswith(prefix))
    return next(found, "patient")


@dataclass(slots=True, kw_only=True)
class WorkWatch:
    """Shows the work of one worker in its metrics, and in traces if there are any."""

    clock: Clock
    metrics: Metrics = field(default_factory=lambda: make_metrics("worker"))
    traces: CallTraces | None = None
    _looked: datetime = field(init=False)

    def __post_init__(self) -> None:
        """Have every series begin at zero, and the worker's looks now."""
        for kind in get_args(WorkKind):
            self.metrics.work_seconds.of(kind)
            for outcome in get_args(WorkOutcome):
                self.metrics.work.of(kind, outcome)
        self.looked()

    def looked(self) -> None:
        """Note that the worker looks for work now."""
        self._looked = self.clock()
        self.metrics.worker_looked.set(self._looked.timestamp())

    def stuck(self) -> str:
        """What is wrong if the worker has not looked for work for too long, else empty."""
        if self.clock() - self._looked <= STUCK:
            return ""
        return "The worker has not looked for work for too long; start it again."

    def doing(self, lease: Lease, do: Callable[[], WorkOutcome]) -> None:
        """Do a piece of work and show what came of it; raises what it raises."""
        kind = kind_of(lease)
        took = stopwatch()
        outcome: WorkOutcome = "dead"
        try:
            outcome = do() if self.traces is None else self.traces.work(kind, do)
        except StoreError:
            outcome = "database-away"
            raise
        finally:
            self.metrics.work.of(kind, outcome).inc()
            self.metrics.work_seconds.of(kind).observe(took() / 1000)
