# SPDX-License-Identifier: Apache-2.0
"""What is in memory, brought in line with the database by one thread of each process.

Overrides are loaded at the start, known at once to the process that takes them in, and read twice
a second by the others. So is when cards that may be quiet were last shown (`quiet_records.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from cds_service.clock import Clock, stopwatch
from cds_service.errors import StoreError
from cds_service.log import log_crash
from cds_service.memory.card_uuid import CardUuids
from cds_service.memory.counts import CardCounts
from cds_service.memory.newest_ids import NewestIds
from cds_service.memory.overrides import Overrides
from cds_service.memory.quiet_records import QuietRecords
from cds_service.store.store import (
    CardOrigin,
    Feedback,
    NewFeedback,
    Override,
    RuleVersion,
    Store,
)

_READ_AGAIN = 60_000  # milliseconds; no transaction takes as long
_READ_ALL = 60 * 60_000  # what was removed from the database, or is too old, is forgotten


class CardRecords:
    """Counts and overrides between memory and database; every method but `load` for one thread.

    `quiet` brings what was shown of quiet cards, if that is remembered; `failed` says whether the
    database did not answer the last time.
    """

    def __init__(
        self,
        store: Store,
        uuids: CardUuids,
        rules: Iterable[RuleVersion],
        clock: Clock,
        *,
        silence: timedelta,
        kept: timedelta,
        quiet: QuietRecords | None = None,
    ) -> None:
        self.store = store
        self.counts = CardCounts()
        self.overrides = Overrides()
        self.quiet = quiet
        self.failed = False
        self._uuids = uuids
        self._rules = tuple(rules)
        self._clock = clock
        self._silence = silence
        self._kept = kept
        self._ids = NewestIds(again=_READ_AGAIN)
        self._since_all = stopwatch()
        self._purged: date | None = None

    def load(self) -> None:
        """Read every override in force, and what may be quiet; raises `StoreError`."""
        if self.quiet is not None:
            self.quiet.load()
        if self._silence:
            self._load_overrides()

    def _load_overrides(self) -> None:
        self._ids = NewestIds(self.store.newest_feedback(), again=_READ_AGAIN)
        self._since_all = stopwatch()
        self.overrides.replace(self.store.overrides(since=self._clock() - self._silence))

    def refresh(self) -> None:
        """Write what was counted, read the feedback to other processes, remove what is too old.

        A database that does not answer is asked again the next time; its failure is logged once.
        """
        try:
            self._write_counts()
            self._follow()
            if self.quiet is not None:
                self.quiet.refresh()
            self._purge()
        except StoreError as error:
            if not self.failed:
                log_crash(error)
            self.failed = True
        else:
            self.failed = False

    def take(self, items: Sequence[Feedback], client: str, service: str) -> tuple[NewFeedback, ...]:
        """Keep feedback; what is new of it is on the disk then. Raises `StoreError`."""
        now = self._clock()
        origins = self._origins({item.card for item in items}, client)
        new = self.store.add_feedback(items, origins, client=client, service=service, now=now)
        self.overrides.add(
            Override(client, feedback.origin, now)
            for feedback in new
            if feedback.outcome == "overridden"
            and feedback.origin is not None
            and feedback.origin.subject
        )
        return new

    def _origins(self, cards: Iterable[str], client: str) -> Mapping[str, CardOrigin]:
        """What the cards were: by their uuids, or by the row that each card had in the past."""
        found = {card: self._uuids.read(card, client, self._rules) for card in cards}
        unknown = [card for card, origin in found.items() if origin is None]
        if unknown:
            shown = self.store.rules_shown()  # rules of other versions among them
            found |= {card: self._uuids.read(card, client, shown) for card in unknown}
            found |= self.store.shown_one_by_one(client, unknown)
        return {card: origin for card, origin in found.items() if origin is not None}

    def _write_counts(self) -> None:
        counts = self.counts.take()
        try:
            self.store.add_counts(counts)
        except StoreError:
            self.counts.give_back(counts)
            raise

    def _follow(self) -> None:
        if not self._silence:
            return
        newest = self.store.newest_feedback()
        if newest < self._ids.newest or self._since_all() > _READ_ALL:
            self._load_overrides()
            return
        since = self._clock() - self._silence
        self.overrides.add(self.store.overrides(since=since, after=self._ids.after))
        self._ids.add(newest)

    def _purge(self) -> None:
        """Once a day, so much in each round that feedback need not wait."""
        today = self._clock().date()
        if self._purged != today and not self.store.purge_some(before=self._clock() - self._kept):
            self._purged = today
