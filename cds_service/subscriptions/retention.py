# SPDX-License-Identifier: Apache-2.0
"""What is kept of results that arrived, and for how long: old rows go, in small batches.

What a decision was derived from is patient data, and goes first; the decision without it stays
longer. Of what was written to servers only what is over goes: open advice is needed to withdraw
it, and nothing goes while it could keep a card quiet. Dead letters stay until somebody has seen to
them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, delete, select, text, update

from cds_service.settings import Settings
from cds_service.store.advice import OVER, SILENT
from cds_service.store.store import Transactions
from cds_service.store.tables import advice_written, decisions, inbox_items, message_results

GONE: Final = b""  # in place of what a decision was derived from
_AT_ONCE: Final = 500
_INPUTS_AT_ONCE: Final = 50  # some are megabytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionTimes:
    """How long each is kept; `advice` counts from the last change of advice that is over."""

    items: timedelta
    inputs: timedelta
    decisions: timedelta
    advice: timedelta


def retention_times(settings: Settings, longest_quiet: int) -> RetentionTimes:
    """The times as they are set; `longest_quiet` is the most days that a card is quiet."""
    return RetentionTimes(
        items=timedelta(days=settings.inbox_days),
        inputs=timedelta(days=settings.decision_input_days),
        decisions=timedelta(days=settings.decision_days),
        advice=timedelta(days=max(settings.advice_days, longest_quiet + 1)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Removes what was kept for long enough."""

    database: Transactions
    times: RetentionTimes

    def purge_some(self, now: datetime) -> bool:
        """Remove a batch of each; whether there may be more. Raises `StoreError`."""
        times, item, advice = self.times, inbox_items.c, advice_written.c
        batches = (
            self._without_input(now - times.inputs),
            self._gone(decisions, decisions.c.decided < now - times.decisions),
            self._gone(message_results, message_results.c.written < now - times.decisions),
            self._gone(inbox_items, item.state == "done", item.finished < now - times.items),
            self._gone(
                advice_written, advice.state.in_(OVER | SILENT), advice.changed < now - times.advice
            ),
        )
        return any(batches)

    def _without_input(self, before: datetime) -> bool:
        table = decisions.c
        # As the index says it: as a parameter it would not be used.
        has_input = text("length(input) > 0")
        old = select(table.id).where(table.decided < before, has_input).limit(_INPUTS_AT_ONCE)
        with self.database.writing() as connection:
            _leave_nothing(connection)
            changing = update(decisions).where(table.id.in_(old)).values(input=GONE)
            return bool(connection.execute(changing).rowcount == _INPUTS_AT_ONCE)

    def _gone(self, table: Table, *where: ColumnElement[Any]) -> bool:
        old = select(table.c.id).where(*where).limit(_AT_ONCE)
        with self.database.writing() as connection:
            _leave_nothing(connection)
            removing = delete(table).where(table.c.id.in_(old))
            return bool(connection.execute(removing).rowcount == _AT_ONCE)


def _leave_nothing(connection: Connection) -> None:
    """Have SQLite overwrite what is removed, which it would leave in its file."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
