# SPDX-License-Identifier: Apache-2.0
"""What is removed after its time, in small batches, and what stays."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import insert

from cds_service.settings import Settings
from cds_service.store import Store, open_store
from cds_service.store.advice import STANDING, AdviceState, AdviceTable
from cds_service.store.tables import advice_written, decisions, inbox_items
from cds_service.subscriptions import retention as module
from cds_service.subscriptions.inbox import Inbox, InboxLimits
from cds_service.subscriptions.inbox_insert import patient_of
from cds_service.subscriptions.replay import replay
from cds_service.subscriptions.retention import Retention, retention_times
from cds_service.subscriptions.worker_setup import make_worker, open_tools
from tests.store.test_advice import advice
from tests.subscriptions.inbox_fixtures import (
    HOUR,
    NOW,
    SECOND,
    SERVER,
    Hands,
    arrival,
    decided,
    rows,
    states,
)
from tests.web.http_fixtures import knowledge

DAY = timedelta(days=1)
CANCELLED: tuple[AdviceState, ...] = ("cancelled",) * 5


@pytest.fixture(name="hands")
def _hands(store: Store) -> Hands:
    return Hands(Inbox(store.database, InboxLimits(attempts=1)))


def purge(store: Store, later: timedelta, *, longest_quiet: int = 0) -> int:
    """How many batches it took to remove what is old by then, by the times that are usual."""
    times = retention_times(Settings(), longest_quiet)
    purging = Retention(database=store.database, times=times)
    batches = 1
    while purging.purge_some(NOW + later):
        batches += 1
    return batches


def keep(store: Store, *states: AdviceState, **more: Any) -> None:
    """Advice in these states, last changed now."""
    table = AdviceTable(store.database)
    for number, state in enumerate(states):
        row = advice(state=state, identifier=f"i{number}", marker=f"m{number}", **more)
        table.begin([row], NOW)


def test_what_a_decision_was_derived_from_goes_before_the_decision(
    hands: Hands, store: Store
) -> None:
    hands.add(arrival(1))
    hands.after(SECOND).drain()
    ((number, kept),) = [(row.id, row.input) for row in rows(store, decisions)]
    assert kept

    purge(store, 29 * DAY)
    assert [row.input for row in rows(store, decisions)] == [kept]

    purge(store, 31 * DAY)
    (row,) = rows(store, decisions)
    assert (row.input, row.findings) == (b"", [{"about": "Observation/o1/1"}])
    found = replay(knowledge(), store.database, number)
    assert found is not None
    assert (found.is_gone, found.is_same) == (True, False)

    purge(store, 366 * DAY)
    assert rows(store, decisions) == []


def test_items_go_once_they_are_done(hands: Hands, store: Store) -> None:
    hands.add(arrival(1))
    hands.after(SECOND).drain()
    hands.add(arrival(2), arrival(3, patient="p2"))
    hands.after(SECOND)
    hands.inbox.fail(hands.lease(), "crash", hands.now, retry=False)
    before = states(store)
    assert before == {("done", ""): 1, ("dead", "crash"): 1, ("waiting", ""): 1}

    purge(store, 29 * DAY)
    assert states(store) == before

    purge(store, 1000 * DAY)
    assert states(store) == {("dead", "crash"): 1, ("waiting", ""): 1}


def test_advice_that_is_open_stays(store: Store) -> None:
    keep(store, *get_args(AdviceState))

    purge(store, 364 * DAY)
    assert len(rows(store, advice_written)) == len(get_args(AdviceState))

    purge(store, 1000 * DAY)
    assert {row.state for row in rows(store, advice_written)} == STANDING | {"writing"}


def test_advice_stays_for_as_long_as_it_may_keep_a_card_quiet(store: Store) -> None:
    keep(store, "left-alone")

    purge(store, 366 * DAY, longest_quiet=400)
    assert len(rows(store, advice_written)) == 1

    purge(store, 402 * DAY, longest_quiet=400)
    assert rows(store, advice_written) == []


def test_whose_result_was_deleted_is_known_as_long_as_its_advice_is(
    hands: Hands, store: Store
) -> None:
    hands.add(arrival(1))
    hands.after(SECOND).drain()
    keep(store, "open", server=SERVER, result="Observation/o1")

    purge(store, 40 * DAY)

    assert rows(store, inbox_items) == []
    with store.database.reading() as connection:
        assert patient_of(connection, SERVER, "Observation", "o1") == "p1"
        assert patient_of(connection, SERVER, "Observation", "o2") == ""


def test_it_is_done_in_small_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    keep(store, *CANCELLED)

    assert purge(store, 1000 * DAY) == 3
    assert rows(store, advice_written) == []


def test_the_worker_goes_on_until_nothing_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    store = open_store("sqlite://")
    keep(store, *CANCELLED)
    now = NOW + 1000 * DAY
    tools = open_tools(Settings(profile="development"), store, lambda: now)
    worker = make_worker(tools, lambda _: decided)
    left = []
    for _ in range(4):
        worker._look_after()
        left.append(len(rows(store, advice_written)))
        now += 2 * SECOND
    keep(store, "cancelled")
    worker._look_after()
    assert (left, len(rows(store, advice_written))) == ([3, 1, 0, 0], 1)

    now += HOUR
    worker._look_after()
    assert rows(store, advice_written) == []
    store.close()


def test_nothing_of_a_patient_is_left_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "service.db"
    store = open_store(f"sqlite:///{file}")
    canary = b"a-canary-of-a-patient" * 2000
    hands = Hands(Inbox(store.database))
    hands.add(arrival(1))
    lease = hands.after(SECOND).lease()
    hands.inbox.finish(lease, decided(lease.work), hands.now)
    with store.database.writing() as connection:
        values = {**rows(store, decisions)[0]._asdict(), "id": 99, "input": canary}
        connection.execute(insert(decisions).values(**values))
    assert canary[:21] in content(file)

    purge(store, 40 * DAY)

    assert canary[:21] not in content(file)
    store.close()


def content(file: Path) -> bytes:
    """All that SQLite has in its files, with the log brought into the main one."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return b"".join(path.read_bytes() for path in file.parent.iterdir())


def test_the_inputs_to_remove_are_found_by_their_index() -> None:
    store = open_store("sqlite://")
    query = "SELECT id FROM decisions WHERE decided < ? AND length(input) > 0 LIMIT 50"
    with store.database.reading() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("2026-01-01",)).all()
    assert "decisions_input" in str(plan)
    store.close()
