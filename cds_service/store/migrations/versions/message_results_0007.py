# SPDX-License-Identifier: Apache-2.0
"""From which message of HL7 v2 a result was written last."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "message_results",
        sa.Column("id", _NUMBER, sa.Identity(always=True), primary_key=True),
        sa.Column("server", sa.Text, nullable=False),
        sa.Column("identifier", sa.Text, nullable=False),
        sa.Column("item", sa.BigInteger, nullable=False),
        sa.Column("written", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("server", "identifier", name="message_results_identifier"),
    )
    op.create_index("message_results_written", "message_results", ["written"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("message_results")
