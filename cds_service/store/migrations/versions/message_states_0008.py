# SPDX-License-Identifier: Apache-2.0
"""In which status and of which time a result of a message of HL7 v2 was written last."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns; of what was written before neither is known."""
    for name in ("status", "collected"):
        column = sa.Column(name, sa.Text, nullable=False, server_default="")
        op.add_column("message_results", column)


def downgrade() -> None:
    """Drop the columns."""
    for name in ("collected", "status"):
        op.drop_column("message_results", name)
