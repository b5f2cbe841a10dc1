# SPDX-License-Identifier: Apache-2.0
"""Every token is used once, whoever asks; a database that hangs keeps no call waiting."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue

import psycopg
import pytest

from cds_service.store import Store, open_store
from cds_service.store.files import LocalFile
from cds_service.store.local_tokens import LocalTokens
from cds_service.store.used_tokens import (
    AcrossMachines,
    TokenReplay,
    UncheckedUses,
    Unsure,
    open_replay,
)
from tests.store.store_fixtures import CLIENT, NOW

SOON = NOW + timedelta(minutes=5)
LONG = 60  # seconds


def tokens_in(path: Path) -> LocalTokens:
    return LocalTokens(LocalFile(path, among_others=False))


@pytest.fixture(name="store")
def _store(database: str) -> Iterator[Store]:
    store = open_store(database)
    yield store
    store.close()


def ignore(_: Unsure) -> None:
    """Under load the database may not answer in time."""


@pytest.fixture(name="replay")
def _replay(store: Store) -> Iterator[TokenReplay]:
    replay = open_replay(store, ignore)
    yield replay
    replay.close()


def use(replay: TokenReplay, name: str, issuer: str = CLIENT) -> bool:
    return replay.first_use(issuer, name, until=SOON, now=NOW)


def test_a_token_is_used_once(replay: TokenReplay) -> None:
    uses = [use(replay, "a"), use(replay, "a"), use(replay, "b"), use(replay, "a", "other")]

    assert uses == [True, False, True, True]


def test_issuer_and_name_are_kept_apart(replay: TokenReplay) -> None:
    assert use(replay, "bc", "a")
    assert use(replay, "c", "ab")


def test_any_name_can_be_remembered(replay: TokenReplay) -> None:
    assert use(replay, "\ud800\0" * 1000)
    assert not use(replay, "\ud800\0" * 1000)


def test_of_many_at_once_exactly_one_is_first(replay: TokenReplay) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: use(replay, "many"), range(24)))

    assert sum(found) == 1


def test_what_has_ended_is_forgotten(tmp_path: Path) -> None:
    tokens = tokens_in(tmp_path / "tokens")
    assert tokens.add(b"old", until=SOON, now=NOW)
    assert not tokens.add(b"old", until=SOON, now=SOON)

    assert tokens.add(b"old", until=SOON + timedelta(hours=1), now=SOON + timedelta(minutes=6))


def test_a_file_of_tokens_that_is_removed_is_made_anew(tmp_path: Path) -> None:
    first, second = (
        tokens_in(tmp_path / "tokens"),
        tokens_in(tmp_path / "tokens"),
    )
    assert first.add(b"a", until=SOON, now=NOW)
    for file in tmp_path.iterdir():
        file.unlink()

    assert first.add(b"b", until=SOON, now=NOW)
    assert not second.add(b"b", until=SOON, now=NOW)


def test_without_a_file_the_call_is_let_in_and_reported(tmp_path: Path) -> None:
    found: list[Unsure] = []
    replay = TokenReplay(
        tokens_in(tmp_path / "no" / "folder" / "tokens"),
        None,
        found.append,
    )

    assert replay.first_use(CLIENT, "a", until=SOON, now=NOW)
    assert found == ["unchecked"]


def test_a_folder_that_anyone_could_have_made_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    found: list[Unsure] = []
    replay = TokenReplay(
        LocalTokens(LocalFile(tmp_path / "link" / "tokens", among_others=True)), None, found.append
    )

    assert replay.first_use(CLIENT, "a", until=SOON, now=NOW)
    assert found == ["unchecked"]


def test_a_link_beside_the_database_is_the_operators_own(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "volume")
    tokens = tokens_in(tmp_path / "link" / "tokens")

    assert tokens.add(b"a", until=SOON, now=NOW)
    assert not tokens.add(b"a", until=SOON, now=NOW)


@contextmanager
def locked(url: str) -> Iterator[None]:
    """The table of tokens is locked by somebody else, so that whoever asks it has to wait."""
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE tokens_used IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()


@pytest.mark.database
def test_a_token_of_another_machine_is_known_to_the_database(postgres_url: str) -> None:
    store = open_store(postgres_url)
    first, second = UncheckedUses(store), UncheckedUses(store)
    used = [first.add(b"shared", SOON, NOW), first.add(b"first", SOON, NOW)]
    first.check()
    again = [second.add(b"shared", SOON, NOW), second.add(b"second", SOON, NOW)]
    second.check()

    assert [future.result(0) for future in used] == [True, True]
    assert [future.result(0) for future in again] == [False, True]
    third = UncheckedUses(store)
    third.add(b"new", SOON + timedelta(hours=1), SOON + timedelta(minutes=1))
    third.check()
    with store.database.reading() as connection:  # the others have ended
        assert len(connection.exec_driver_sql("SELECT * FROM tokens_used").all()) == 1
    store.close()


@pytest.mark.database
def test_r1_while_the_database_hangs_calls_are_let_in_and_checked_afterwards(
    postgres_url: str, tmp_path: Path
) -> None:
    store, found = open_store(postgres_url), SimpleQueue[Unsure]()

    def machine(name: str) -> TokenReplay:
        local, across = (
            tokens_in(tmp_path / name),
            AcrossMachines(store, found.put),
        )
        return TokenReplay(local, across, found.put)

    first, second = machine("first"), machine("second")
    with locked(postgres_url):
        assert [use(first, "hung"), use(second, "hung"), use(second, "new")] == [True, True, True]
        assert not use(second, "hung")  # this machine knows
        assert [found.get(timeout=LONG) for _ in range(3)] == ["unchecked"] * 3

    assert found.get(timeout=LONG) == "replayed"
    first.close()
    second.close()
    store.close()


@pytest.mark.parametrize("again", [1, 2])
def test_a_token_that_waits_to_be_checked_is_not_the_first_again(store: Store, again: int) -> None:
    uses = UncheckedUses(store)

    first, *others = (uses.add(b"a", SOON, NOW) for _ in range(again + 1))

    assert [other.result(LONG) for other in others] == [False] * again
    assert not first.done()
