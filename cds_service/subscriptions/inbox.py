# SPDX-License-Identifier: Apache-2.0
"""The durable inbox: arrived items, the leases of workers, and outcomes.

What is added is on the disk when `add` returns. The work is queued by patient: a worker leases the
row of a patient, handles everything that waits for this patient, and in one transaction keeps what
it decided, marks the items and removes the row, if nobody else has leased it since (`fence`). So a
patient has one worker at a time, a panel of results makes one decision, and each version of a
resource is decided on once.

What fails is tried again after growing pauses, and goes to the dead letters in the end. Items that
failed together are tried one by one, so that one that always fails does not take others with it.
Advice that a server refused is an item as well. It goes with whatever arrives next for its patient,
even if it is a dead letter by then, so that a newer decision takes its place.

Every method raises `StoreError` if the database does not answer.
"""

import zlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import randbits
from typing import Any, Final

from sqlalchemy import Connection, and_, case, delete, insert, or_, select, update

from cds_service.errors import StoreError
from cds_service.fhir_client.servers import Servers, SubscriptionSettings
from cds_service.log import log_crash
from cds_service.settings import Settings
from cds_service.store.store import Transactions
from cds_service.store.tables import decisions, inbox_items, inbox_queue
from cds_service.subscriptions.inbox_insert import Arrival, compressed, insert_items
from cds_service.subscriptions.leased_items import (
    belongs,
    chosen_of,
    item_of,
    keep_read,
    key_of,
    known_of,
    mark,
)
from cds_service.subscriptions.queue import (
    enqueue,
    enqueue_all,
    held,
    is_row,
    keep_holding,
    let_go,
    pause,
)
from cds_service.subscriptions.versions import current_of
from cds_service.subscriptions.work import ADVICE, ITEM, ArrivalDecision, Item, Lease

_AT_ONCE: Final = 500  # items of one patient in one lease
_FENCE_BITS: Final = 62
_HELD: Final = timedelta(seconds=30)  # at most, by the pause of a server that is away
_REFUSED_PAUSE: Final = timedelta(minutes=1)  # a person may have to change something first
_LONGEST_REFUSED_PAUSE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxLimits:
    """How long the inbox waits, and how often it tries.

    An item may fail `attempts` times by itself. Where a server does not answer, its items are tried
    for as long as `patience`, and as often at least.
    """

    lease: timedelta = timedelta(seconds=60)
    attempts: int = 5
    patience: timedelta = timedelta(days=1)


