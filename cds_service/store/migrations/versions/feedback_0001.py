# SPDX-License-Identifier: Apache-2.0
"""Cards that were shown, feedback about them, and tokens that were used.

A migration is never changed: it says what it made, not what `tables.py` says today.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_INSTANT = sa.DateTime(timezone=True)
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _cards_shown()
    _feedback()
    op.create_table(
        "tokens_used",
        sa.Column("name", sa.LargeBinary(32), primary_key=True),
        sa.Column("until", _INSTANT, nullable=False),
    )
    op.create_index("tokens_used_until", "tokens_used", ["until"])


def _cards_shown() -> None:
    op.create_table(
        "cards_shown",
        sa.Column("client", sa.Text, primary_key=True),
        sa.Column("card", sa.Text, primary_key=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("pack", sa.Text, nullable=False),
        sa.Column("pack_version", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("hook", sa.Text, nullable=False),
        sa.Column("indicator", sa.Text, nullable=False),
        sa.Column("shown", _INSTANT, nullable=False),
        sa.Column("subject", sa.LargeBinary(32)),
    )
    op.create_index("cards_shown_subject", "cards_shown", ["subject"])
    op.create_index("cards_shown_shown", "cards_shown", ["shown"])


def _feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", _NUMBER, sa.Identity(always=True), primary_key=True),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("card", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("happened", _INSTANT, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("received", _INSTANT, nullable=False),
        sa.Column("suggestions", sa.JSON),
        sa.Column("reason_code", sa.Text),
        sa.Column("reason_system", sa.Text),
        sa.Column("reason_display", sa.Text),
        sa.Column("comment", sa.Text),
        sa.UniqueConstraint("client", "card", "outcome", "happened", name="feedback_event"),
    )
    op.create_index("feedback_received", "feedback", ["received"])


def downgrade() -> None:
    """Drop the tables and everything in them."""
    for table in ("tokens_used", "feedback", "cards_shown"):
        op.drop_table(table)
