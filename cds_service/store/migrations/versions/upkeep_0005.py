# SPDX-License-Identifier: Apache-2.0
"""When a Subscription was switched off here, and when the worker wrote it again."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns; what is off was switched off here, as far as anybody knows."""
    op.add_column("subscriptions", sa.Column("switched_off", _INSTANT))
    op.add_column("subscriptions", sa.Column("revived", _INSTANT))
    op.add_column(
        "subscriptions",
        sa.Column("revivals", sa.Integer, nullable=False, server_default=sa.text("0")),
    )
    op.execute("UPDATE subscriptions SET switched_off = created WHERE status = 'off'")


def downgrade() -> None:
    """Drop the columns."""
    for column in ("revivals", "revived", "switched_off"):
        op.drop_column("subscriptions", column)
