# SPDX-License-Identifier: Apache-2.0
"""What is kept of cards and of the feedback about them, and what is asked of it.

Every method raises `StoreError` if the database does not answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from sqlalchemy import Connection, Table, delete, func, select, tuple_
from sqlalchemy.dialects import sqlite

from cds_service.knowledge.model.pack import Indicator
from cds_service.store.files import LocalFile
from cds_service.store.tables import card_counts, cards_shown, feedback, quiet_cards

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

SUBJECT_BYTES = 6  # of the hash of whom and what a card was about
QUIET_CARD_BYTES = 8  # of the hash of whom a card that may be quiet was about, and of its rule
_PURGED_AT_ONCE = 5000  # rows: a long transaction would keep feedback waiting


class Transactions(Protocol):
    """What a store needs of a database."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that is durable once it ends."""

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite, which one machine has for itself."""

    def local_file(self, kind: str) -> LocalFile:
        """A file that the processes of this machine share which have this database."""

    def check_file(self) -> None:
        """Raise `StoreError` if the database is no longer where it was opened."""

    def close(self) -> None:
        """Close every connection."""


class RuleVersion(NamedTuple):
    """A rule as it was worded in one version."""

    pack: str
    rule: str
    version: str


class CardOrigin(NamedTuple):
    """What a card was: its rule, how severe it was, and a keyed hash of whom and what about.

    The `subject` is empty where no key was set.
    """

    rule: RuleVersion
    indicator: Indicator
    subject: bytes


class ShownCards(NamedTuple):
    """Cards that are counted together."""

    day: date  # in UTC
    client: str
    rule: RuleVersion
    service: str
    hook: str
    indicator: Indicator


class Override(NamedTuple):
    """A card that a clinician of the client overrode."""

    client: str
    origin: CardOrigin
    received: datetime


class ShownDay(NamedTuple):
    """A card that may be quiet, by a keyed hash, and a day on which it was shown."""

    card: bytes
    day: date


class NewFeedback(NamedTuple):
    """An event that was not known before, and what its card was, if that is known."""

    outcome: str
    origin: CardOrigin | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One event: a suggestion of a card was accepted, or the card was overridden."""

    card: str  # a UUID in lower case, or whatever else a client calls it
    outcome: Literal["accepted", "overridden"]
    happened: datetime
    suggestions: tuple[str, ...] = ()
    reason_code: str | None = None
    reason_system: str | None = None
    reason_display: str | None = None
    comment: str | None = None

    def __repr__(self) -> str:
        """The event without what a clinician wrote."""
        return f"Feedback({self.outcome})"


