# SPDX-License-Identifier: Apache-2.0
"""The days on which cards that may be quiet were shown, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from cds_service.store import Store, open_store
from cds_service.store.store import ShownDay
from cds_service.store.tables import quiet_cards
from tests.store.store_fixtures import NOW, add, overridden

TODAY = NOW.date()
ROWS = [ShownDay(number.to_bytes(8), TODAY - timedelta(days=number)) for number in range(5)]


@pytest.fixture(name="store")
def _store(database: str) -> Iterator[Store]:
    store = open_store(database)
    yield store
    store.close()


def all_of(store: Store) -> set[ShownDay]:
    return set(store.shown_days(since=TODAY - timedelta(days=99), at_most=100)[0])


def test_days_come_out_as_they_went_in_each_once(store: Store) -> None:
    store.add_shown_days(ROWS)
    store.add_shown_days([ROWS[0], ROWS[1]._replace(day=TODAY)])
    store.add_shown_days([])

    assert all_of(store) == {*ROWS, ROWS[1]._replace(day=TODAY)}


def test_nothing_is_kept_but_the_hash_and_the_day(store: Store) -> None:
    store.add_shown_days(ROWS[:1])

    with store.database.reading() as connection:
        (row,) = connection.execute(select(quiet_cards)).mappings().all()
    assert {**row, "card": bytes(row["card"]), "id": 1} == {
        "id": 1,
        "card": ROWS[0].card,
        "day": TODAY,
    }


def test_they_are_read_in_parts_by_their_ids(store: Store) -> None:
    assert store.newest_shown_day() == 0
    store.add_shown_days(ROWS)
    everything, since = ROWS[-1].day, ROWS[2].day

    first, last = store.shown_days(since=everything, at_most=3)
    rest, newest = store.shown_days(since=everything, after=last, at_most=3)

    assert {*first, *rest} == set(ROWS)
    assert (len(first), newest) == (3, store.newest_shown_day())
    assert store.shown_days(since=everything, after=newest, at_most=3) == ((), newest)
    assert set(store.shown_days(since=since, at_most=9)[0]) == set(ROWS[:3])


def test_old_ones_are_removed_and_the_rest_stays(store: Store) -> None:
    store.add_shown_days(ROWS)

    assert store.purge_shown_days(before=ROWS[2].day) == 2
    assert all_of(store) == set(ROWS[:3])


def test_purging_feedback_takes_them_along(store: Store) -> None:
    store.add_shown_days(ROWS)
    add(store, overridden())

    assert store.purge_some(before=NOW - timedelta(days=1)) == 0
    assert store.purge(before=NOW - timedelta(days=1)) == 3
    assert all_of(store) == set(ROWS[:2])
