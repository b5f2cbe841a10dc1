# SPDX-License-Identifier: Apache-2.0
"""Which results of messages were written to a server, and from which message last."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, or_, select

from cds_service.store.store import Transactions, insert_into
from cds_service.store.tables import message_results as table
from cds_service.subscriptions.message_observations import MessageResult
from cds_service.subscriptions.message_order import Statement
from cds_service.subscriptions.message_states import (
    PlacedResult,
    Written,
    WrittenResult,
    identifiers_of,
)
from cds_service.subscriptions.work import Item

_CHANGING: Final = (
    *("series", "item", "written", "status", "collected"),
    *("sent", "content", "replaced"),
)


def written_before(connection: Connection, server: str, made: Sequence[MessageResult]) -> Written:
    """What was written last of the results of a server that are known by the same as these."""
    series = {result.series for result in made}
    # Of those that were written before version 0009 only the identifier is known.
    by_identifier = {
        identifier: result.series for result in made for identifier in identifiers_of([result])
    }
    question = (
        select(table)
        .where(
            table.c.server == server,
            or_(table.c.series.in_(series), table.c.identifier.in_(by_identifier)),
        )
        .order_by(table.c.id)
    )
    found: defaultdict[str, list[WrittenResult]] = defaultdict(list)
    for row in connection.execute(question):
        found[row.series or by_identifier[row.identifier]].append(
            WrittenResult(
                identifier=row.identifier,
                item=row.item,
                written=row.written,
                collected=row.collected,
                statement=Statement(
                    status=row.status,
                    sent=row.sent,
                    content=row.content,
                    replaced=tuple(row.replaced.split()),
                ),
            )
        )
    return found


class MessageResults:
    """The table of them. Methods raise `StoreError`."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def written(self, server: str, made: Sequence[MessageResult]) -> Written:
        """What was written last of the results that are known by the same as these."""
        with self._database.reading() as connection:
            return written_before(connection, server, made)

    def keep(self, item: Item, results: Sequence[PlacedResult], now: datetime) -> None:
        """Keep that these results were written from this message."""
        rows = [
            {
                "server": item.server,
                "identifier": result.identifier,
                "series": result.series,
                "item": item.id,
                "written": now,
                "status": result.statement.status,
                "collected": result.collected,
                "sent": result.statement.sent,
                "content": result.statement.content,
                "replaced": " ".join(result.statement.replaced),
            }
            for result in results
        ]
        if not rows:
            return
        with self._database.writing() as connection:
            adding = insert_into(table, connection)
            connection.execute(
                adding.on_conflict_do_update(
                    index_elements=[table.c.server, table.c.identifier],
                    set_={name: adding.excluded[name] for name in _CHANGING},
                    where=table.c.item < adding.excluded.item,
                ),
                rows,
            )