class Store:
    """How many cards were shown, and feedback, over an open database."""

    def __init__(self, database: Transactions) -> None:
        self.database = database

    def add_counts(self, counts: Mapping[ShownCards, int]) -> None:
        """Add to how many cards were shown."""
        if not counts:
            return
        # In one order: two processes that add to the same rows do not wait for each other.
        rows = [_count_row(shown, counts[shown]) for shown in sorted(counts)]
        with self.database.writing() as connection:
            adding = insert_into(card_counts, connection)
            total = card_counts.c.cards + adding.excluded.cards
            connection.execute(
                adding.on_conflict_do_update(
                    index_elements=card_counts.primary_key.columns, set_={"cards": total}
                ),
                rows,
            )

    def add_feedback(
        self,
        items: Sequence[Feedback],
        origins: Mapping[str, CardOrigin],
        *,
        client: str,
        service: str,
        now: datetime,
    ) -> tuple[NewFeedback, ...]:
        """The events among these that are new; when this returns, all of them are on the disk.

        `origins` says what the cards were, as far as that is known. The same event of a client,
        which is its card, outcome and time, is kept once.
        """
        if not items:
            return ()
        rows = [_row(item, origins.get(item.card), client, service, now) for item in items]
        with self.database.writing() as connection:
            added = connection.execute(
                insert_into(feedback, connection)
                .on_conflict_do_nothing()
                .returning(feedback.c.card, feedback.c.outcome),
                rows,
            ).all()
        return tuple(NewFeedback(outcome, origins.get(card)) for card, outcome in added)

    def overrides(self, *, since: datetime, after: int = 0) -> tuple[Override, ...]:
        """Overrides received since then whose card is known; those after the id `after`."""
        table = feedback.c
        question = select(
            table.client,
            table.pack,
            table.rule,
            table.version,
            table.indicator,
            table.subject,
            table.received,
        ).where(
            table.outcome == "overridden",
            table.subject.is_not(None),
            table.received >= since,
            table.id > after,
        )
        with self.database.reading() as connection:
            rows = connection.execute(question).all()
        return tuple(
            Override(
                row.client, CardOrigin(_rule(row), row.indicator, bytes(row.subject)), row.received
            )
            for row in rows
        )

    def newest_feedback(self) -> int:
        """The highest id among feedback; 0 if there is none."""
        with self.database.reading() as connection:
            return connection.execute(select(func.max(feedback.c.id))).scalar_one() or 0

    def rules_shown(self) -> tuple[RuleVersion, ...]:
        """Every version of a rule of which cards were counted."""
        table = card_counts.c
        with self.database.reading() as connection:
            rows = connection.execute(select(table.pack, table.rule, table.version).distinct())
            return tuple(_rule(row) for row in rows)

    def shown_one_by_one(self, client: str, cards: Iterable[str]) -> Mapping[str, CardOrigin]:
        """The rules of cards that were shown before uuids carried them: each had a row then."""
        question = select(cards_shown).where(
            cards_shown.c.client == client, cards_shown.c.card.in_(list(cards))
        )
        with self.database.reading() as connection:
            rows = connection.execute(question).all()
        return {
            row.card: CardOrigin(
                _rule(row),
                row.indicator,
                bytes(row.subject or b"")[:SUBJECT_BYTES],
            )
            for row in rows
        }

    def add_shown_days(self, shown: Iterable[ShownDay]) -> None:
        """Keep the days on which cards that may be quiet were shown."""
        # In one order: two processes that add the same rows do not wait for each other.
        rows = [day._asdict() for day in sorted(shown)]
        if not rows:
            return
        with self.database.writing() as connection:
            adding = insert_into(quiet_cards, connection).on_conflict_do_nothing()
            connection.execute(adding, rows)

    def shown_days(
        self, *, since: date, after: int = 0, at_most: int
    ) -> tuple[tuple[ShownDay, ...], int]:
        """The first days from then on with an id above `after`, and the highest id among them."""
        table = quiet_cards.c
        question = (
            select(table.id, table.card, table.day)
            .where(table.id > after, table.day >= since)
            .order_by(table.id)
            .limit(at_most)
        )
        with self.database.reading() as connection:
            rows = connection.execute(question).all()
        found = tuple(ShownDay(bytes(card), day) for _, card, day in rows)
        return found, rows[-1].id if rows else after

    def newest_shown_day(self) -> int:
        """The highest id among the days on which cards were shown; 0 if there is none."""
        with self.database.reading() as connection:
            return connection.execute(select(func.max(quiet_cards.c.id))).scalar_one() or 0

    def purge(self, *, before: datetime) -> int:
        """Remove feedback received and cards shown before then; how many rows went."""
        total = 0
        while gone := self.purge_some(before=before) + self.purge_shown_days(before=before.date()):
            total += gone
        return total

    def purge_some(self, *, before: datetime) -> int:
        """Remove at most some thousand of those rows, but no shown days; how many went."""
        return (
            self._purge(feedback, feedback.c.received, before)
            + self._purge(cards_shown, cards_shown.c.shown, before)
            + self._purge(card_counts, card_counts.c.day, before.date())
        )

    def purge_shown_days(self, *, before: date) -> int:
        """Remove at most some thousand of the shown days before then; how many went."""
        return self._purge(quiet_cards, quiet_cards.c.day, before)

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    def _purge(self, table: Table, moment: Any, before: date) -> int:
        key = tuple_(*table.primary_key.columns)
        old = select(*table.primary_key.columns).where(moment < before).limit(_PURGED_AT_ONCE)
        with self.database.writing() as connection:
            return connection.execute(delete(table).where(key.in_(old))).rowcount


def insert_into(table: Table, connection: Connection) -> "postgresql.Insert | sqlite.Insert":
    """An INSERT that can say what to do about a row that is there already."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # 2 MB in each process

    return postgresql.insert(table)


def _rule(row: Any) -> RuleVersion:
    return RuleVersion(row.pack, row.rule, row.version)


def _count_row(shown: ShownCards, cards: int) -> dict[str, object]:
    row = shown._asdict()
    return {**row, **row.pop("rule")._asdict(), "cards": cards}


def _row(
    item: Feedback, origin: CardOrigin | None, client: str, service: str, now: datetime
) -> dict[str, object]:
    known: dict[str, object] = dict.fromkeys(("pack", "rule", "version", "indicator", "subject"))
    if origin is not None:
        known |= origin.rule._asdict()
        known |= {"indicator": origin.indicator, "subject": origin.subject or None}
    return {
        "client": client,
        "card": item.card,
        "outcome": item.outcome,
        "happened": item.happened,
        "service": service,
        "received": now,
        "suggestions": list(item.suggestions) or None,
        "reason_code": item.reason_code,
        "reason_system": item.reason_system,
        "reason_display": item.reason_display,
        "comment": item.comment,
        **known,
    }
