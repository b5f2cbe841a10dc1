# SPDX-License-Identifier: Apache-2.0
"""The Subscriptions that this service registered: one row each in the table `subscriptions`.

A row is there before its Subscription, so that the handshake finds it. While a Subscription is
being written again two secrets count, until the server has confirmed the new one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, Row, delete, insert, select, text, update

from cds_service.fhir_client.servers import PayloadContent
from cds_service.store.store import Transactions
from cds_service.store.tables import inbox_queue, subscriptions
from cds_service.subscriptions.work import SEARCH

SubscriptionKind: TypeAlias = Literal["criteria", "topic", "r5"]

NOT_SENT: Final = "not-sent"  # the status before a server has confirmed a Subscription
OFF: Final = "off"
_BEATS: Final = 3  # heartbeats that may be missing: a server may be late, and so may a network


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A Subscription of ours on a server; `path` is the unguessable end of its endpoint.

    `what` is the criteria, or the canonical URL of the topic; `remote_id` is empty until the server
    has given an id; `status` is the last one that the server gave, or `NOT_SENT`. `switched_off` is
    when somebody here switched it off, which no status says, for a server may set it off by itself.
    `revived` is when the worker last wrote it again, `revivals` how often since it was well.
    """

    path: str = field(repr=False)
    server: str
    kind: SubscriptionKind
    content: PayloadContent
    what: str
    remote_id: str = ""
    status: str = NOT_SENT
    secret: bytes | None = field(default=None, repr=False)
    secret_before: bytes | None = field(default=None, repr=False)
    hmac_key: bytes | None = field(default=None, repr=False)
    numbered: bool = True
    last_event: int | None = None
    last_received: datetime | None = None
    heartbeat_seconds: int | None = None
    searched_until: datetime | None = None
    expires: datetime | None = None
    created: datetime
    switched_off: datetime | None = None
    revived: datetime | None = None
    revivals: int = 0

    def is_silent(self, now: datetime, since: datetime | None = None) -> bool:
        """Whether its heartbeat was not heard for long, though it could have been `since` then."""
        if self.switched_off is not None or self.heartbeat_seconds is None:
            return False
        times = (self.created, self.last_received, self.revived, since)
        heard = max(time for time in times if time is not None)
        return now - heard > _BEATS * timedelta(seconds=self.heartbeat_seconds)


