# SPDX-License-Identifier: Apache-2.0
"""The day on which each card that may be quiet was last shown, held in memory.

Only so many are: then those that were shown longest ago are forgotten, and those cards are shown
again. One takes about 140 bytes.
"""

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from itertools import islice
from threading import Lock

from cds_service.store.store import ShownDay

_MOST = 500_000
_MOST_WAITING = 100_000  # while the database is away


class ShownDays:
    """By a keyed hash of patient, rule and indicator; what is new waits to be written."""

    def __init__(self) -> None:
        self._days: dict[bytes, date] = {}  # in the order in which they were shown
        self._waiting: dict[ShownDay, None] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._days)

    def day(self, card: bytes) -> date | None:
        """The last day on which the card was shown."""
        return self._days.get(card)

    def show(self, cards: Iterable[bytes], day: date) -> None:
        """Note cards that are shown today; what was not known before waits to be written."""
        with self._lock:
            for card in cards:
                if self._days.get(card) != day:
                    self._note(card, day)
                    self._waiting[ShownDay(card, day)] = None
            self._limit()

    def add(self, shown: Iterable[ShownDay]) -> None:
        """Take in what is kept already."""
        with self._lock:
            for card, day in shown:
                known = self._days.get(card)
                if known is None or known < day:
                    self._note(card, day)
            self._limit()

    def forget(self, before: date) -> None:
        """Forget what was last shown before then."""
        with self._lock:
            self._days = {card: day for card, day in self._days.items() if day >= before}

    def take(self, at_most: int) -> tuple[ShownDay, ...]:
        """The first of those that wait to be written."""
        with self._lock:
            taken = tuple(islice(self._waiting, at_most))
            for day in taken:
                del self._waiting[day]
        return taken

    def give_back(self, shown: Iterable[ShownDay]) -> None:
        """Have wait again what could not be written."""
        with self._lock:
            self._waiting = {**dict.fromkeys(shown), **self._waiting}

    def _note(self, card: bytes, day: date) -> None:
        self._days.pop(card, None)
        self._days[card] = _same(day)

    def _limit(self) -> None:
        _drop_first(self._days, _MOST)
        _drop_first(self._waiting, _MOST_WAITING)


@lru_cache(maxsize=400)
def _same(day: date) -> date:
    """One object for each day: the database makes one for each row."""
    return day


def _drop_first(items: "dict[bytes, date] | dict[ShownDay, None]", most: int) -> None:
    """Drop the first ones where there are more than that; a tenth at once, for that takes time."""
    if len(items) > most:
        for key in list(islice(items, len(items) - most + most // 10)):
            del items[key]  # type: ignore[arg-type]
