# SPDX-License-Identifier: Apache-2.0
"""What the inbox knows of resources that arrive: whose they were, and whether they were gone.

All of it runs within a transaction of the caller.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from cds_service.store.tables import inbox_items
from cds_service.subscriptions.versions import is_newer

_AT_ONCE: Final = 500  # resources in one question
_LIGHT: Final = [
    column
    for column in inbox_items.c
    if column.name not in {"body", "state", "attempts", "problem", "decision", "finished"}
]

Key = tuple[str, str, str]
"""The server, type and id of a resource."""


def known_before(connection: Connection, resources: Iterable[Key]) -> dict[Key, list[Row[Any]]]:
    """The rows of each of these resources, in their order, without what they say."""
    table = inbox_items.c
    found: dict[Key, list[Row[Any]]] = {}
    by_kind: dict[tuple[str, str], set[str]] = {}
    for server, kind, identity in resources:
        by_kind.setdefault((server, kind), set()).add(identity)
    for (server, kind), identities in by_kind.items():
        for some in _some(sorted(identities)):
            rows = connection.execute(
                select(*_LIGHT)
                .where(table.server == server, table.type == kind, table.resource_id.in_(some))
                .order_by(table.id)
            )
            for row in rows:
                found.setdefault((server, kind, row.resource_id), []).append(row)
    return found


def version_after(version: str, states: Sequence[Row[Any]]) -> str:
    """The version under which a state is kept.

    If the resource was gone since it had this version, the server may have made it again and count
    anew: that is another state, once for each time that it was gone.
    """
    same = [row.id for row in states if row.version == version]
    gone = [row.id for row in states if row.gone and same and row.id >= same[-1]]
    return f"{version} after {gone[-1]}" if gone else version


def previous_patients(new: Any, states: Sequence[Row[Any]]) -> tuple[str, ...]:
    """The patients who had this result until now and have no item that takes it away."""
    if new.gone or not new.patient:
        return ()
    last = {row.patient: row for row in states if row.patient not in {"", new.patient}}
    return tuple(
        patient for patient, row in last.items() if not row.gone and is_newer(new, row) is not False
    )


def add_moved(connection: Connection, new: Any, patients: Iterable[str], now: datetime) -> None:
    """Add for each of these patients that a result of theirs is another patient's now.

    It is an item that says that the result is gone, as it is for them; the read shows it.
    """
    rows = [
        {
            "server": new.server,
            "type": new.type,
            "resource_id": new.resource_id,
            "version": f"moved by {new.id} from {patient}",
            "gone": True,
            "subscription": new.subscription,
            "received": now,
            "patient": patient,
            "state": "waiting",
            "attempts": 0,
            "problem": "",
        }
        for patient in patients
    ]
    if rows:
        connection.execute(insert(inbox_items), rows)


def _some(identities: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(identities)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
