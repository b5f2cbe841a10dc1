# SPDX-License-Identifier: Apache-2.0
"""A token is used once, whoever asks: threads, processes, restarts."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from cds_service.store import Store, open_store
from cds_service.store.used_tokens import Unsure, open_replay
from cds_service.trust.used_tokens import ReplayStore
from tests.trust.signing import Site, es384, refused, settings_for, site
from tests.web.http_fixtures import NOW

UNTIL = NOW + timedelta(seconds=360)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield store
    store.close()


@pytest.fixture(name="replay")
def _replay(store: Store) -> ReplayStore:
    return open_replay(store, no_doubt)


def no_doubt(found: Unsure) -> None:
    pytest.fail(f"one machine alone is never in doubt: {found}")


def test_the_first_use_counts_and_no_other(replay: ReplayStore) -> None:
    assert replay.first_use("a", "1", until=UNTIL, now=NOW)
    assert not replay.first_use("a", "1", until=UNTIL, now=NOW)
    assert not replay.first_use("a", "1", until=UNTIL + timedelta(days=1), now=NOW)
    assert replay.first_use("b", "1", until=UNTIL, now=NOW)
    assert replay.first_use("a", "2", until=UNTIL, now=NOW)


def test_issuer_and_name_do_not_run_together(replay: ReplayStore) -> None:
    assert replay.first_use("ab", "c", until=UNTIL, now=NOW)
    assert replay.first_use("a", "bc", until=UNTIL, now=NOW)
    assert replay.first_use("abc", "", until=UNTIL, now=NOW)
    assert replay.first_use("1:a", "b", until=UNTIL, now=NOW)
    assert replay.first_use("1", ":ab", until=UNTIL, now=NOW)


def test_a_name_can_be_any_text(replay: ReplayStore) -> None:
    for name in ("x" * 8000, "\u0000", "'; drop table tokens_used; --", "\ud800", "ÄÖ"):
        assert replay.first_use("a", name, until=UNTIL, now=NOW)
        assert not replay.first_use("a", name, until=UNTIL, now=NOW)


def test_a_token_that_ended_is_forgotten(replay: ReplayStore) -> None:
    assert replay.first_use("a", "1", until=UNTIL, now=NOW)

    assert not replay.first_use("a", "1", until=UNTIL, now=UNTIL)
    after = UNTIL + timedelta(seconds=61)
    assert replay.first_use("a", "1", until=after + timedelta(seconds=360), now=after)


def test_of_many_threads_one_is_first(replay: ReplayStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        for round_ in range(10):
            uses = pool.map(
                lambda _, name=str(round_): replay.first_use("a", name, until=UNTIL, now=NOW),
                range(16),
            )
            assert sum(uses) == 1


def test_a_file_that_another_process_holds_may_be_waited_for(tmp_path: Path, store: Store) -> None:
    reported: list[Unsure] = []
    replay = open_replay(store, reported.append)
    assert replay.first_use("a", "1", until=UNTIL, now=NOW)
    other = sqlite3.connect(tmp_path / "store.db-tokens", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    assert replay.first_use("a", "2", until=UNTIL, now=NOW)
    assert (replay.may_wait, reported) == (True, ["unchecked"])

    other.execute("ROLLBACK")
    other.close()
    assert replay.first_use("a", "3", until=UNTIL, now=NOW)
    assert replay.first_use("a", "4", until=UNTIL, now=NOW)
    assert not replay.may_wait


def in_another_process(url: str) -> list[bool]:
    store = open_store(url)
    replay = open_replay(store, no_doubt)
    found = [replay.first_use("a", str(number), until=UNTIL, now=NOW) for number in range(50)]
    store.close()
    return found


def test_ch_jwt_014_of_many_processes_one_is_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    open_store(url).close()

    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(in_another_process, [url] * 4))

    assert [sum(uses) for uses in zip(*found, strict=True)] == [1] * 50


def test_ch_jwt_014_t52_a_token_is_used_once_across_services_and_restarts(tmp_path: Path) -> None:
    place = site(tmp_path)
    database = SecretStr(f"sqlite:///{tmp_path / 'store.db'}")
    settings = settings_for(place.file, database_url=database)
    first, second = Site(place.file, settings), Site(place.file, settings)
    token = es384().token()

    assert first.call(token).status_code == 200
    refused(second, token, "replayed")
    refused(Site(place.file, settings), token, "replayed")


def test_when_the_store_fails_nobody_is_let_in(tmp_path: Path) -> None:
    class Broken:
        may_wait = True

        def first_use(self, *_: object, **__: object) -> bool:
            raise OSError

    place = site(tmp_path)
    broken = Site(place.file, settings_for(place.file), replay=Broken())

    assert broken.call(es384().token()).status_code == 500
    assert broken.call(es384("forger").token()).status_code == 401


@pytest.mark.database
def test_r1_a_database_that_hangs_keeps_no_registered_client_waiting(
    tmp_path: Path, postgres_url: str
) -> None:
    place = site(tmp_path, database_url=SecretStr(postgres_url))
    token = es384().token()

    with psycopg.connect(postgres_url.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE tokens_used IN ACCESS EXCLUSIVE MODE")
        response = place.call(token)
        refused(place, token, "replayed")  # by the same machine
        metrics = place.http.get("/metrics").text.splitlines()
        other.rollback()

    assert (response.status_code, len((response.json or {})["cards"])) == (200, 1)
    assert "cds_replay_unchecked_total 1.0" in metrics
    place.http.application.extensions["memory"].close()
