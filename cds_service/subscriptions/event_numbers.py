# SPDX-License-Identifier: Apache-2.0
"""The numbers of events: which came, which are missing, and when a server counts anew.

Each event of a Subscription has the next number, and a notification says how many there were
(Backport IG, "Handling Errors"; FHIR R5, "Subscriptions"). Notifications may overtake each other,
so a number that was skipped is missing only until it comes late. Pure but for `note`.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from sqlalchemy import Connection, select, update

from cds_service.store.tables import subscriptions
from cds_service.subscriptions.notification_status import Status

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Ranges of numbers, both ends included, in ascending order."""

_MOST_RANGES: Final = 100
_MOST_SKIPPED: Final = 10_000  # events at once: beyond that a server counts otherwise, or errs

Noted: TypeAlias = Literal["whole", "missing", "jump"]
"""Whether events are missing; after a jump of the numbers nobody knows."""


class Numbers(NamedTuple):
    """The highest event number seen, and the numbers below it that never arrived."""

    last: int | None = None
    missing: Ranges = ()


def after(known: Numbers, status: Status) -> Numbers:
    """What is known after one more notification.

    The first one is where counting begins. A handshake that counts fewer events than are known is
    that of a Subscription which counts anew.
    """
    numbers = sorted({event.number for event in status.events if event.number is not None})
    total = status.events_since_start
    if status.type == "handshake" and total is not None and total < (known.last or 0):
        known = Numbers()
    if known.last is None:
        first = numbers[0] - 1 if numbers else total
        known = Numbers(None if first is None else max(first, 0))
    for number in numbers:
        known = _with(known, number)
        if len(known.missing) > 2 * _MOST_RANGES:
            known = Numbers(known.last, _bounded(known.missing))
    if known.last is not None and total is not None and total > known.last:
        known = Numbers(total, (*known.missing, (known.last + 1, total)))
    return Numbers(known.last, _bounded(known.missing))


def is_jump(known: Numbers, status: Status) -> bool:
    """Whether a notification skips more events than can have been lost."""
    numbers = [event.number for event in status.events if event.number is not None]
    if status.events_since_start is not None:
        numbers.append(status.events_since_start)
    if not numbers:
        return False
    first = min(numbers) if known.last is None else known.last
    return max(numbers) - first > _MOST_SKIPPED


def _with(numbers: Numbers, number: int) -> Numbers:
    last = numbers.last or 0
    if number > last:
        skipped = ((last + 1, number - 1),) if number > last + 1 else ()
        return Numbers(number, (*numbers.missing, *skipped))
    return Numbers(numbers.last, tuple(_without(numbers.missing, number)))


def _without(ranges: Ranges, number: int) -> Iterable[tuple[int, int]]:
    for first, last in ranges:
        if not first <= number <= last:
            yield first, last
            continue
        if first < number:
            yield first, number - 1
        if number < last:
            yield number + 1, last


def _bounded(ranges: Ranges) -> Ranges:
    """No more than are worth asking for one by one: the oldest become one."""
    if len(ranges) <= _MOST_RANGES:
        return ranges
    rest = ranges[-_MOST_RANGES + 1 :]
    return ((ranges[0][0], ranges[-_MOST_RANGES][1]), *rest)


def note(connection: Connection, path: str, status: Status, *, numbered: bool) -> Noted:
    """Keep what a notification says of its Subscription; whether events are missing now.

    Within a transaction, in which other notifications of the Subscription wait. After a jump
    counting begins with the next notification.
    """
    table = subscriptions.c
    row = connection.execute(
        select(table.last_event, table.missing).where(table.path == path).with_for_update()
    ).one()
    values: dict[str, Any] = {"status": status.status} if status.status else {}
    known = numbers_in(row)
    jumps = numbered and is_jump(known, status)
    if numbered:
        known = Numbers() if jumps else after(known, status)
        values |= {"last_event": known.last, "missing": [list(span) for span in known.missing]}
    if values:
        connection.execute(update(subscriptions).where(table.path == path).values(**values))
    if jumps:
        return "jump"
    return "missing" if known.missing else "whole"


def forget(connection: Connection, path: str, ranges: Ranges) -> Ranges:
    """Take back that these are missing; those that are missing still."""
    table = subscriptions.c
    row = connection.execute(
        select(table.last_event, table.missing).where(table.path == path).with_for_update()
    ).first()
    if row is None:
        return ()
    left = tuple(span for span in numbers_in(row).missing if span not in ranges)
    connection.execute(
        update(subscriptions)
        .where(table.path == path)
        .values(missing=[list(span) for span in left] or None)
    )
    return left


def missing_of(connection: Connection, path: str) -> Ranges:
    """The numbers that are missing."""
    table = subscriptions.c
    row = connection.execute(
        select(table.last_event, table.missing).where(table.path == path)
    ).first()
    return () if row is None else numbers_in(row).missing


def numbers_in(row: Any) -> Numbers:
    """What a row of the table knows."""
    return Numbers(row.last_event, tuple((first, last) for first, last in row.missing or ()))


def note_received(connection: Connection, path: str, now: datetime, since: datetime) -> None:
    """Keep when the Subscription was heard of last, unless that is known to be after `since`."""
    table = subscriptions.c
    is_old = (table.last_received.is_(None)) | (table.last_received < since)
    connection.execute(
        update(subscriptions).where(table.path == path, is_old).values(last_received=now)
    )
