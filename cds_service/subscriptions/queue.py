# SPDX-License-Identifier: Apache-2.0
"""The queue of the inbox: one row for each piece of work, leased by one worker at a time.

All of it runs within a transaction of the caller.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, case, delete, select, update

from cds_service.store.store import insert_into
from cds_service.store.tables import inbox_queue
from cds_service.subscriptions.work import Lease, LeaseLost

_FIRST_PAUSE: Final = timedelta(seconds=2)
_LONGEST_PAUSE: Final = timedelta(minutes=15)


def enqueue(connection: Connection, server: str, key: str, due: datetime) -> None:
    """Ask for a piece of work at a time; what is due before stays so, and leased work goes on."""
    enqueue_all(connection, [(server, key, due)])


def enqueue_all(connection: Connection, asked: Sequence[tuple[str, str, datetime]]) -> None:
    """Ask for several: of each its server, its key and its time."""
    if not asked:
        return
    adding = insert_into(inbox_queue, connection)
    sooner = case(
        (inbox_queue.c.due > adding.excluded.due, adding.excluded.due), else_=inbox_queue.c.due
    )
    connection.execute(
        adding.on_conflict_do_update(
            index_elements=inbox_queue.primary_key.columns,
            set_={"due": sooner, "wanted": inbox_queue.c.wanted + 1},
        ),
        [
            {
                "server": server,
                "patient": key,
                "due": due,
                "wanted": 1,
                "attempts": 0,
                "fence": 0,
            }
            for server, key, due in asked
        ],
    )


def is_row(server: str, key: str) -> ColumnElement[bool]:
    """The row of a piece of work."""
    return and_(inbox_queue.c.server == server, inbox_queue.c.patient == key)


def held(connection: Connection, lease: Lease) -> int:
    """How often the work was asked for by now; raises `LeaseLost` if another worker has it."""
    row = connection.execute(
        select(inbox_queue.c.fence, inbox_queue.c.wanted)
        .where(is_row(lease.server, lease.key))
        .with_for_update()
    ).first()
    if row is None or row.fence != lease.fence:
        raise LeaseLost
    wanted: int = row.wanted
    return wanted


def keep_holding(connection: Connection, lease: Lease, until: datetime) -> None:
    """Hold the row for longer; raises `LeaseLost`."""
    held(connection, lease)
    row = is_row(lease.server, lease.key)
    connection.execute(update(inbox_queue).where(row).values(leased_until=until))


def let_go(
    connection: Connection,
    lease: Lease,
    *,
    wanted: int,
    due: datetime | None,
    attempts: int = 0,
    hold: datetime | None = None,
) -> None:
    """Give the row back, due at a time, or when more was asked for; remove it if neither is so.

    Until `hold` nothing that asks for the work brings it forward.
    """
    row = is_row(lease.server, lease.key)
    is_asked = wanted != lease.wanted  # since the lease, and so for a time of its own
    if due is None and not is_asked:
        connection.execute(delete(inbox_queue).where(row))
        return
    values: dict[str, Any] = {
        "holder": None,
        "fence": 0,
        "leased_until": hold,
        "attempts": attempts,
    }
    if due is not None:
        sooner = case((inbox_queue.c.due > due, due), else_=inbox_queue.c.due)
        values["due"] = sooner if is_asked else due
    connection.execute(update(inbox_queue).where(row).values(**values))


def pause(
    attempts: int, first: timedelta = _FIRST_PAUSE, longest: timedelta = _LONGEST_PAUSE
) -> timedelta:
    """How long to wait after so many failures; a random share keeps workers apart."""
    longest = min(first * 2.0 ** min(attempts, 16), longest)
    share: float = random.uniform(0.5, 1.0)  # noqa: S311
    return longest * share
