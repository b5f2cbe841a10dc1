# SPDX-License-Identifier: Apache-2.0
"""What stands in the inbox: for operators and for metrics. Methods raise `StoreError`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, case, func, select, update

from cds_service.clock import Clock
from cds_service.errors import StoreError
from cds_service.metrics import Metrics
from cds_service.store.store import Transactions
from cds_service.store.tables import inbox_items, inbox_queue, subscriptions
from cds_service.store.thread import DatabaseThread
from cds_service.subscriptions.leased_items import item_of
from cds_service.subscriptions.queue import enqueue
from cds_service.subscriptions.registration import NOT_SENT
from cds_service.subscriptions.work import ADVICE, FAILING, ITEM, SEARCH, Item, State

_PATIENCE: Final = 0.5  # seconds
_FRESH: Final = timedelta(seconds=2)
_NONE: Final = ("", 0, None, 0)
_LATE: Final = timedelta(minutes=2)  # only a long search keeps a worker busy for longer
_QUEUE: Final = inbox_queue.c
_FREE: Final = case((_QUEUE.leased_until > _QUEUE.due, _QUEUE.leased_until), else_=_QUEUE.due)
_OF_QUEUE: Final = select(
    func.count().filter(_QUEUE.patient.startswith(SEARCH), _QUEUE.attempts >= FAILING),
    func.min(_FREE),
)
_IN_FORCE: Final = ("active", "requested", NOT_SENT)  # or soon


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxState:
    """How full the inbox is; `oldest` is when the first of the waiting items was received.

    `refused` is how many of those that wait or are dead are advice that a server refused.
    `failing` is how many Subscriptions are not in force at their server, though nobody here has
    switched them off, and `revivals` how often those that are not well were written again.
    `searches_failing` is how many searches for missed results failed again and again, `due` when
    the first piece of work could have begun.
    """

    waiting: int
    dead: int
    oldest: datetime | None
    refused: int = 0
    failing: int = 0
    revivals: int = 0
    searches_failing: int = 0
    due: datetime | None = None


class InboxList:
    """The items of an inbox, one by one."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def state(self) -> InboxState:
        """How full the inbox is."""
        table = inbox_items.c
        question = (
            select(
                table.state,
                func.count(),
                func.min(table.received),
                func.count().filter(table.type == ADVICE),
            )
            .where(table.state != "done")
            .group_by(table.state)
        )
        wanted = subscriptions.c.switched_off.is_(None)
        is_failing = and_(wanted, subscriptions.c.status.not_in(_IN_FORCE))
        about = select(func.count().filter(is_failing), func.sum(subscriptions.c.revivals))
        with self._database.reading() as connection:
            found = {row[0]: row for row in connection.execute(question)}
            failing, revivals = connection.execute(about.where(wanted)).one()
            searches_failing, due = connection.execute(_OF_QUEUE).one()
        _, waiting, oldest, refused = found.get("waiting", _NONE)
        _, dead, _, dead_advice = found.get("dead", _NONE)
        return InboxState(
            waiting=waiting,
            dead=dead,
            oldest=oldest,
            refused=refused + dead_advice,
            failing=failing,
            revivals=revivals or 0,
            searches_failing=searches_failing,
            due=due,
        )

    def by_subscription(self) -> Mapping[str, InboxState]:
        """The same for what arrived by each Subscription, by its path."""
        table = inbox_items.c
        question = (
            select(table.subscription, table.state, func.count(), func.min(table.received))
            .where(table.state != "done")
            .group_by(table.subscription, table.state)
        )
        found: dict[str, dict[str, Any]] = {}
        with self._database.reading() as connection:
            for path, state, count, oldest in connection.execute(question):
                found.setdefault(path, {})[state] = (count, oldest)
        nothing = (0, None)
        return {
            path: InboxState(
                waiting=of.get("waiting", nothing)[0],
                oldest=of.get("waiting", nothing)[1],
                dead=of.get("dead", nothing)[0],
            )
            for path, of in found.items()
        }

    def items(self, state: State | None, at_most: int) -> tuple[Item, ...]:
        """The newest items in this state, or of all that are not done."""
        table = inbox_items.c
        wanted = table.state != "done" if state is None else table.state == state
        question = select(inbox_items).where(wanted).order_by(table.id.desc()).limit(at_most)
        with self._database.reading() as connection:
            return tuple(item_of(row) for row in connection.execute(question))

    def item(self, number: int) -> Item | None:
        """The item with this id."""
        question = select(inbox_items).where(inbox_items.c.id == number)
        with self._database.reading() as connection:
            row = connection.execute(question).first()
        return None if row is None else item_of(row)

    def retry(self, numbers: tuple[int, ...] | None, now: datetime) -> int:
        """Try dead letters again, by default all of them; how many there were."""
        table = inbox_items.c
        changed = (
            update(inbox_items)
            .where(table.state == "dead", *_among(numbers))
            .values(state="waiting", attempts=0, problem="", finished=None)
            .returning(table.server, table.id, table.patient)
        )
        with self._database.writing() as connection:
            rows = connection.execute(changed).all()
            for server, key in sorted({(row[0], row[2] or f"{ITEM}{row[1]}") for row in rows}):
                enqueue(connection, server, key, now)
                connection.execute(
                    update(inbox_queue)
                    .where(inbox_queue.c.server == server, inbox_queue.c.patient == key)
                    .values(attempts=0)
                )
                connection.execute(  # a person need not wait for a pause
                    update(inbox_queue)
                    .where(
                        inbox_queue.c.server == server,
                        inbox_queue.c.patient == key,
                        inbox_queue.c.holder.is_(None),
                    )
                    .values(leased_until=None)
                )
        return len(rows)

    def drop(self, numbers: tuple[int, ...] | None, now: datetime) -> int:
        """End dead letters without a decision, by default all of them; how many there were."""
        changed = (
            update(inbox_items)
            .where(inbox_items.c.state == "dead", *_among(numbers))
            .values(state="done", problem="dropped", body=None, finished=now)
        )
        with self._database.writing() as connection:
            return connection.execute(changed).rowcount


