# SPDX-License-Identifier: Apache-2.0
"""When the message was sent that wrote a result of HL7 v2, its content, and what that replaced."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns; of what was written before none is known."""
    for name in ("sent", "content", "replaced"):
        column = sa.Column(name, sa.Text, nullable=False, server_default="")
        op.add_column("message_results", column)


def downgrade() -> None:
    """Drop the columns."""
    for name in ("replaced", "content", "sent"):
        op.drop_column("message_results", name)
