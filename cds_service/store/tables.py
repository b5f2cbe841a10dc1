# SPDX-License-Identifier: Apache-2.0
"""The tables. A change here needs a migration beside it; a test compares the two."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Date,
    DateTime,
    Dialect,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware in Python, UTC in the database, whatever zone either lives in."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """SQLite keeps no zone, so every instant goes in as UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """What comes out without a zone went in as UTC."""
        if value is None:
            return None
        found: datetime = value
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


# How many cards were shown: one row a day (UTC), client, rule and version, service, hook and
# indicator. `client` is the issuer of a registered client, else "" in open mode.
card_counts = Table(
    "card_counts",
    metadata,
    Column("day", Date, primary_key=True),
    Column("client", Text, primary_key=True),
    Column("pack", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("hook", Text, primary_key=True),
    Column("indicator", Text, primary_key=True),
    Column("cards", Integer, nullable=False),
)

# One row for each card that was sent before uuids carried its rule: only read, and purged in time.
cards_shown = Table(
    "cards_shown",
    metadata,
    Column("client", Text, primary_key=True),
    Column("card", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("pack", Text, nullable=False),
    Column("pack_version", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("hook", Text, nullable=False),
    Column("indicator", Text, nullable=False),
    Column("shown", UtcDateTime, nullable=False),
    Column("subject", LargeBinary(32)),
    Index("cards_shown_shown", "shown"),
)

# One row an event that a client reported. The same card may be reported many times (CDS Hooks
# 2.0.1, "Feedback"); the same event counts once. What the card was is read from its uuid, and empty
# if nobody knows it; `subject` is a keyed hash of client, patient, rule and results, or empty.
feedback = Table(
    "feedback",
    metadata,
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), Identity(always=True), primary_key=True
    ),
    Column("client", Text, nullable=False),
    Column("card", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("happened", UtcDateTime, nullable=False),
    Column("service", Text, nullable=False),
    Column("received", UtcDateTime, nullable=False),
    Column("suggestions", JSON(none_as_null=True)),
    Column("reason_code", Text),
    Column("reason_system", Text),
    Column("reason_display", Text),
    Column("comment", Text),
    Column("pack", Text),
    Column("rule", Text),
    Column("version", Text),
    Column("indicator", Text),
    Column("subject", LargeBinary(6)),
    UniqueConstraint("client", "card", "outcome", "happened", name="feedback_event"),
    Index("feedback_received", "received"),
)

# One row for each day on which a card that may be quiet was shown. `card` is a keyed hash of the
# client, patient, rule and indicator.
quiet_cards = Table(
    "quiet_cards",
    metadata,
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), Identity(always=True), primary_key=True
    ),
    Column("card", LargeBinary(8), nullable=False),
    Column("day", Date, nullable=False),
    UniqueConstraint("card", "day", name="quiet_cards_shown"),
    Index("quiet_cards_day", "day"),
)

# One row a token that was used and could still be sent again.
tokens_used = Table(
    "tokens_used",
    metadata,
    Column("name", LargeBinary(32), primary_key=True),
    Column("until", UtcDateTime, nullable=False),
    Index("tokens_used_until", "until"),
)
