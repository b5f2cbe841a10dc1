# SPDX-License-Identifier: Apache-2.0
"""What arrives -> items of the inbox, within a transaction of the caller."""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from secrets import token_hex
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, select

from cds_service.store.store import insert_into
from cds_service.store.tables import advice_written, inbox_items
from cds_service.subscriptions.earlier_states import (
    Key,
    add_moved,
    known_before,
    previous_patients,
    version_after,
)
from cds_service.subscriptions.notified_resource import NotifiedResource

_FASTEST: Final = 1  # zlib level: resources are small, and a sender waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A resource that a server named; `numbered` says that event numbers name events for good."""

    server: str
    subscription: str
    resource: NotifiedResource
    numbered: bool = False


class NewItem(NamedTuple):
    """An item that was not in the inbox before; `left` are patients whose result it was."""

    server: str
    id: int
    patient: str
    type: str
    resource_id: str
    version: str
    updated: datetime | None
    gone: bool
    subscription: str
    left: tuple[str, ...] = ()


def insert_items(
    connection: Connection, arrivals: Iterable[Arrival], now: datetime
) -> tuple[NewItem, ...]:
    """Keep what is new among the arrivals; one for each version of a resource.

    What this service wrote itself is left out: its own proposals must not wake it.
    """
    # In one order: two processes that add the same rows do not wait for each other.
    rows = {_identity(row): row for row in _rows(arrivals, now)}
    if not rows:
        return ()
    known = known_before(connection, map(_resource, rows.values()))
    for row in rows.values():
        if not row["gone"]:
            row["version"] = version_after(row["version"], known.get(_resource(row), ()))
        if row["gone"] and not row["patient"]:  # anything else is read, and says it itself
            row["patient"] = patient_of(connection, row["server"], row["type"], row["resource_id"])
    added = connection.execute(
        insert_into(inbox_items, connection)
        .on_conflict_do_nothing()
        .returning(*(inbox_items.c[name] for name in NewItem._fields[:-1])),
        [rows[identity] for identity in sorted(rows)],
    )
    return tuple(_with_moves(connection, NewItem(*row), known, now) for row in added)


def _with_moves(
    connection: Connection,
    new: NewItem,
    known_states: Mapping[Key, Sequence[Row[Any]]],
    now: datetime,
) -> NewItem:
    """The item, once those whose result it was have an item that says so."""
    left = previous_patients(new, known_states.get((new.server, new.type, new.resource_id), ()))
    add_moved(connection, new, left, now)
    return new._replace(left=left)


def patient_of(connection: Connection, server: str, kind: str, identity: str) -> str:
    """The patient of a resource, as it was known before; empty if it was not.

    Items are kept for some time only; advice about a result, as long as it may be withdrawn.
    """
    table = inbox_items.c
    found: str | None = connection.execute(
        select(table.patient)
        .where(
            table.server == server,
            table.type == kind,
            table.resource_id == identity,
            table.patient != "",
            table.problem.not_in(("superseded", "repeated")),
        )
        .order_by(table.gone, table.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    return found or _patient_of_advice(connection, server, f"{kind}/{identity}")


def _patient_of_advice(connection: Connection, server: str, result: str) -> str:
    table = advice_written.c
    found: str | None = connection.execute(
        select(table.patient).where(table.server == server, table.result == result).limit(1)
    ).scalar_one_or_none()
    return found or ""


def compressed(body: bytes | None) -> bytes | None:
    """A body as it is kept."""
    return None if body is None else zlib.compress(body, _FASTEST)


def version_of(
    resource: NotifiedResource, subscription: str, now: datetime, *, numbered: bool
) -> str:
    """The version of a resource, or what stands for it where the server named none.

    Two events are never taken for one: without anything to tell them apart each is new.
    """
    if resource.version:
        return resource.version
    if resource.updated is not None:
        # A server that writes no version may store two states within one tick of its clock.
        state = "" if resource.body is None else f" {sha256(resource.body).hexdigest()[:32]}"
        return f"updated {resource.updated.isoformat()}{state}"
    time = "" if resource.event_time is None else resource.event_time.isoformat()
    if resource.event is not None and (numbered or time):
        return (
            f"event {subscription} {resource.event} {time}"  # the time, for numbers may begin anew
        )
    return f"received {now.isoformat()} {token_hex(8)}"


def _rows(arrivals: Iterable[Arrival], now: datetime) -> Iterator[dict[str, Any]]:
    return (_row(arrival, now) for arrival in arrivals if not arrival.resource.is_ours)


def _row(arrival: Arrival, now: datetime) -> dict[str, Any]:
    resource = arrival.resource
    version = version_of(resource, arrival.subscription, now, numbered=arrival.numbered)
    return {
        "server": arrival.server,
        "type": resource.type,
        "resource_id": resource.id,
        "version": version,
        "updated": resource.updated,
        "gone": resource.gone,
        "subscription": arrival.subscription,
        "received": now,
        "body": compressed(resource.body),
        "patient": resource.patient,
        "state": "waiting",
        "attempts": 0,
        "problem": "",
    }


def _identity(row: Mapping[str, Any]) -> tuple[str, ...]:
    return *_resource(row), row["version"]


def _resource(row: Mapping[str, Any]) -> Key:
    return row["server"], row["type"], row["resource_id"]
