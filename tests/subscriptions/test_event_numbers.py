# SPDX-License-Identifier: Apache-2.0
"""Which events are missing, as notifications come in whatever order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.subscriptions.event_numbers import Numbers, after, is_jump
from cds_service.subscriptions.notification_status import Event, Status, StatusType


def status(
    *numbers: int, total: int | None = None, kind: StatusType = "event-notification"
) -> Status:
    return Status(
        type=kind,
        subscription="",
        topic="",
        status="",
        events_since_start=total,
        events=tuple(Event(number=n, focus="", where="$") for n in numbers),
        has_error=False,
    )


def known(*statuses: Status) -> Numbers:
    found = Numbers()
    for status in statuses:
        found = after(found, status)
    return found


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([status(1), status(2)], Numbers(2)),
        ([status(21), status(23)], Numbers(23, ((22, 22),))),
        ([status(21), status(23), status(22)], Numbers(23)),
        ([status(21), status(22, 23, 24)], Numbers(24)),
        ([status(5), status(5), status(4)], Numbers(5)),
        ([status(1), status(9), status(4)], Numbers(9, ((2, 3), (5, 8)))),
        ([status(kind="handshake", total=0), status(3, total=3)], Numbers(3, ((1, 2),))),
        ([status(1), status(kind="heartbeat", total=4)], Numbers(4, ((2, 4),))),
        ([status(1), status(kind="heartbeat", total=1)], Numbers(1)),
        ([status(7), status(kind="handshake", total=0), status(1)], Numbers(1)),
        ([status(kind="heartbeat")], Numbers()),
    ],
)
def test_what_is_missing(statuses: list[Status], expected: Numbers) -> None:
    assert known(*statuses) == expected


def test_a_thousand_gaps_are_kept_as_a_hundred() -> None:
    found = known(*(status(n) for n in range(1, 2001, 2)))

    assert len(found.missing) == 100
    assert (found.missing[0][0], found.missing[-1]) == (2, (1998, 1998))


@pytest.mark.parametrize(
    ("last", "arrived_status", "jumps"),
    [
        (5, status(9_000_000_000_000_000_000), True),
        (5, status(kind="heartbeat", total=9_000_000_000_000_000_000), True),
        (None, status(7, total=2**63 - 1), True),
        (None, status(2**62), False),  # where counting begins
        (5, status(10_005), False),
        (5, status(kind="handshake", total=0), False),
        (5, status(), False),
    ],
)
def test_a_jump_is_more_than_can_have_been_lost(
    last: int | None, arrived_status: Status, jumps: bool
) -> None:
    assert is_jump(Numbers(last), arrived_status) is jumps


@given(st.permutations(range(1, 13)), st.integers(0, 12))
def test_no_order_makes_an_event_be_missed_or_counted_as_missing(
    order: list[int], came: int
) -> None:
    found = after(Numbers(0), status(total=None))
    for number in order[:came]:
        found = after(found, status(number))

    missing = {n for first, last in found.missing for n in range(first, last + 1)}
    highest = max(order[:came], default=0)
    assert missing == set(range(1, highest + 1)) - set(order[:came])
