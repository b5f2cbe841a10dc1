# SPDX-License-Identifier: Apache-2.0
"""The tables. A change here needs a migration beside it; a test compares the two.

The condition of an index over some of the rows is in its migration alone, and a comment says it
here: SQLAlchemy imports the whole dialect of PostgreSQL for it, in each process.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
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
    text,
)

metadata = MetaData()

_NUMBER = BigInteger().with_variant(Integer, "sqlite")


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
    Column("id", _NUMBER, Identity(always=True), primary_key=True),
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
    Column("id", _NUMBER, Identity(always=True), primary_key=True),
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

# One row a Subscription that we registered. `path` is the unguessable end of its endpoint; `what`
# the criteria or the canonical of the topic; `missing` the ranges of event numbers that were
# skipped and may still come; `searched_until` how far searches have gone; `switched_off` when
# somebody here switched it off; `revived` when the worker last wrote it again, and `revivals` how
# often it did since the Subscription was well.
subscriptions = Table(
    "subscriptions",
    metadata,
    Column("path", Text, primary_key=True),
    Column("server", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("remote_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("secret", LargeBinary(32)),
    Column("secret_before", LargeBinary(32)),
    Column("hmac_key", LargeBinary),
    Column("numbered", Boolean, nullable=False),
    Column("last_event", BigInteger),
    Column("missing", JSON(none_as_null=True)),
    Column("last_received", UtcDateTime),
    Column("heartbeat_seconds", Integer),
    Column("searched_until", UtcDateTime),
    Column("expires", UtcDateTime),
    Column("created", UtcDateTime, nullable=False),
    Column("switched_off", UtcDateTime),
    Column("revived", UtcDateTime),
    Column("revivals", Integer, nullable=False, server_default=text("0")),
    Index("subscriptions_server", "server"),
)

# One row a version of a resource that a server notified of. `version` is never empty: where the
# server names none it is made up, so that nothing is taken for a repeat. `body` is the resource,
# compressed, until the item is done; `gone` says that the resource was deleted.
inbox_items = Table(
    "inbox_items",
    metadata,
    Column("id", _NUMBER, Identity(always=True), primary_key=True),
    Column("server", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("updated", UtcDateTime),
    Column("gone", Boolean, nullable=False),
    Column("subscription", Text, nullable=False),
    Column("received", UtcDateTime, nullable=False),
    Column("body", LargeBinary),
    Column("patient", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("problem", Text, nullable=False),
    Column("decision", BigInteger),
    Column("finished", UtcDateTime),
    UniqueConstraint("server", "type", "resource_id", "version", name="inbox_items_version"),
    Index("inbox_items_patient", "server", "patient", "state"),
    Index("inbox_items_finished", "state", "finished"),
)

# One row for each patient with waiting items, and for each other piece of work: `patient` is then
# `item:{id}` (whose patient is not known yet), `search:{path}` or `gap:{path}`. `wanted` grows with
# everything that asks for the work, so that its holder sees what came after the lease. `fence`
# differs for every lease.
inbox_queue = Table(
    "inbox_queue",
    metadata,
    Column("server", Text, primary_key=True),
    Column("patient", Text, primary_key=True),
    Column("due", UtcDateTime, nullable=False),
    Column("wanted", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("holder", Text),
    Column("fence", BigInteger, nullable=False),
    Column("leased_until", UtcDateTime),
    Index("inbox_queue_due", "due"),
)

# One row for each time that a patient was decided on because something arrived. `input` is what it
# was decided from, compressed, and empty once that was removed; `written` is `no`, `yes`, `failed`
# or `withdrawn`.
decisions = Table(
    "decisions",
    metadata,
    Column("id", _NUMBER, Identity(always=True), primary_key=True),
    Column("server", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("decided", UtcDateTime, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("packs", JSON, nullable=False),
    Column("input", LargeBinary, nullable=False),
    Column("findings", JSON, nullable=False),
    Column("mode", Text, nullable=False),
    Column("written", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Index("decisions_patient", "server", "patient", "decided"),
    Index("decisions_decided", "decided"),
    Index("decisions_input", "decided"),  # of those with an input alone
)

# What of ours was written to a server. `state` is `writing` (it may stand there), `open`,
# `withdrawing` (it stands there, and is still to be withdrawn), `cancelled` (by us), `rejected` (by
# somebody else), `left-alone` or `not-found` (the server may have it still); in silent mode
# `silent`, as if it were open, or `silent-over`. Of what is open there is one for each patient,
# rule and marker.
# `identifier` is that of the Task, `task` its reference, `task_version` its version as it was
# written, or a digest of what is sent while it is `writing`; `proposals` are references of its
# ServiceRequests, each with its version; `result` is the reference of the result that it is about.
advice_written = Table(
    "advice_written",
    metadata,
    Column("id", _NUMBER, Identity(always=True), primary_key=True),
    Column("server", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("pack", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("rule_version", Text, nullable=False),
    Column("marker", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("identifier", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("task_version", Text, nullable=False),
    Column("proposals", JSON, nullable=False),
    Column("indicator", Text, nullable=False),
    Column("decision", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("written", UtcDateTime, nullable=False),
    Column("changed", UtcDateTime, nullable=False),
    Index("advice_written_changed", "changed"),
    Index("advice_written_result", "server", "result"),
    Index(  # of what is open alone
        "advice_written_open", "server", "patient", "rule", "marker", unique=True
    ),
)

# One row a result that came by a message of HL7 v2 and was written to a server: its identifier
# there, and the item whose message it was written from last, so that an older message that is tried
# again later changes nothing. By its status and its time a later message is known to be no newer
# state of it. Results of one `series` are known by the same: their order and test, at other times.
message_results = Table(
    "message_results",
    metadata,
    Column("id", _NUMBER, Identity(always=True), primary_key=True),
    Column("server", Text, nullable=False),
    Column("identifier", Text, nullable=False),
    Column("item", BigInteger, nullable=False),
    Column("written", UtcDateTime, nullable=False),
    Column("status", Text, nullable=False, server_default=""),
    Column("collected", Text, nullable=False, server_default=""),
    Column("series", Text, nullable=False, server_default=""),
    Column("sent", Text, nullable=False, server_default=""),
    Column("content", Text, nullable=False, server_default=""),
    Column("replaced", Text, nullable=False, server_default=""),
    UniqueConstraint("server", "identifier", name="message_results_identifier"),
    Index("message_results_series", "server", "series"),
    Index("message_results_written", "written"),
)
