# SPDX-License-Identifier: Apache-2.0
"""How results arrive: the Subscriptions, the inbox and the last decisions, for people.

No server is asked: it is what the database has.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from cds_service.clock import Clock
from cds_service.explanation.view import View
from cds_service.fhir_client.servers import Servers
from cds_service.knowledge.model.pack import Pack
from cds_service.store.store import Transactions
from cds_service.store.thread import DatabaseThread
from cds_service.subscriptions.decision_list import DecisionList, DecisionPage, Sees, nobody
from cds_service.subscriptions.inbox_list import InboxList, InboxState
from cds_service.subscriptions.registration import Registration, RegistrationTable

MOST: Final = 50  # decisions on the page
_PATIENCE: Final = 2.0  # seconds
_FRESH: Final = timedelta(seconds=2)
_LONGEST_STATE: Final = 40  # characters; it is the server's own text


class SubscriptionView(View, frozen=True, kw_only=True):
    """A registered Subscription, and how many of its items wait.

    `name` and `write_back` are those of the servers file, empty if it does not list the server, and
    `state` the last one that the server gave. It `is_silent` if its heartbeat was not heard for
    long; `revivals` is how often the worker wrote it again since it was well.
    """

    server: str
    name: str = ""
    write_back: str = ""
    subscription: str = ""
    kind: str
    topic: str = ""
    content: str
    state: str
    created: datetime
    last_heard: datetime | None = None
    heartbeat_seconds: int | None = None
    is_silent: bool = False
    expires: datetime | None = None
    switched_off: datetime | None = None
    revivals: int = 0
    waiting: int
    oldest: datetime | None = None
    dead: int


class InboxView(View, frozen=True, kw_only=True):
    """The inbox as a whole; `refused` are those of them that are advice which a server refused."""

    waiting: int
    oldest: datetime | None = None
    dead: int
    refused: int


class ArrivalsView(View, frozen=True, kw_only=True):
    """Everything, as it was at a time; `with_patients` says that the reader may see patients."""

    at: datetime
    subscriptions: tuple[SubscriptionView, ...]
    inbox: InboxView
    decided: DecisionPage
    with_patients: bool = False


class Overview:
    """Reads it; for those who ask often the database is asked now and then."""

    def __init__(
        self, database: Transactions, packs: Iterable[Pack], servers: Servers, clock: Clock
    ) -> None:
        self._registrations = RegistrationTable(database)
        self._inbox = InboxList(database)
        self._decisions = DecisionList(database, packs)
        self._servers = servers
        self._clock = clock
        self._thread = DatabaseThread("overview", patience=_PATIENCE)
        self._known: ArrivalsView | None = None

    def without_patients(self) -> ArrivalsView:
        """What it is, or was some seconds ago; raises `StoreError` if the database is away."""
        now = self._clock()
        if self._known is None or now - self._known.at > _FRESH:
            self._known = self._thread.ask(lambda: self._read(now, nobody, shows=False))
        return self._known

    def with_patients(self, sees: Sees) -> ArrivalsView:
        """The same with the patients of the servers whose patients the reader may see."""
        now = self._clock()
        return self._thread.ask(lambda: self._read(now, sees, shows=True))

    def _read(self, now: datetime, sees: Sees, *, shows: bool) -> ArrivalsView:
        of_each, whole = self._inbox.by_subscription(), self._inbox.state()
        return ArrivalsView(
            at=now,
            subscriptions=tuple(
                self._subscription(row, of_each.get(row.path), now)
                for row in self._registrations.all()
            ),
            inbox=InboxView(
                waiting=whole.waiting, oldest=whole.oldest, dead=whole.dead, refused=whole.refused
            ),
            decided=self._decisions.newest(MOST, sees=sees),
            with_patients=shows,
        )

    def _subscription(
        self, row: Registration, state: InboxState | None, now: datetime
    ) -> SubscriptionView:
        server = self._servers.find(row.server)
        return SubscriptionView(
            server=row.server,
            name=(server.name if server is not None else None) or "",
            write_back="" if server is None else server.subscriptions.write_back,
            subscription=f"Subscription/{row.remote_id}" if row.remote_id else "",
            kind=row.kind,
            topic="" if row.kind == "criteria" else row.what,
            content=row.content,
            state=row.status[:_LONGEST_STATE],
            created=row.created,
            last_heard=row.last_received,
            heartbeat_seconds=row.heartbeat_seconds,
            is_silent=row.is_silent(now),
            expires=row.expires,
            switched_off=row.switched_off,
            revivals=row.revivals,
            waiting=0 if state is None else state.waiting,
            oldest=None if state is None else state.oldest,
            dead=0 if state is None else state.dead,
        )
