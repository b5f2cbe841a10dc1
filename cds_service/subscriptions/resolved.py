# SPDX-License-Identifier: Apache-2.0
"""An item whose resource was not sent, and what a read of it gave: it goes to its patient's row."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from cds_service.store.store import Transactions
from cds_service.store.tables import inbox_items
from cds_service.subscriptions.arrivals import compressed, patient_of
from cds_service.subscriptions.notified import NotifiedResource
from cds_service.subscriptions.queue import enqueue, held, let_go
from cds_service.subscriptions.work import Lease


def resolve(
    database: Transactions,
    lease: Lease,
    found: NotifiedResource,
    now: datetime,
    settling: timedelta,
) -> None:
    """Keep what was read for the one item of a lease; `found` may say that it is gone.

    What has no patient ends here, and so does a version that is in the inbox already. Raises
    `LeaseLost` and `StoreError`.
    """
    (item,) = lease.items
    with database.writing() as connection:
        wanted = held(connection, lease)
        values: dict[str, Any] = {"gone": found.gone, "attempts": item.attempts, "problem": ""}
        if found.gone:
            patient = patient_of(connection, item.server, item.type, item.resource_id)
        else:
            patient = found.patient
            values |= {"updated": found.updated, "body": compressed(found.body)}
            if found.version and not _is_known(connection, lease, found.version):
                values["version"] = found.version
            elif found.version not in {"", item.version}:
                values |= {"state": "done", "finished": now, "body": None, "problem": "repeated"}
        if not patient:
            values |= {"state": "done", "finished": now, "body": None, "problem": "no-patient"}
        values["patient"] = patient
        connection.execute(update(inbox_items).where(inbox_items.c.id == item.id).values(**values))
        if values.get("state") != "done":
            enqueue(connection, item.server, patient, now + settling)
        let_go(connection, lease, wanted=wanted, due=None)


def _is_known(connection: Connection, lease: Lease, version: str) -> bool:
    """Whether another item is of this version of the resource."""
    (item,) = lease.items
    table = inbox_items.c
    question = select(table.id).where(
        table.server == item.server,
        table.type == item.type,
        table.resource_id == item.resource_id,
        table.version == version,
        table.id != item.id,
    )
    return connection.execute(question).first() is not None
