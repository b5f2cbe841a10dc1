# SPDX-License-Identifier: Apache-2.0
"""An item whose resource was not sent, and what a read of it gave: it goes to its patient's row."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import update

from cds_service.store.store import Transactions
from cds_service.store.tables import inbox_items
from cds_service.subscriptions.earlier_states import (
    add_moved,
    known_before,
    previous_patients,
    version_after,
)
from cds_service.subscriptions.inbox_insert import compressed, patient_of
from cds_service.subscriptions.notified_resource import NotifiedResource
from cds_service.subscriptions.queue import enqueue, held, let_go
from cds_service.subscriptions.work import Lease

_TOLD: Final = ("patient", "version", "updated", "gone")


def resolve(
    database: Transactions,
    lease: Lease,
    notified: NotifiedResource,
    now: datetime,
    settling: timedelta,
) -> bool:
    """Keep what was read for the one item of a lease; whether it has a patient.

    `found` may say that it is gone. What has no patient ends here, and so does a version that is in
    the inbox already. Raises `LeaseLost` and `StoreError`.
    """
    (item,) = lease.items
    with database.writing() as connection:
        wanted = held(connection, lease)
        resource = (item.server, item.type, item.resource_id)
        before = known_before(connection, [resource]).get(resource, [])
        known = [row for row in before if row.id != item.id]
        values: dict[str, Any] = {"gone": notified.gone, "attempts": item.attempts, "problem": ""}
        if notified.gone:
            patient = patient_of(connection, item.server, item.type, item.resource_id)
        else:
            patient = notified.patient
            values |= {"updated": notified.updated, "body": compressed(notified.body)}
            version = version_after(notified.version, known)
            if version and all(row.version != version for row in known):
                values["version"] = version
            elif version not in {"", item.version}:
                values |= {"state": "done", "finished": now, "body": None, "problem": "repeated"}
        if not patient:
            values |= {"state": "done", "finished": now, "body": None, "problem": "no-patient"}
        values["patient"] = patient
        connection.execute(update(inbox_items).where(inbox_items.c.id == item.id).values(**values))
        if values.get("state") != "done":
            moved = replace(item, **{name: values.get(name, getattr(item, name)) for name in _TOLD})
            left = previous_patients(moved, known)
            add_moved(connection, moved, left, now)
            for moved_patient in sorted((patient, *left)):
                enqueue(connection, item.server, moved_patient, now + settling)
        let_go(connection, lease, wanted=wanted, due=None)
    return bool(patient)