class RegistrationTable:
    """The registered Subscriptions, over an open database; methods raise `StoreError`."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def all(self, server: str | None = None) -> tuple[Registration, ...]:
        """Every registration, of one server if its base is given, oldest first."""
        table = subscriptions.c
        question = select(subscriptions).order_by(table.created, table.path)
        if server is not None:
            question = question.where(table.server == server)
        with self._database.reading() as connection:
            return tuple(_registration(row) for row in connection.execute(question))

    def at(self, path: str) -> Registration | None:
        """The registration with this path."""
        with self._database.reading() as connection:
            return _at(connection, path)

    def reserve(self, wanted: Registration) -> Registration:
        """The row of this Subscription: the one there is, else `wanted`, which is added.

        A server has one Subscription by criteria, and one for each topic; of two processes that
        reserve at once one adds the row.
        """
        with self._locked() as connection:
            for row in connection.execute(
                select(subscriptions)
                .where(subscriptions.c.server == wanted.server, subscriptions.c.kind == wanted.kind)
                .order_by(subscriptions.c.created)
            ):
                found = _registration(row)
                if wanted.kind == "criteria" or found.what == wanted.what:
                    return found
            connection.execute(insert(subscriptions).values(_values(wanted)))
        return wanted

    def begin_writing(
        self,
        wanted: Registration,
        secret: bytes,
        *,
        known: bytes | None = None,
        switches_on: bool = True,
    ) -> Registration:
        """Take a new secret beside the one in force, and what else is `wanted` of the row.

        One that was switched off stays so unless this `switches_on`; the row that is returned says
        it. `known` is the hash of the secret that the server holds, where it shows that. Otherwise,
        if an earlier write was never confirmed, the secret before it counts as the one in force.
        """
        with self._locked() as connection:
            now = _at(connection, wanted.path)
            kept = None if now is None else now.secret_before or now.secret
            if now is not None and known is not None and known in {now.secret, now.secret_before}:
                kept = known
            values = {
                "content": wanted.content,
                "what": wanted.what,
                "numbered": wanted.numbered,
                "hmac_key": wanted.hmac_key,
                "secret": secret,
                "secret_before": kept,
            }
            if now is not None and (now.switched_off is not None or now.status == NOT_SENT):
                values |= {"created": wanted.created, "last_received": None}  # it begins anew
            if switches_on:
                values |= {"switched_off": None}
            _change(connection, wanted.path, values)
            found = _at(connection, wanted.path)
        return wanted if found is None else found

    def confirm(
        self,
        path: str,
        *,
        secret: bytes,
        remote_id: str,
        status: str,
        heartbeat_seconds: int | None,
        expires: datetime | None,
    ) -> None:
        """The server has confirmed the Subscription with this secret: the one before is over.

        A Subscription with another id counts its events anew.
        """
        values: dict[str, Any] = {
            "remote_id": remote_id,
            "status": status,
            "heartbeat_seconds": heartbeat_seconds,
            "expires": expires,
        }
        with self._locked() as connection:
            now = _at(connection, path)
            if now is not None and now.secret == secret:  # else a later write is on its way
                values["secret_before"] = None
            if now is not None and now.remote_id not in {"", remote_id}:
                values |= {"last_event": None, "missing": None, "last_received": None}
            _change(connection, path, values)

    def forget(self, path: str) -> None:
        """Remove a row whose Subscription no server ever took."""
        table = subscriptions.c
        with self._database.writing() as connection:
            connection.execute(
                delete(subscriptions).where(table.path == path, table.remote_id == "")
            )

    def note_status(self, path: str, status: str) -> None:
        """Keep what the server says of the Subscription now."""
        with self._database.writing() as connection:
            _change(connection, path, {"status": status})

    def switch_off(self, path: str, now: datetime) -> None:
        """Note that somebody here wants no more of the Subscription."""
        with self._database.writing() as connection:
            _change(connection, path, {"switched_off": now})

    def note_revival(self, path: str, revived: datetime | None, revivals: int) -> None:
        """Keep when a Subscription was written again, and how often since it was well."""
        with self._database.writing() as connection:
            _change(connection, path, {"revived": revived, "revivals": revivals})

    def failed_searches(self, path: str) -> int:
        """How often the search for what this Subscription missed has failed since it worked."""
        table = inbox_queue.c
        question = select(table.attempts).where(table.patient == f"{SEARCH}{path}")
        with self._database.reading() as connection:
            return connection.execute(question).scalar() or 0

    @contextmanager
    def _locked(self) -> Iterator[Connection]:
        """A transaction that changes the table alone; SQLite has one writer anyway."""
        with self._database.writing() as connection:
            if not self._database.is_sqlite:
                connection.execute(text("LOCK TABLE subscriptions IN SHARE ROW EXCLUSIVE MODE"))
            yield connection


def _at(connection: Connection, path: str) -> Registration | None:
    row = connection.execute(select(subscriptions).where(subscriptions.c.path == path)).first()
    return None if row is None else _registration(row)


def _change(connection: Connection, path: str, values: dict[str, Any]) -> None:
    connection.execute(update(subscriptions).where(subscriptions.c.path == path).values(**values))


def _registration(row: Row[Any]) -> Registration:
    found = row._asdict()
    return Registration(**{name: _plain(found[name]) for name in Registration.__slots__})


def _values(registration: Registration) -> dict[str, Any]:
    return {name: getattr(registration, name) for name in Registration.__slots__}


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value
