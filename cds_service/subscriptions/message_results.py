# SPDX-License-Identifier: Apache-2.0
"""Which results of messages were written to a server, and from which message last."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from cds_service.store.store import Transactions, insert_into
from cds_service.store.tables import message_results as table
from cds_service.subscriptions.message_states import WrittenResult, collected_of
from cds_service.subscriptions.work import Item


class MessageResults:
    """The table of them. Methods raise `StoreError`."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def written(self, server: str, identifiers: Collection[str]) -> dict[str, WrittenResult]:
        """What was written last of each of these results of a server."""
        question = select(table).where(
            table.c.server == server, table.c.identifier.in_(identifiers)
        )
        with self._database.reading() as connection:
            return {
                row.identifier: WrittenResult(
                    item=row.item, status=row.status, collected=row.collected
                )
                for row in connection.execute(question)
            }

    def keep(self, item: Item, results: Mapping[str, dict[str, Any]], now: datetime) -> None:
        """Keep that these results were written from this message."""
        rows = [
            {
                "server": item.server,
                "identifier": name,
                "item": item.id,
                "written": now,
                "status": result["status"],
                "collected": collected_of(result),
            }
            for name, result in sorted(results.items())
        ]
        if not rows:
            return
        with self._database.writing() as connection:
            adding = insert_into(table, connection)
            columns = ("item", "written", "status", "collected")
            connection.execute(
                adding.on_conflict_do_update(
                    index_elements=[table.c.server, table.c.identifier],
                    set_={name: adding.excluded[name] for name in columns},
                    where=table.c.item < adding.excluded.item,
                ),
                rows,
            )
