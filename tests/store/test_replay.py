# SPDX-License-Identifier: Apache-2.0
"""Every token is used once, by whatever process asks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from cds_service.errors import StoreError
from cds_service.store import Store, open_store
from cds_service.store.replay import StoreReplay
from tests.store.store_fixtures import CLIENT, NOW

SOON = NOW + timedelta(minutes=5)


@pytest.fixture(name="store")
def _store(database: str) -> Iterator[Store]:
    store = open_store(database)
    yield store
    store.close()


def use(store: Store, name: str = "a", issuer: str = CLIENT, after: int = 0) -> bool:
    """Use a token, some minutes after the others."""
    later = timedelta(minutes=after)
    return StoreReplay(store).first_use(issuer, name, until=SOON + later, now=NOW + later)


def test_a_token_is_used_once(store: Store) -> None:
    assert [use(store), use(store), use(store, "b"), use(store, issuer="other")] == [
        True,
        False,
        True,
        True,
    ]


def test_issuer_and_name_are_kept_apart(store: Store) -> None:
    assert use(store, "bc", "a")
    assert use(store, "c", "ab")


def test_any_name_can_be_remembered(store: Store) -> None:
    assert use(store, "\ud800\0" * 1000)
    assert not use(store, "\ud800\0" * 1000)


def test_it_is_remembered_after_a_restart(database: str) -> None:
    first, second = open_store(database), open_store(database)

    assert [use(first), use(second)] == [True, False]
    first.close()
    second.close()


def test_what_has_ended_is_forgotten(store: Store) -> None:
    use(store, "old")
    use(store, "new", after=6)

    with store.database.reading() as connection:
        assert len(connection.exec_driver_sql("SELECT * FROM tokens_used").all()) == 1


def test_of_many_at_once_exactly_one_is_first(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: use(store), range(24)))

    assert sum(found) == 1


def test_without_a_database_it_cannot_be_told(store: Store) -> None:
    store.close()

    with pytest.raises(StoreError):
        use(store)
