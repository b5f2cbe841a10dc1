# SPDX-License-Identifier: Apache-2.0
"""Cards are counted, and feedback says itself what its card was.

What was kept of each card is added up and joined to its feedback. The rows of the cards stay, for
feedback that is still to come; nothing adds to them, and they go when they are old enough.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_KEY = ("day", "client", "pack", "rule", "version", "service", "hook", "indicator")
_ADDED = ("pack", "rule", "version", "indicator")
_COUNT = """
INSERT INTO card_counts (day, client, pack, rule, version, service, hook, indicator, cards)
SELECT {day}, client, pack, rule, version, service, hook, indicator, count(*)
FROM cards_shown GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""
_JOIN = """
UPDATE feedback SET pack = shown.pack, rule = shown.rule, version = shown.version,
indicator = shown.indicator, subject = substr(shown.subject, 1, 6)
FROM cards_shown AS shown WHERE shown.client = feedback.client AND shown.card = feedback.card
"""


def upgrade() -> None:
    """Add up the cards, and write what each was beside its feedback."""
    op.create_table(
        "card_counts",
        sa.Column("day", sa.Date, primary_key=True),
        *(sa.Column(name, sa.Text, primary_key=True) for name in _KEY[1:]),
        sa.Column("cards", sa.Integer, nullable=False),
    )
    for name in _ADDED:
        op.add_column("feedback", sa.Column(name, sa.Text))
    op.add_column("feedback", sa.Column("subject", sa.LargeBinary(6)))
    is_sqlite = op.get_context().dialect.name == "sqlite"
    # Instants are kept in UTC; PostgreSQL's date() would take the zone of the session.
    op.execute(_COUNT.format(day="date(shown)" if is_sqlite else "date(shown AT TIME ZONE 'UTC')"))
    op.execute(_JOIN)
    op.drop_index("cards_shown_subject", "cards_shown")


def downgrade() -> None:
    """Go back to one row a card; what was counted since is lost."""
    op.create_index("cards_shown_subject", "cards_shown", ["subject"])
    for name in (*_ADDED, "subject"):
        op.drop_column("feedback", name)
    op.drop_table("card_counts")
