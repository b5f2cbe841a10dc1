# SPDX-License-Identifier: Apache-2.0
"""When cards that may be quiet were last shown, in line with the database.

They are loaded at the start, known at once to the process that shows one, written twice a second
behind the answers, and read as often by the other processes. A row that was missed costs nothing
but a card that is shown once more.
"""

from datetime import date, timedelta

from cds_service.clock import Clock
from cds_service.errors import StoreError
from cds_service.memory.newest_ids import NewestIds
from cds_service.memory.open_tasks import OpenTasks
from cds_service.memory.shown_days import ShownDays
from cds_service.store.store import Store

_READ_AGAIN = 10_000  # milliseconds; statements end after half of that
_AT_ONCE = 10_000  # rows: what is waited for is feedback


class QuietRecords:
    """Shown cards between memory and database; every method but `load` is for one thread.

    `days` is the longest time that a card is quiet.
    """

    def __init__(
        self, store: Store, clock: Clock, days: int, tasks: OpenTasks | None = None
    ) -> None:
        self.shown_days = ShownDays()
        self._store = store
        self._clock = clock
        self._days = days
        self._tasks = tasks
        self._ids = NewestIds(again=_READ_AGAIN)
        self._purged: date | None = None

    def load(self) -> None:
        """Read all that may still keep a card quiet; raises `StoreError`."""
        newest = self._store.newest_shown_day()
        self._read(after=0)
        self._ids = NewestIds(newest, again=_READ_AGAIN)
        if self._tasks is not None:
            self._tasks.load()

    def refresh(self) -> None:
        """Write what was shown, read what others have shown, remove what is too old.

        Raises `StoreError`; what could not be written is written the next time.
        """
        self._write()
        self._follow()
        if self._tasks is not None:
            self._tasks.refresh()
        self._purge()

    def _write(self) -> None:
        shown = self.shown_days.take(_AT_ONCE)
        try:
            self._store.add_shown_days(shown)
        except StoreError:
            self.shown_days.give_back(shown)
            raise

    def _follow(self) -> None:
        newest = self._store.newest_shown_day()
        if newest < self._ids.newest:  # another database, such as one of a backup
            self.load()
            return
        after = self._ids.after
        if newest > after:
            self._read(after=after)
        self._ids.add(newest)

    def _read(self, *, after: int) -> None:
        shown, last = self._store.shown_days(since=self._oldest(), after=after, at_most=_AT_ONCE)
        self.shown_days.add(shown)
        while len(shown) == _AT_ONCE:
            shown, last = self._store.shown_days(since=self._oldest(), after=last, at_most=_AT_ONCE)
            self.shown_days.add(shown)

    def _purge(self) -> None:
        """Once a day, so much in each round that feedback need not wait."""
        today = self._clock().date()
        if self._purged == today:
            return
        self.shown_days.forget(self._oldest())
        if not self._store.purge_shown_days(before=self._oldest()):
            self._purged = today

    def _oldest(self) -> date:
        """A day more than needed: days are those of the site, and this one is in UTC."""
        return self._clock().date() - timedelta(days=self._days + 1)