class Inbox:
    """The inbox over a database. Any number of processes may have one."""

    def __init__(
        self,
        database: Transactions,
        limits: InboxLimits | None = None,
        settling: Callable[[str], timedelta] = lambda _: timedelta(seconds=1),
    ) -> None:
        """`settling` says how long results of a patient of a server are gathered."""
        self.database = database
        self.limits = limits or InboxLimits()
        self.settling = settling

    def add(self, arrivals: Iterable[Arrival], now: datetime) -> int:
        """Keep what arrived; how many of them are new."""
        with self.database.writing() as connection:
            return self.add_within(connection, arrivals, now)

    def add_within(self, connection: Connection, arrivals: Iterable[Arrival], now: datetime) -> int:
        """The same within a transaction."""
        new = insert_items(connection, arrivals, now)
        asked = {(item.server, key_of(item.patient, item.id)) for item in new}
        asked |= {(item.server, patient) for item in new for patient in item.left}
        later = {server: now + self.settling(server) for server, _ in asked}
        enqueue_all(
            connection,
            [
                (server, key, now if key.startswith(ITEM) else later[server])
                for server, key in sorted(asked)
            ],
        )
        return len(new)

    def ask(self, server: str, key: str, due: datetime) -> None:
        """Queue a piece of work that is no patient, once however often it is asked for."""
        with self.database.writing() as connection:
            enqueue(connection, server, key, due)

    def lease(
        self,
        holder: str,
        now: datetime,
        *,
        only: str | None = None,
        without: Collection[str] = (),
    ) -> Lease | None:
        """The work that has been due for longest and nobody has; `None` if there is none.

        It is of the server `only`, and of none of those `without`. A lease may be of nothing but
        superseded items.
        """
        server = inbox_queue.c.server
        due = and_(
            inbox_queue.c.due <= now,
            server.not_in(without) if only is None else server == only,
            or_(inbox_queue.c.leased_until.is_(None), inbox_queue.c.leased_until <= now),
        )
        with self.database.reading() as connection:  # to look must not keep a writer waiting
            if connection.execute(select(inbox_queue.c.due).where(due).limit(1)).first() is None:
                return None
        row = None
        try:
            with self.database.writing() as connection:
                row = connection.execute(
                    select(inbox_queue)
                    .where(due)
                    .order_by(inbox_queue.c.due)
                    .limit(1)
                    .with_for_update(skip_locked=True)
                ).first()
                return None if row is None else self._leased(connection, row, holder, now)
        except StoreError:
            raise
        except Exception as error:
            if row is None:
                raise
            log_crash(error)
            self._put_off(row, now)  # what is wrong with one row must not stop the others
            return self.lease(holder, now, only=only, without=without)

    def _put_off(self, row: Any, now: datetime) -> None:
        """Have a row that cannot be leased wait, and after some times make dead letters of it."""
        is_this = and_(is_row(row.server, row.patient), inbox_queue.c.fence == row.fence)
        is_over = row.attempts + 1 >= self.limits.attempts
        values = {"due": now + pause(row.attempts), "attempts": row.attempts + 1}
        with self.database.writing() as connection:
            if not is_over:
                connection.execute(update(inbox_queue).where(is_this).values(**values))
                return
            waiting = and_(belongs(row.server, row.patient), inbox_items.c.state == "waiting")
            ended = {"state": "dead", "problem": "crash", "finished": now}
            connection.execute(update(inbox_items).where(waiting).values(**ended))
            connection.execute(delete(inbox_queue).where(is_this))

    def _leased(self, connection: Connection, row: Any, holder: str, now: datetime) -> Lease:
        until, fence = now + self.limits.lease, randbits(_FENCE_BITS)
        connection.execute(
            update(inbox_queue)
            .where(is_row(row.server, row.patient))
            # What asks for the work meanwhile brings `due` forward to its own time.
            .values(holder=holder, fence=fence, leased_until=until, due=until)
        )
        waiting = self._waiting(connection, row.server, row.patient, now)
        chosen = chosen_of(waiting)
        ids = [item.id for item in chosen]
        connection.execute(
            update(inbox_items)
            .where(inbox_items.c.id.in_(ids))
            .values(
                attempts=case((inbox_items.c.state == "dead", 1), else_=inbox_items.c.attempts + 1),
                state="waiting",
                finished=None,
            )
        )
        current = current_of(chosen, known_of(connection, chosen, row.patient))
        return Lease(
            server=row.server,
            key=row.patient,
            fence=fence,
            wanted=row.wanted,
            attempts=row.attempts,
            until=until,
            items=current,
            superseded=tuple(set(ids) - {item.id for item in current}),
            left=any(item.state == "waiting" and item.id not in ids for item in waiting)
            or len(waiting) == _AT_ONCE,
        )

    def _waiting(
        self, connection: Connection, server: str, key: str, now: datetime
    ) -> tuple[Item, ...]:
        """The items of a row that wait, and dead advice.

        Those whose worker was lost again and again are dead now.
        """
        table = inbox_items.c
        is_dead_advice = and_(table.state == "dead", table.type == ADVICE)
        found = [
            item_of(row)
            for row in connection.execute(
                select(inbox_items)
                .where(belongs(server, key), or_(table.state == "waiting", is_dead_advice))
                .order_by(inbox_items.c.id)
                .limit(_AT_ONCE)
            )
        ]
        lost = [
            item.id
            for item in found
            if item.state == "waiting" and item.attempts >= self.limits.attempts
        ]
        mark(connection, lost, state="dead", problem="worker-lost", finished=now)
        return tuple(item for item in found if item.id not in lost)

    def hold(self, lease: Lease, now: datetime) -> None:
        """Hold a lease for as long again from now on; raises `LeaseLost`."""
        with self.database.writing() as connection:
            keep_holding(connection, lease, now + self.limits.lease)

    def finish(
        self,
        lease: Lease,
        decision: ArrivalDecision | None,
        now: datetime,
        again: datetime | None = None,
    ) -> int | None:
        """Keep a decision, whose id is returned, with the end of its items; all of it or nothing.

        Without a decision the work ends without one; `again` asks for the same work then. Raises
        `LeaseLost`.
        """
        with self.database.writing() as connection:
            wanted = held(connection, lease)
            number = None
            if decision is not None:
                number = _kept(connection, lease, decision, now)
            ids = [item.id for item in lease.items]
            mark(connection, ids, decision=number, **_ended(now))
            keep_read(connection, lease.items, decision)
            mark(connection, lease.superseded, **_ended(now, "superseded"))
            due = now if lease.left else again
            if decision is not None and decision.unwritten is not None:
                _keep_unwritten(connection, lease, number, decision, now)
                due = due or now + pause(0, _REFUSED_PAUSE)
            let_go(connection, lease, wanted=wanted, due=due)
            return number

    def fail(
        self,
        lease: Lease,
        code: str,
        now: datetime,
        *,
        retry: bool,
        within: timedelta | None = None,
    ) -> bool:
        """Note that the work failed, to be tried again later; whether items are dead letters now.

        `retry` says that another time is likely to do, as where a server is away: its items stay
        together, for as long as `within` if that is less than the patience with servers. Raises
        `LeaseLost`.
        """
        with self.database.writing() as connection:
            wanted = held(connection, lease)
            patience = min(within or self.limits.patience, self.limits.patience)
            dead = [
                item.id
                for item in lease.items
                if self._is_over(item, lease, now, patience if retry else None)
            ]
            again = [item.id for item in lease.items if item.id not in dead]
            mark(connection, dead, state="dead", problem=code, finished=now)
            back = {"attempts": inbox_items.c.attempts - 1} if retry else {}
            mark(connection, again, problem=code, **back)
            mark(connection, lease.superseded, **_ended(now, "superseded"))
            due = now + _pause(lease, retry=retry) if again or not lease.items else None
            if lease.left and not retry:
                due = now  # the others need not wait for these
            hold = min(due, now + _HELD) if retry and due is not None else None
            let_go(
                connection, lease, wanted=wanted, due=due, attempts=lease.attempts + 1, hold=hold
            )
            return bool(dead)

    def _is_over(self, item: Item, lease: Lease, now: datetime, patience: timedelta | None) -> bool:
        """Whether an item that failed once more is not tried again."""
        if patience is None:
            return item.attempts + 1 >= self.limits.attempts
        is_late = now - item.received >= patience
        return is_late and lease.attempts + 1 >= self.limits.attempts


