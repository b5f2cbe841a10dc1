# SPDX-License-Identifier: Apache-2.0
"""Which results of messages were written to a server, and from which message last."""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import select

from cds_service.store.store import Transactions, insert_into
from cds_service.store.tables import message_results as table
from cds_service.subscriptions.work import Item


class MessageResults:
    """The table of them. Methods raise `StoreError`."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def newer(self, item: Item, identifiers: Collection[str]) -> frozenset[str]:
        """Those of these results that were written from a later message."""
        question = select(table.c.identifier).where(
            table.c.server == item.server,
            table.c.identifier.in_(identifiers),
            table.c.item > item.id,
        )
        with self._database.reading() as connection:
            return frozenset(connection.execute(question).scalars())

    def keep(self, item: Item, identifiers: Iterable[str], now: datetime) -> None:
        """Keep that these results were written from this message."""
        rows = [
            {"server": item.server, "identifier": one, "item": item.id, "written": now}
            for one in sorted(identifiers)
        ]
        if not rows:
            return
        with self._database.writing() as connection:
            adding = insert_into(table, connection)
            newest = {"item": adding.excluded.item, "written": adding.excluded.written}
            connection.execute(
                adding.on_conflict_do_update(
                    index_elements=[table.c.server, table.c.identifier],
                    set_=newest,
                    where=table.c.item < adding.excluded.item,
                ),
                rows,
            )
