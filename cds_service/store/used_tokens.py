# SPDX-License-Identifier: Apache-2.0
"""Every token is used once: on this machine at once, across machines when the database answers.

The processes of one machine share a file (`local_tokens.py`). Several machines share a PostgreSQL
database: it is asked for 50 ms at most, and not at all while it hangs. Without an answer the call
is let in, reported, and checked as soon as the database answers. With SQLite there is the file
alone: while it cannot be used, a call is let in and reported, and not checked later.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection
from concurrent.futures import Future
from datetime import datetime
from hashlib import sha256
from threading import Lock
from typing import Final, Literal, TypeAlias

from sqlalchemy import delete

from cds_service.errors import StoreError
from cds_service.store.local_tokens import LocalTokens
from cds_service.store.store import Store, insert_into
from cds_service.store.tables import tokens_used
from cds_service.store.thread import DatabaseThread

PATIENCE: Final = 0.05  # seconds
_MOST_WAITING = 100_000

Unsure: TypeAlias = Literal["unchecked", "replayed"]
"""What is reported of a call that was let in: nobody knows yet, or its token was used before."""


Report: TypeAlias = Callable[[Unsure], object]
"""What is done about a token that was let in and could not be checked."""


class TokenReplay:
    """Remembers the `jti` of each issuer until the token could no longer be used anyway."""

    def __init__(self, local: LocalTokens, across: "AcrossMachines | None", report: Report) -> None:
        self._local = local
        self._across = across
        self._report = report

    @property
    def may_wait(self) -> bool:
        """Whether the database of several machines is asked, or the file was not quick lately."""
        return self._across is not None or self._local.is_slow

    def first_use(self, issuer: str, token_id: str, *, until: datetime, now: datetime) -> bool:
        """Whether this token was not used before, as far as is known; from now on it was.

        Of several calls with the same token to one machine exactly one gets `True`, as long as the
        file of the machine can be used.
        """
        text = f"{len(issuer)}:{issuer}{token_id}"
        name = sha256(text.encode("utf-8", "surrogatepass")).digest()
        try:
            if not self._local.add(name, until=until, now=now):
                return False
        except StoreError:
            if self._across is None:
                self._report("unchecked")
                return True
        return self._across is None or self._across.first_use(name, until=until, now=now)

    def close(self) -> None:
        """End what waits for the database, with a last attempt."""
        if self._across is not None:
            self._across.close()


class AcrossMachines:
    """Asks the database, which other machines share, whether a token was used before."""

    def __init__(self, store: Store, report: Report) -> None:
        self._uses = UncheckedUses(store)
        self._thread = DatabaseThread("tokens", self._uses.check, patience=PATIENCE)
        self._report = report

    def first_use(self, name: bytes, *, until: datetime, now: datetime) -> bool:
        """Whether the token was not used before, or that is not known in time."""
        asked = self._uses.add(name, until, now)
        if not self._thread.is_held_up:
            self._thread.submit(self._uses.check)
            try:
                return asked.result(PATIENCE)
            except TimeoutError:
                pass
        self._report("unchecked")
        asked.add_done_callback(self._report_late)
        return True

    def close(self) -> None:
        """End the thread, with a last attempt at what is not checked yet."""
        self._thread.finish()

    def _report_late(self, asked: "Future[bool]") -> None:
        if not asked.cancelled() and not asked.result():
            self._report("replayed")


class UncheckedUses:
    """Uses that the database does not know yet, each with the future of its answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: OrderedDict[bytes, tuple[datetime, Future[bool]]] = OrderedDict()
        self._now: datetime | None = None
        self._lock = Lock()

    def add(self, name: bytes, until: datetime, now: datetime) -> "Future[bool]":
        """Have a use checked and recorded; `True` will say that it was the first."""
        asked: Future[bool] = Future()
        with self._lock:
            self._now = now
            if name in self._waiting:  # the first use is not checked yet; this one is not the first
                asked.set_result(False)
                return asked
            self._waiting[name] = until, asked
            if len(self._waiting) > _MOST_WAITING:
                self._waiting.popitem(last=False)[1][1].cancel()
        return asked

    def check(self) -> None:
        """Record all that wait, and tell each whether it was the first.

        If the database does not answer they go on waiting, but for those whose token has ended.
        """
        with self._lock:
            taken, self._waiting, now = self._waiting, OrderedDict(), self._now
        if not taken or now is None:
            return
        try:
            first = self._record({name: until for name, (until, _) in taken.items()}, now)
        except StoreError:
            with self._lock:
                self._waiting = (
                    OrderedDict((name, use) for name, use in taken.items() if use[0] >= now)
                    | self._waiting
                )
            return
        for name, (_, asked) in taken.items():
            asked.set_result(name in first)

    def _record(self, uses: dict[bytes, datetime], now: datetime) -> Collection[bytes]:
        """Those of the names that were not there; now all are."""
        # In one order: two machines that record the same tokens do not wait for each other.
        rows = [{"name": name, "until": uses[name]} for name in sorted(uses)]
        with self._store.database.writing() as connection:
            connection.execute(delete(tokens_used).where(tokens_used.c.until < now))
            added = connection.execute(
                insert_into(tokens_used, connection)
                .on_conflict_do_nothing()
                .returning(tokens_used.c.name),
                rows,
            ).scalars()
            return {bytes(name) for name in added}


def open_replay(store: Store, report: Report) -> TokenReplay:
    """What remembers the tokens that were used, for every process that has this database."""
    database = store.database
    across = None if database.is_sqlite else AcrossMachines(store, report)
    return TokenReplay(LocalTokens(database.local_file("tokens")), across, report)
