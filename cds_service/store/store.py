# SPDX-License-Identifier: Apache-2.0
"""What is kept of cards and of the feedback about them, and what is asked of it.

Every method raises `StoreError` if the database does not answer. A card is joined to its feedback
when it is asked for, never when either is written: they may come in any order.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from sqlalchemy import Connection, Table, and_, case, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from cds_service.knowledge.model.pack import INDICATORS, Indicator
from cds_service.store.tables import cards_shown, feedback

_PURGED_AT_ONCE = 5000  # rows: a long transaction would keep feedback waiting


class Transactions(Protocol):
    """What a store needs of a database."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that is durable once it ends."""

    def close(self) -> None:
        """Close every connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCard:
    """A card that was sent; `subject` is a keyed hash of whom and what it was about."""

    client: str
    card: str
    rule: str
    version: str
    pack: str
    pack_version: str
    service: str
    hook: str
    indicator: Indicator
    shown: datetime
    subject: bytes | None


@dataclass(frozen=True, slots=True)
class NewFeedback:
    """An event that was not known before, and the rule whose card it is about, if that is known."""

    rule: str | None
    outcome: str


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
    """Cards shown and feedback, over an open database."""

    def __init__(self, database: Transactions) -> None:
        self.database = database

    def add_cards(self, cards: Iterable[ShownCard]) -> None:
        """Keep cards that were sent; the same card again changes nothing.

        A uuid that comes for a second subject (a client that repeats its hookInstance for another
        patient) silences neither: nothing tells which of the two was overridden.
        """
        rows = [asdict(card) for card in cards]
        if not rows:
            return
        with self.database.writing() as connection:
            adding = insert_into(cards_shown, connection)
            same = cards_shown.c.subject == adding.excluded.subject
            connection.execute(
                adding.on_conflict_do_update(
                    index_elements=["client", "card"],
                    set_={"subject": case((same, cards_shown.c.subject))},
                ),
                rows,
            )

    def add_feedback(
        self, items: Sequence[Feedback], *, client: str, service: str, now: datetime
    ) -> tuple[NewFeedback, ...]:
        """The events among these that are new; when this returns, all of them are on the disk.

        The same event of a client, which is its card, outcome and time, is kept once.
        """
        if not items:
            return ()
        rows = [_row(item, client, service, now) for item in items]
        with self.database.writing() as connection:
            added = connection.execute(
                insert_into(feedback, connection)
                .on_conflict_do_nothing()
                .returning(feedback.c.card, feedback.c.outcome),
                rows,
            ).all()
            known = _rules_of(connection, client, {card for card, _ in added})
        return tuple(NewFeedback(known.get(card), outcome) for card, outcome in added)

    def overridden(
        self, subjects: Iterable[bytes], *, since: datetime
    ) -> Mapping[bytes, Indicator]:
        """The subjects whose card was overridden, with the most severe indicator that was.

        An override counts from when it was received: the time that a client reports may be off.
        """
        question = (
            select(cards_shown.c.subject, cards_shown.c.indicator)
            .join(
                feedback,
                and_(
                    feedback.c.client == cards_shown.c.client,
                    feedback.c.card == cards_shown.c.card,
                ),
            )
            .where(
                cards_shown.c.subject.in_(list(subjects)),
                feedback.c.outcome == "overridden",
                feedback.c.received >= since,
            )
            .distinct()
        )
        with self.database.reading() as connection:
            rows = connection.execute(question).all()
        found: dict[bytes, Indicator] = {}
        for subject, indicator in rows:
            name = bytes(subject)
            found[name] = max(found.get(name, "info"), indicator, key=INDICATORS.index)
        return found

    def purge(self, *, before: datetime) -> int:
        """Remove feedback received and cards shown before then; how many rows went."""
        return self._purge(feedback, feedback.c.received, before) + self._purge(
            cards_shown, cards_shown.c.shown, before
        )

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    def _purge(self, table: Table, moment: Any, before: datetime) -> int:
        key = tuple_(*table.primary_key.columns)
        old = select(*table.primary_key.columns).where(moment < before).limit(_PURGED_AT_ONCE)
        removed = 0
        while True:
            with self.database.writing() as connection:
                gone = connection.execute(delete(table).where(key.in_(old))).rowcount
            removed += gone
            if gone < _PURGED_AT_ONCE:
                return removed


def insert_into(table: Table, connection: Connection) -> "postgresql.Insert | sqlite.Insert":
    """An INSERT that can say what to do about a row that is there already."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def _row(item: Feedback, client: str, service: str, now: datetime) -> dict[str, object]:
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
    }


def _rules_of(connection: Connection, client: str, cards: set[str]) -> Mapping[str, str]:
    if not cards:
        return {}
    rows = connection.execute(
        select(cards_shown.c.card, cards_shown.c.rule).where(
            cards_shown.c.client == client, cards_shown.c.card.in_(cards)
        )
    )
    return {row.card: row.rule for row in rows}