class InboxWatch:
    """How full the inbox is, for those who ask often: the database is asked now and then."""

    def __init__(self, listed: InboxList, clock: Clock) -> None:
        self._list = listed
        self._clock = clock
        self._thread = DatabaseThread("inbox-watch", patience=_PATIENCE)
        self._known: tuple[datetime, InboxState | None] | None = None

    def state(self) -> InboxState | None:
        """How full the inbox is, or was some seconds ago; `None` if the database is away."""
        now = self._clock()
        if self._known is None or now - self._known[0] > _FRESH:
            try:
                self._known = now, self._thread.ask(self._list.state)
            except StoreError:
                self._known = now, None
        return self._known[1]

    def now(self) -> datetime:
        """The time by which it judges what is late."""
        return self._clock()

    @property
    def has_worker(self) -> bool:
        """Whether somebody does the work that is due, as far as is known."""
        state = self.state()
        return state is None or not is_unattended(state, self._clock())

    def show(self, metrics: Metrics) -> None:
        """Set the metrics of the inbox; without a database, which is one too, they stay."""
        state = self.state()
        metrics.database_up.set(0 if state is None else 1)
        if state is None:
            return
        waited = timedelta() if state.oldest is None else self._clock() - state.oldest
        metrics.inbox_waiting.set(state.waiting)
        metrics.inbox_dead.set(state.dead)
        metrics.advice_refused.set(state.refused)
        metrics.searches_failing.set(state.searches_failing)
        metrics.subscriptions_failing.set(state.failing)
        metrics.subscription_revivals.set(state.revivals)
        metrics.inbox_oldest.set(max(waited.total_seconds(), 0))


def is_unattended(state: InboxState, now: datetime) -> bool:
    """Whether work has been due for so long that nobody seems to do it."""
    return state.due is not None and now - state.due >= _LATE


def _among(numbers: tuple[int, ...] | None) -> tuple[Any, ...]:
    return () if numbers is None else (inbox_items.c.id.in_(numbers),)
