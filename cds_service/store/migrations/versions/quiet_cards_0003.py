# SPDX-License-Identifier: Apache-2.0
"""On which days cards that may be quiet were shown."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "quiet_cards",
        sa.Column("id", _NUMBER, sa.Identity(always=True), primary_key=True),
        sa.Column("card", sa.LargeBinary(8), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.UniqueConstraint("card", "day", name="quiet_cards_shown"),
    )
    op.create_index("quiet_cards_day", "quiet_cards", ["day"])


def downgrade() -> None:
    """Drop the table: every card is shown again."""
    op.drop_table("quiet_cards")
