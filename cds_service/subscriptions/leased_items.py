# SPDX-License-Identifier: Apache-2.0
"""Which items a lease is about, by the rows of the inbox, within a transaction of the caller."""

import zlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, null, or_, select, update

from cds_service.store.tables import inbox_items
from cds_service.subscriptions.work import ADVICE, ITEM, MESSAGE, ArrivalDecision, Item

_WITHOUT_BODY: Final = [column for column in inbox_items.c if column.name != "body"]
_TOGETHER: Final = 2  # attempts in which items of a patient are tried together


def item_of(row: Any) -> Item:
    """The item in a row of the table."""
    return Item(
        id=row.id,
        server=row.server,
        type=row.type,
        resource_id=row.resource_id,
        version=row.version,
        updated=row.updated,
        gone=row.gone,
        subscription=row.subscription,
        received=row.received,
        body=None if row.body is None else zlib.decompress(row.body),
        patient=row.patient,
        state=row.state,
        attempts=row.attempts,
        problem=row.problem,
    )


def key_of(patient: str, number: int) -> str:
    """The row of the queue in which an item waits."""
    return patient or f"{ITEM}{number}"


def belongs(server: str, key: str) -> ColumnElement[bool]:
    """Which items a row of the queue is about."""
    if key.startswith(ITEM):
        return inbox_items.c.id == int(key.removeprefix(ITEM))
    return and_(inbox_items.c.server == server, inbox_items.c.patient == key)


def chosen_of(items: Sequence[Item]) -> Sequence[Item]:
    """Those to handle now: all that did not fail yet, else the one that failed least.

    What arrived takes refused advice along, be it dead or not. Messages are handled one by one.
    """
    if any(item.type == MESSAGE for item in items):
        return _least_failed(items)
    advice = [item for item in items if item.type == ADVICE]
    arrived = [item for item in items if item.type != ADVICE and item.attempts < _TOGETHER]
    if arrived:
        return [*arrived, *advice]
    return _least_failed(items)


def _least_failed(items: Sequence[Item]) -> Sequence[Item]:
    waiting = [item for item in items if item.state == "waiting"]
    return [min(waiting, key=lambda item: (item.attempts, item.id))] if waiting else []


def known_of(connection: Connection, items: Sequence[Item], key: str) -> tuple[Item, ...]:
    """What was finished before of the same resources, and what waits of them for others.

    That a resource is gone for another patient, whose it was, says nothing here.
    """
    if not items:
        return ()
    table = inbox_items.c
    is_finished = and_(table.state == "done", table.problem.in_(("", "no-patient")))
    is_of_others = and_(table.state == "waiting", table.patient.not_in(("", key)))
    same = and_(
        table.server == items[0].server,
        table.type.in_({item.type for item in items}),
        table.resource_id.in_({item.resource_id for item in items}),
        or_(is_finished, is_of_others),
        or_(table.gone.is_(False), table.patient.in_(("", key))),
    )
    question = select(*_WITHOUT_BODY, null().label("body")).where(same)
    return tuple(item_of(row) for row in connection.execute(question))


def mark(connection: Connection, ids: Sequence[int], **values: Any) -> None:
    """Change those of these items that wait."""
    if ids:
        waiting = and_(inbox_items.c.id.in_(ids), inbox_items.c.state == "waiting")
        connection.execute(update(inbox_items).where(waiting).values(**values))


def keep_read(
    connection: Connection, items: Iterable[Item], decision: ArrivalDecision | None
) -> None:
    """Keep which items are gone, as far as that was read."""
    gone = frozenset[str]() if decision is None else decision.gone
    for item in items:
        is_gone = item.gone or item.reference in gone
        if item.unsure or is_gone:
            read = {"gone": is_gone, "updated": item.updated}
            changing = update(inbox_items).where(inbox_items.c.id == item.id)
            connection.execute(changing.values(**read))
