# SPDX-License-Identifier: Apache-2.0
"""Indexes to remove what decisions were derived from, and to find whose a result was."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the indexes."""
    op.create_index(
        "decisions_input",
        "decisions",
        ["decided"],
        sqlite_where=sa.text("length(input) > 0"),
        postgresql_where=sa.text("length(input) > 0"),
    )
    op.create_index("advice_written_result", "advice_written", ["server", "result"])


def downgrade() -> None:
    """Drop the indexes."""
    op.drop_index("advice_written_result", "advice_written")
    op.drop_index("decisions_input", "decisions")
