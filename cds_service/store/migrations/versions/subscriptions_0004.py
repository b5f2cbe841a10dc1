# SPDX-License-Identifier: Apache-2.0
"""Subscriptions, what arrived by them, what was decided, and what was written back."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_INSTANT = sa.DateTime(timezone=True)
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _subscriptions()
    _inbox()
    _decisions()
    _advice()


def _subscriptions() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("path", sa.Text, primary_key=True),
        *_texts("server", "kind", "content", "what", "remote_id", "status"),
        sa.Column("secret", sa.LargeBinary(32)),
        sa.Column("secret_before", sa.LargeBinary(32)),
        sa.Column("hmac_key", sa.LargeBinary),
        sa.Column("numbered", sa.Boolean, nullable=False),
        sa.Column("last_event", sa.BigInteger),
        sa.Column("missing", sa.JSON),
        sa.Column("last_received", _INSTANT),
        sa.Column("heartbeat_seconds", sa.Integer),
        sa.Column("searched_until", _INSTANT),
        sa.Column("expires", _INSTANT),
        sa.Column("created", _INSTANT, nullable=False),
    )
    op.create_index("subscriptions_server", "subscriptions", ["server"])


def _inbox() -> None:
    op.create_table(
        "inbox_items",
        sa.Column("id", _NUMBER, sa.Identity(always=True), primary_key=True),
        *_texts("server", "type", "resource_id", "version"),
        sa.Column("updated", _INSTANT),
        sa.Column("gone", sa.Boolean, nullable=False),
        *_texts("subscription"),
        sa.Column("received", _INSTANT, nullable=False),
        sa.Column("body", sa.LargeBinary),
        *_texts("patient", "state"),
        sa.Column("attempts", sa.Integer, nullable=False),
        *_texts("problem"),
        sa.Column("decision", sa.BigInteger),
        sa.Column("finished", _INSTANT),
        sa.UniqueConstraint("server", "type", "resource_id", "version", name="inbox_items_version"),
    )
    op.create_index("inbox_items_patient", "inbox_items", ["server", "patient", "state"])
    op.create_index("inbox_items_finished", "inbox_items", ["state", "finished"])
    op.create_table(
        "inbox_queue",
        sa.Column("server", sa.Text, primary_key=True),
        sa.Column("patient", sa.Text, primary_key=True),
        sa.Column("due", _INSTANT, nullable=False),
        sa.Column("wanted", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("leased_until", _INSTANT),
    )
    op.create_index("inbox_queue_due", "inbox_queue", ["due"])


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", _NUMBER, sa.Identity(always=True), primary_key=True),
        *_texts("server", "patient"),
        sa.Column("decided", _INSTANT, nullable=False),
        *_texts("trigger"),
        sa.Column("packs", sa.JSON, nullable=False),
        sa.Column("input", sa.LargeBinary, nullable=False),
        sa.Column("findings", sa.JSON, nullable=False),
        *_texts("mode", "written", "problem"),
    )
    op.create_index("decisions_patient", "decisions", ["server", "patient", "decided"])
    op.create_index("decisions_decided", "decisions", ["decided"])


def _advice() -> None:
    op.create_table(
        "advice_written",
        sa.Column("id", _NUMBER, sa.Identity(always=True), primary_key=True),
        *_texts("server", "patient", "pack", "rule", "rule_version", "marker", "result"),
        *_texts("identifier", "task", "task_version"),
        sa.Column("proposals", sa.JSON, nullable=False),
        *_texts("indicator"),
        sa.Column("decision", sa.BigInteger, nullable=False),
        *_texts("state"),
        sa.Column("written", _INSTANT, nullable=False),
        sa.Column("changed", _INSTANT, nullable=False),
    )
    op.create_index("advice_written_changed", "advice_written", ["changed"])
    op.create_index(
        "advice_written_open",
        "advice_written",
        ["server", "patient", "rule", "marker"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )


def _texts(*names: str) -> "list[sa.Column[str]]":
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def downgrade() -> None:
    """Drop the tables: nothing is known of any Subscription, nor of what stands on a server."""
    for table in ("advice_written", "decisions", "inbox_queue", "inbox_items", "subscriptions"):
        op.drop_table(table)
