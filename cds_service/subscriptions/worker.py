# SPDX-License-Identifier: Apache-2.0
"""The worker: takes work from the inbox, has it decided, and stores the decision.

Any number of workers may run beside each other. One that is killed loses its lease after a while,
and another one does the work; one that is asked to stop ends what it has begun.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from threading import Event
from typing import Final

from cds_service.clock import Clock, stopwatch
from cds_service.errors import StoreError
from cds_service.log import log_arrival_failed, log_arrivals, log_crash
from cds_service.subscriptions.held_lease import held_lease
from cds_service.subscriptions.inbox import Inbox
from cds_service.subscriptions.notified_resource import NotifiedResource
from cds_service.subscriptions.patient_of_resource import patient_named
from cds_service.subscriptions.reactivation import SubscriptionUpkeep
from cds_service.subscriptions.read_resource import resolve
from cds_service.subscriptions.reconcile import Reconciler
from cds_service.subscriptions.reread import verified
from cds_service.subscriptions.retention import Retention
from cds_service.subscriptions.server_reader import ServerReader
from cds_service.subscriptions.slow_servers import SlowServers
from cds_service.subscriptions.versions import is_older_number
from cds_service.subscriptions.work import (
    ASKED_AGAIN,
    GAP,
    ITEM,
    LOOK,
    OF_MESSAGES,
    SEARCH,
    ArrivalDecision,
    Decide,
    Lease,
    LeaseLost,
    Retry,
    StillRefused,
    Unwritable,
    WriteMessage,
)
from cds_service.subscriptions.work_watch import WorkOutcome, WorkWatch

IDLE: Final = 0.2  # seconds between two looks into an inbox in which nothing is due
_AWAY: Final = 2.0  # seconds before a database that did not answer is asked again
_PURGE_EVERY: Final = timedelta(hours=1)
_PURGE_ON: Final = timedelta(seconds=1)  # between two batches


@dataclass(slots=True, kw_only=True)
class Worker:
    """Works on an inbox. `reader`, `reconciler` and `upkeep` are what it asks FHIR servers by."""

    inbox: Inbox
    decide: Decide
    reader: ServerReader
    reconciler: Reconciler
    upkeep: SubscriptionUpkeep
    clock: Clock
    holder: str
    reconcile_every: timedelta
    retention: Retention
    write_message: WriteMessage
    watch: WorkWatch
    slow: SlowServers = field(init=False)
    _reconciled: datetime | None = field(default=None, init=False)
    _purge_due: datetime | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Make what has the slow servers worked on."""
        self.slow = SlowServers(step=self.step)

    def run(self, stop: Event, *, until_empty: bool = False) -> None:
        """Work until `stop` is set, or until nothing is due."""
        try:
            self._run(stop, until_empty=until_empty)
        finally:
            self.slow.finish()

    def _run(self, stop: Event, *, until_empty: bool) -> None:
        while not stop.is_set():
            self.watch.looked()
            try:
                self._look_after()
                self.slow.tend()
                worked = self.step()
            except StoreError:
                log_arrival_failed("database-away")
                stop.wait(_AWAY)
                continue
            except Exception as error:
                if until_empty:
                    raise
                log_crash(error)  # a worker goes on, whatever it meets
                stop.wait(_AWAY)
                continue
            if not worked:
                if until_empty and not self._of_slow():
                    return
                stop.wait(IDLE)

    def _of_slow(self) -> bool:
        """Do one piece of work of each slow server; whether there was any."""
        self.slow.finish()
        return any(self.step(server) for server in tuple(self.slow.names))

    def step(self, only: str | None = None) -> bool:
        """Do one piece of work, of this server or of any that is not slow; whether there was any.

        Raises `StoreError`.
        """
        lease = self.inbox.lease(
            self.holder, self.clock(), only=only, without=tuple(self.slow.names)
        )
        if lease is None:
            return False
        took = stopwatch()
        try:
            self.watch.doing(lease, partial(self._done, lease))
        finally:
            self.slow.note(lease.server, took() / 1000)
        return True

    def _done(self, lease: Lease) -> WorkOutcome:
        try:
            return self._do(lease)
        except LeaseLost:
            log_arrival_failed("lease-lost")
            return "lost"

    def _do(self, lease: Lease) -> WorkOutcome:
        try:
            self._handle(lease)
        except (LeaseLost, StoreError):
            raise
        except Retry as failure:
            return self._failed(lease, failure.code, retry=True, within=failure.within)
        except (StillRefused, Unwritable) as failure:
            return self._failed(lease, failure.code, retry=False)
        except Exception as error:  # noqa: BLE001 - one patient must not end the worker
            log_crash(error)
            return self._failed(lease, "crash", retry=False)
        return "done"

    def _handle(self, lease: Lease) -> None:
        again = None
        if lease.key.startswith((LOOK, SEARCH, GAP)):
            with held_lease(self.inbox, lease, self.clock):
                again = self._search(lease)
        elif lease.key.startswith(ITEM) and lease.items:
            self._resolve(lease)
            return
        elif lease.key.startswith(OF_MESSAGES):
            self._write_message(lease)
            return
        lease = verified(self.reader, lease)
        decision = self._decision(lease)
        self.inbox.finish(lease, decision, self.clock(), again)
        if lease.items:
            log_arrivals(arrived=len(lease.items))
        if decision is not None and decision.unwritten is not None:
            log_arrival_failed(decision.problem)

    def _write_message(self, lease: Lease) -> None:
        """Write the results of a message to its server, which then notifies of them."""
        with held_lease(self.inbox, lease, self.clock):
            for item in lease.items:
                self.write_message(item)
        self.inbox.finish(lease, None, self.clock())

    def _search(self, lease: Lease) -> datetime | None:
        """Search for what was missed; when to do it again, if before the clock."""
        kind, _, path = lease.key.partition(":")
        now = self.clock()
        if f"{kind}:" == LOOK:
            return self.upkeep.look(path, now, lease)
        if f"{kind}:" == SEARCH:
            self.reconciler.search(path, now, lease)
        else:
            self.reconciler.recover(path, now, lease)
        return None

    def _decision(self, lease: Lease) -> ArrivalDecision | None:
        """What is decided on the items of a patient; nothing where all of them are superseded."""
        return self.decide(lease.work) if lease.items else None

    def _resolve(self, lease: Lease) -> None:
        """Find out about a resource of which only the name came."""
        (item,) = lease.items
        if item.gone:
            found = NotifiedResource(type=item.type, id=item.resource_id, gone=True)
        else:
            again = lease.attempts < ASKED_AGAIN
            found = self.reader.read(item.server, item.type, item.resource_id, again=again)
            if is_older_number(found.version, item.version):
                raise Retry("stale")
            if not found.gone and not found.patient:
                found = replace(found, patient=patient_named(self.reader, item.server, found))
        settling = self.inbox.settling(item.server)
        if not resolve(self.inbox.database, lease, found, self.clock(), settling):
            log_arrival_failed("no-patient")

    def _failed(
        self, lease: Lease, code: str, *, retry: bool, within: timedelta | None = None
    ) -> WorkOutcome:
        is_dead = self.inbox.fail(lease, code, self.clock(), retry=retry, within=within)
        log_arrival_failed(code, dead=is_dead)
        return "dead" if is_dead else "retried"

    def _look_after(self) -> None:
        """Search by the clock, and forget what was done long ago."""
        now = self.clock()
        if self._reconciled is None or now - self._reconciled >= self.reconcile_every:
            self.reconciler.ask_for_all(now)
            self._reconciled = now
        if self._purge_due is None or now >= self._purge_due:
            has_more = self.retention.purge_some(now)
            self._purge_due = now + (_PURGE_ON if has_more else _PURGE_EVERY)
