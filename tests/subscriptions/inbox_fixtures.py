# SPDX-License-Identifier: Apache-2.0
"""Arrivals, and an inbox that is worked on by hand."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from cds_service.store import Store
from cds_service.store.tables import decisions, inbox_items, inbox_queue
from cds_service.subscriptions.inbox import Inbox
from cds_service.subscriptions.inbox_insert import Arrival
from cds_service.subscriptions.notified_resource import NotifiedResource
from cds_service.subscriptions.work import ArrivalDecision, Lease, Work

SERVER = "https://fhir.example.org/r4"
NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def result(
    number: object = 1, version: object = 1, patient: str = "p1", **more: Any
) -> NotifiedResource:
    """A result, of the patient p1 unless said otherwise."""
    body = b'{"resourceType":"Observation"}'
    usual = {"version": str(version), "patient": patient, "body": body}
    return NotifiedResource(type="Observation", id=f"o{number}", **(usual | more))


def arrival(*arguments: Any, server: str = SERVER, **more: Any) -> Arrival:
    """The same as something that arrived."""
    return Arrival(server=server, subscription="path", resource=result(*arguments, **more))


def decided(work: Work) -> ArrivalDecision:
    """A decision that says what it was about."""
    about = [f"{item.type}/{item.resource_id}/{item.version}" for item in work.items]
    return ArrivalDecision(
        trigger="result-arrived",
        packs={},
        input=b"",
        findings=[{"about": subject} for subject in about],
    )


@dataclass
class Hands:
    """Works on an inbox, at a time of its own."""

    inbox: Inbox
    now: datetime = NOW

    def after(self, time: timedelta) -> "Hands":
        self.now += time
        return self

    def add(self, *arrivals: Arrival) -> int:
        return self.inbox.add(arrivals, self.now)

    def lease(self, holder: str = "worker") -> Lease:
        found = self.inbox.lease(holder, self.now)
        assert found is not None
        return found

    def rests(self) -> bool:
        return self.inbox.lease("looks", self.now) is None

    def finish(self, lease: Lease) -> int | None:
        decision = decided(lease.work) if lease.items else None
        return self.inbox.finish(lease, decision, self.now)

    def drain(self) -> None:
        while (lease := self.inbox.lease("worker", self.now)) is not None:
            self.finish(lease)


def states(store: Store) -> Counter[tuple[str, str]]:
    """How many items are in each state, with each problem."""
    question = select(inbox_items.c.state, inbox_items.c.problem)
    with store.database.reading() as connection:
        return Counter((row[0], row[1]) for row in connection.execute(question))


def rows(store: Store, table: Any) -> list[Any]:
    """All rows of a table."""
    with store.database.reading() as connection:
        return list(connection.execute(select(table)))


def findings(store: Store) -> list[list[str]]:
    """What each decision was about."""
    return [sorted(finding["about"] for finding in row.findings) for row in rows(store, decisions)]


def queued(store: Store) -> list[str]:
    """The keys of the queue."""
    return sorted(row.patient for row in rows(store, inbox_queue))
