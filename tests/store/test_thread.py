# SPDX-License-Identifier: Apache-2.0
"""The thread that speaks to the database: what is asked of it, and a database that hangs."""

import gc
import subprocess
import sys
from functools import partial
from pathlib import Path
from threading import Event, current_thread

import pytest

from cds_service.errors import StoreError
from cds_service.store import open_store
from cds_service.store.report import report
from cds_service.store.thread import DatabaseThread

LONG = 60.0  # seconds; a thread that does not come in this time does not come


def test_jobs_are_done_in_their_order_by_one_thread() -> None:
    thread = DatabaseThread("jobs", patience=LONG)

    done = list[tuple[int, str]]()

    def job(number: int) -> None:
        done.append((number, current_thread().name))

    for number in range(5):
        last = thread.submit(partial(job, number))
    last.result(LONG)

    assert done == [(number, "jobs") for number in range(5)]
    assert thread.ask(lambda: 7) == 7
    thread.finish()


def test_an_error_is_that_of_whoever_asked() -> None:
    thread = DatabaseThread("jobs", patience=LONG)

    def fail() -> None:
        raise StoreError("away")

    with pytest.raises(StoreError, match="away"):
        thread.ask(fail)
    assert thread.ask(lambda: 7) == 7
    thread.finish()


def test_whoever_asks_waits_only_so_long_and_then_not_at_all() -> None:
    thread = DatabaseThread("jobs", patience=0.01)
    begun, go, late = Event(), Event(), list[int]()

    def hang() -> None:
        begun.set()
        assert go.wait(LONG)
        late.append(1)

    with pytest.raises(StoreError, match="in time"):
        thread.ask(hang)
    assert begun.wait(LONG)
    while not thread.is_held_up:
        pass
    with pytest.raises(StoreError, match="does not answer"):
        thread.ask(lambda: late.append(2))

    go.set()
    thread.finish()
    assert late == [1]  # what was begun is done, what nobody waits for is not begun


def test_there_are_rounds_between_jobs_and_one_at_the_end() -> None:
    rounds = list[str]()
    first = Event()

    def turn() -> None:
        rounds.append(current_thread().name)
        first.set()
        raise ValueError("a failure does not end the thread")

    thread = DatabaseThread("rounds", turn)
    thread.start()
    assert first.wait(LONG)
    before = len(rounds)
    thread.finish()

    assert len(rounds) > before
    assert set(rounds) == {"rounds"}


def test_a_thread_that_nobody_uses_any_more_ends_with_a_last_round() -> None:
    rounds, last = list[int](), Event()

    def turn() -> None:
        rounds.append(1)
        last.set()

    thread = DatabaseThread("rounds", turn)
    own = thread._thread()._thread
    thread.start()
    del thread
    gc.collect()
    own.join(LONG)

    assert not own.is_alive()
    assert last.is_set()


# A program of its own: a test run holds what other tests left, such as the threads of DuckDB.
FORKING = """
import os
from cds_service.store.thread import DatabaseThread
thread = DatabaseThread("jobs")
assert thread.ask(os.getpid) == os.getpid()
child = os.fork()
if child == 0:
    os._exit(0 if thread.ask(os.getpid) == os.getpid() else 1)
assert os.waitpid(child, 0)[1] == 0
thread.finish()
"""


def test_a_process_that_is_forked_has_a_thread_of_its_own() -> None:
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=60)


PROGRAM = """
import sys
from cds_service.memory.counts import CardCounts
from cds_service.store import open_store
from cds_service.store.thread import DatabaseThread
from tests.store.store_fixtures import shown
store, counts = open_store(sys.argv[1]), CardCounts()
thread = DatabaseThread("cards", lambda: store.add_counts(counts.take()))
thread.start()
for n in range(200):
    counts.add({str(n): shown()})
"""


def test_a_program_that_ends_writes_what_is_waiting(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    subprocess.run([sys.executable, "-c", PROGRAM, url], check=True, cwd=Path(__file__).parents[2])
    store = open_store(url)

    assert [rule.shown for rule in report(store, ()).rules] == [200]
    store.close()
