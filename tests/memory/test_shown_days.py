# SPDX-License-Identifier: Apache-2.0
"""When cards were last shown, in memory, and what of it waits to be written."""

from datetime import timedelta

import pytest

from cds_service.memory.shown_days import ShownDays
from cds_service.store.store import ShownDay
from tests.store.store_fixtures import NOW

TODAY = NOW.date()
YESTERDAY = TODAY - timedelta(days=1)


def card(number: int) -> bytes:
    return number.to_bytes(8)


def test_the_last_day_counts_in_whatever_order_they_come() -> None:
    days = ShownDays()
    days.add([ShownDay(card(1), TODAY), ShownDay(card(1), YESTERDAY)])

    assert (days.day(card(1)), days.day(card(2)), len(days)) == (TODAY, None, 1)


def test_what_is_shown_is_known_at_once_and_written_once_a_day() -> None:
    days = ShownDays()
    days.show([card(1)], YESTERDAY)
    days.show([card(1), card(2)], TODAY)
    days.show([card(1)], TODAY)

    assert days.day(card(1)) == TODAY
    waiting = [(card(1), YESTERDAY), (card(1), TODAY), (card(2), TODAY)]
    assert list(days.take(2)) == waiting[:2]
    assert list(days.take(10)) == waiting[2:]


def test_what_was_read_is_not_written_again() -> None:
    days = ShownDays()
    days.add([ShownDay(card(1), TODAY)])
    days.show([card(1)], TODAY)

    assert days.take(10) == ()


def test_what_could_not_be_written_comes_first_the_next_time() -> None:
    days = ShownDays()
    days.show([card(1)], TODAY)
    taken = days.take(10)
    days.show([card(2)], TODAY)

    days.give_back(taken)

    assert [day.card for day in days.take(10)] == [card(1), card(2)]


def test_what_is_too_old_is_forgotten() -> None:
    days = ShownDays()
    days.add([ShownDay(card(1), YESTERDAY), ShownDay(card(2), TODAY)])

    days.forget(TODAY)

    assert (days.day(card(1)), days.day(card(2))) == (None, TODAY)


def test_only_so_many_are_held_those_shown_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_service.memory.shown_days._MOST", 20)
    monkeypatch.setattr("cds_service.memory.shown_days._MOST_WAITING", 10)
    days = ShownDays()
    days.show([card(n) for n in range(20)], YESTERDAY)
    days.show([card(0), card(20)], TODAY)

    assert [n for n in range(21) if days.day(card(n)) is None] == [1, 2, 3]
    assert len(days.take(100)) <= 10
