# SPDX-License-Identifier: Apache-2.0
"""Which results of messages of HL7 v2 are known by the same order and test."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column; of what was written before it is not known."""
    column = sa.Column("series", sa.Text, nullable=False, server_default="")
    op.add_column("message_results", column)
    op.create_index("message_results_series", "message_results", ["server", "series"])


def downgrade() -> None:
    """Drop the column."""
    op.drop_index("message_results_series", "message_results")
    op.drop_column("message_results", "series")