def make_inbox(settings: Settings, database: Transactions, servers: Servers) -> Inbox:
    """The inbox as it is set; a server that is not listed any more has the usual settling time."""
    limits = InboxLimits(
        lease=timedelta(seconds=settings.inbox_lease_seconds),
        attempts=settings.inbox_attempts,
        patience=timedelta(hours=settings.inbox_hours),
    )

    def settling(base: str) -> timedelta:
        server = servers.find(base)
        usual = SubscriptionSettings() if server is None else server.subscriptions
        return timedelta(seconds=usual.settling_seconds)

    return Inbox(database, limits, settling)


def _pause(lease: Lease, *, retry: bool) -> timedelta:
    """How long to wait after a failure; longer where a server refuses what it was sent."""
    if lease.items and not retry and all(item.type == ADVICE for item in lease.items):
        return pause(lease.attempts + 1, _REFUSED_PAUSE, _LONGEST_REFUSED_PAUSE)
    return pause(lease.attempts)


def _keep_unwritten(
    connection: Connection,
    lease: Lease,
    number: int | None,
    decision: ArrivalDecision,
    now: datetime,
) -> None:
    """Keep that the advice of a decision is still to be written."""
    connection.execute(
        insert(inbox_items).values(
            server=lease.server,
            type=ADVICE,
            resource_id=str(number),
            version="1",
            gone=False,
            subscription="",
            received=now,
            body=compressed(decision.unwritten),
            patient=lease.key,
            state="waiting",
            attempts=0,
            problem=decision.problem,
        )
    )


def _ended(now: datetime, problem: str = "") -> dict[str, Any]:
    return {"state": "done", "finished": now, "body": None, "problem": problem}


def _kept(connection: Connection, lease: Lease, decision: ArrivalDecision, now: datetime) -> int:
    values = {
        "server": lease.server,
        "patient": lease.key,
        "decided": now,
        "trigger": decision.trigger,
        "packs": dict(decision.packs),
        "input": zlib.compress(decision.input),
        "findings": [dict(finding) for finding in decision.findings],
        "mode": decision.mode,
        "written": decision.written,
        "problem": decision.problem,
    }
    number: int = connection.execute(
        insert(decisions).values(**values).returning(decisions.c.id)
    ).scalar_one()
    if decision.also is not None:
        decision.also(connection, number)
    return number
