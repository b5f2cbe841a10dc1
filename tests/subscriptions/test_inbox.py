# SPDX-License-Identifier: Apache-2.0
"""The inbox on SQLite and PostgreSQL: what is kept, who works on it, and what becomes of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from cds_service.store import Store
from cds_service.store.tables import decisions, inbox_items
from cds_service.subscriptions.inbox import Inbox, InboxLimits
from cds_service.subscriptions.inbox_insert import Arrival
from cds_service.subscriptions.inbox_list import InboxList, InboxWatch
from cds_service.subscriptions.notified_resource import NotifiedResource
from cds_service.subscriptions.queue import enqueue
from cds_service.subscriptions.read_resource import resolve
from cds_service.subscriptions.work import LeaseLost
from tests.subscriptions.inbox_fixtures import (
    HOUR,
    NOW,
    SECOND,
    SERVER,
    Hands,
    arrival,
    decided,
    findings,
    queued,
    result,
    rows,
    states,
)

DONE, SUPERSEDED = ("done", ""), ("done", "superseded")


@pytest.fixture
def hands(store: Store) -> Hands:
    return Hands(Inbox(store.database, InboxLimits(attempts=3)))


def test_a_panel_of_twelve_results_makes_one_decision(hands: Hands, store: Store) -> None:
    for number in range(12):
        hands.add(arrival(number))
    assert hands.rests()

    hands.after(SECOND).drain()

    assert len(findings(store)) == 1
    assert states(store) == {DONE: 12}
    assert queued(store) == []


def test_results_are_gathered_for_as_long_as_the_server_says(store: Store) -> None:
    hands = Hands(Inbox(store.database, settling=lambda server: len(server) * SECOND))
    hands.add(arrival())

    assert hands.after((len(SERVER) - 1) * SECOND).rests()
    assert len(hands.after(SECOND).lease().items) == 1


def test_the_same_version_counts_once_however_often_it_comes(hands: Hands, store: Store) -> None:
    new = [hands.add(arrival(), arrival()) for _ in range(17)]
    hands.after(SECOND).drain()
    late = hands.add(arrival())

    assert (sum(new), late) == (1, 0)
    assert len(findings(store)) == 1
    assert hands.after(HOUR).rests()


@pytest.mark.parametrize("order", [(1, 2), (2, 1), (2, 1, 2)])
def test_the_higher_version_wins_whatever_the_order(
    hands: Hands, store: Store, order: tuple[int, ...]
) -> None:
    for version in order:
        hands.add(arrival(version=version))
    hands.after(SECOND).drain()

    assert findings(store) == [["Observation/o1/2"]]
    assert states(store) == {DONE: 1, SUPERSEDED: 1}


def test_an_older_version_that_comes_late_is_not_decided_on(hands: Hands, store: Store) -> None:
    hands.add(arrival(version=10))
    hands.after(SECOND).drain()
    hands.add(arrival(version=9))
    hands.after(SECOND).drain()

    assert findings(store) == [["Observation/o1/10"]]
    assert states(store) == {DONE: 1, SUPERSEDED: 1}


def test_versions_without_numbers_are_ordered_by_time(hands: Hands, store: Store) -> None:
    hands.add(arrival(version="b", updated=NOW), arrival(version="c", updated=NOW - SECOND))
    hands.after(SECOND).drain()

    assert findings(store) == [["Observation/o1/b"]]


def test_what_has_neither_version_nor_time_is_never_taken_for_a_repeat(hands: Hands) -> None:
    assert sum(hands.add(arrival(version="")) for _ in range(3)) == 3


def test_an_event_that_is_delivered_again_counts_once(hands: Hands) -> None:
    event = arrival(version="", event=7, event_time=NOW)

    assert [hands.add(event), hands.add(event)] == [1, 0]


def test_what_comes_after_a_deletion_has_to_be_read(hands: Hands, store: Store) -> None:
    gone = result(patient="", version="", gone=True, body=None)
    hands.add(arrival(version=1, updated=NOW))
    hands.after(SECOND).drain()

    hands.inbox.add([arrival(version=1)], hands.now)
    hands.add(Arrival(server=SERVER, subscription="path", resource=gone))
    hands.add(arrival(version=2, updated=hands.now - SECOND))
    lease = hands.after(SECOND).lease()

    assert [(item.unsure, item.version) for item in lease.items] == [(True, "2")]
    read = replace(lease.items[0], gone=True, body=None, updated=None)
    hands.finish(replace(lease, items=(read,)))
    assert states(store) == {DONE: 2, SUPERSEDED: 1}
    assert [row.gone for row in rows(store, inbox_items)] == [False, True, True]


def test_a_resource_that_comes_back_is_there_again(hands: Hands) -> None:
    gone = result(version="", gone=True, body=None)
    hands.add(Arrival(server=SERVER, subscription="path", resource=gone))
    hands.after(SECOND).drain()
    hands.add(arrival(version=3, updated=hands.now))

    (item,) = hands.after(SECOND).lease().items

    assert (item.gone, item.version) == (False, "3")


def test_what_comes_during_a_lease_is_decided_on_afterwards(hands: Hands, store: Store) -> None:
    hands.add(arrival(1))
    lease = hands.after(SECOND).lease()
    hands.add(arrival(2))
    assert hands.after(SECOND).rests()  # one worker for a patient at a time

    hands.finish(lease)
    hands.drain()

    assert findings(store) == [["Observation/o1/1"], ["Observation/o2/1"]]
    assert queued(store) == []


def test_a_worker_that_lost_its_lease_keeps_nothing(hands: Hands, store: Store) -> None:
    hands.add(arrival())
    first = hands.after(SECOND).lease("first")
    second = hands.after(timedelta(minutes=2)).lease("second")
    hands.finish(second)

    with pytest.raises(LeaseLost):
        hands.finish(first)
    with pytest.raises(LeaseLost):
        hands.inbox.fail(first, "broken", hands.now, retry=True)
    assert len(rows(store, decisions)) == 1


def test_a_lease_of_before_does_not_fit_a_row_of_the_same_patient(hands: Hands) -> None:
    hands.add(arrival(1))
    first = hands.after(SECOND).lease("first")
    hands.finish(hands.after(timedelta(minutes=2)).lease("second"))
    hands.add(arrival(2))
    hands.after(SECOND).lease("third")

    with pytest.raises(LeaseLost):
        hands.finish(first)


def test_a_decision_and_the_end_of_its_items_are_one(hands: Hands, store: Store) -> None:
    hands.add(arrival())
    lease = hands.after(SECOND).lease()

    def crash(*_: object) -> None:
        raise ZeroDivisionError

    decision = decided(lease.work)
    with pytest.raises(ZeroDivisionError):
        hands.inbox.finish(lease, replace(decision, also=crash), hands.now)

    assert rows(store, decisions) == []
    assert states(store) == {("waiting", ""): 1}


def test_one_item_that_always_fails_does_not_take_the_others_with_it(
    hands: Hands, store: Store
) -> None:
    hands.add(arrival(1), arrival(2), arrival(3), arrival(9, patient="p2"))
    for _ in range(20):
        lease = hands.inbox.lease("worker", hands.after(timedelta(minutes=1)).now)
        if lease is None:
            break
        if any(item.resource_id == "o2" for item in lease.items):
            hands.inbox.fail(lease, "crash", hands.now, retry=False)
        else:
            hands.finish(lease)

    assert states(store) == {DONE: 3, ("dead", "crash"): 1}
    assert queued(store) == []


def test_a_new_result_does_not_wait_for_the_pause_of_one_that_fails(hands: Hands) -> None:
    hands.add(arrival(1))
    for _ in range(2):
        hands.inbox.fail(hands.after(HOUR).lease(), "crash", hands.now, retry=False)
    hands.add(arrival(2))

    (item,) = hands.after(SECOND).lease().items

    assert item.resource_id == "o2"


def test_while_a_server_is_away_items_stay_together_for_a_day(hands: Hands, store: Store) -> None:
    hands.add(arrival(1), arrival(2))
    for _ in range(23):
        lease = hands.after(HOUR).lease()
        assert len(lease.items) == 2
        assert not hands.inbox.fail(lease, "unreachable", hands.now, retry=True)

    assert hands.inbox.fail(hands.after(HOUR).lease(), "unreachable", hands.now, retry=True)
    assert states(store) == {("dead", "unreachable"): 2}


def test_pauses_grow(hands: Hands) -> None:
    hands.add(arrival())
    waited = []
    for _ in range(6):
        before = hands.now
        while hands.inbox.lease("looks", hands.now) is None:
            hands.after(timedelta(milliseconds=500))
        waited.append(hands.now - before)
        hands.now += timedelta(minutes=2)  # the lease is over
        hands.inbox.fail(hands.lease(), "unreachable", hands.now, retry=True)

    assert waited[5] > 3 * waited[2]


def test_an_item_that_ends_its_worker_again_and_again_is_a_dead_letter(
    hands: Hands, store: Store
) -> None:
    hands.add(arrival(1))
    for _ in range(3):
        hands.after(HOUR).lease()

    assert hands.after(HOUR).lease().items == ()
    assert states(store) == {("dead", "worker-lost"): 1}


def test_a_search_that_is_asked_for_a_thousand_times_is_one_piece_of_work(
    hands: Hands, store: Store
) -> None:
    with store.database.writing() as connection:
        for _ in range(1000):
            enqueue(connection, SERVER, "search:path", NOW)

    hands.finish(hands.lease())

    assert hands.after(HOUR).rests()


def test_what_was_read_goes_to_its_patient(hands: Hands, store: Store) -> None:
    hands.add(arrival(1, version="", patient="", body=None), arrival(2, version="7"))
    lease = hands.lease()
    assert lease.key.startswith("item:")

    read = NotifiedResource(type="Observation", id="o1", version="3", patient="p1", body=b"{}")
    resolve(store.database, lease, read, hands.now, SECOND)
    hands.after(SECOND).drain()

    assert findings(store) == [["Observation/o1/3", "Observation/o2/7"]]
    assert hands.add(arrival(1, version=3)) == 0


@pytest.mark.parametrize(
    ("read", "state"),
    [
        (result(1, version="3", patient=""), ("done", "no-patient")),
        (result(1, gone=True, patient=""), ("done", "no-patient")),
        (result(1, version="5"), ("done", "repeated")),
    ],
)
def test_what_was_read_may_end_there(
    hands: Hands, store: Store, read: NotifiedResource, state: tuple[str, str]
) -> None:
    if read.version == "5":
        hands.add(arrival(1, version="5"))
        hands.after(SECOND).drain()
    with store.database.writing() as connection:
        connection.execute(inbox_items.update().values(patient=""))
    hands.add(arrival(1, version="", patient="", body=None))

    resolve(store.database, hands.lease(), read, hands.now, SECOND)

    assert states(store)[state] == 1
    assert queued(store) == []


def test_dead_letters_can_be_tried_again_or_dropped(hands: Hands, store: Store) -> None:
    listed = InboxList(store.database)
    hands.add(arrival(1, patient="p1"), arrival(2, patient="p2"))
    while (lease := hands.inbox.lease("worker", hands.after(HOUR).now)) is not None:
        hands.inbox.fail(lease, "crash", hands.now, retry=False)
    first, second = sorted(item.id for item in listed.items("dead", 10))
    assert listed.state().dead == 2

    assert listed.retry((first,), hands.now) == 1
    assert listed.drop(None, hands.now) == 1

    hands.drain()
    assert states(store) == {DONE: 1, ("done", "dropped"): 1}
    dropped = listed.item(second)
    assert dropped is not None
    assert dropped.body is None


def test_the_state_says_how_many_wait_and_since_when(hands: Hands, store: Store) -> None:
    hands.add(arrival(1))
    hands.after(HOUR).add(arrival(2))

    state = InboxList(store.database).state()

    assert (state.waiting, state.dead, state.oldest) == (2, 0, NOW)


def test_what_is_done_holds_no_resource(hands: Hands, store: Store) -> None:
    hands.add(arrival(1), arrival(2, patient="p2"))
    hands.after(SECOND).finish(hands.lease())
    listed = InboxList(store.database)
    assert [item.body is None for item in listed.items("done", 9)] == [True]


def test_a_row_that_cannot_be_leased_does_not_keep_the_others_waiting(
    hands: Hands, store: Store
) -> None:
    hands.add(arrival(1, patient="p1"))
    hands.add(arrival(2, patient="p2"))
    with store.database.writing() as connection:
        bad = inbox_items.c.resource_id == "o1"
        connection.execute(inbox_items.update().where(bad).values(body=b"not compressed"))
    for _ in range(60):
        hands.after(timedelta(minutes=1)).drain()

    assert findings(store) == [["Observation/o2/1"]]
    assert states(store) == {DONE: 1, ("dead", "crash"): 1}
    assert queued(store) == []


def test_a_body_that_cannot_be_read_is_no_matter_for_another_patient(
    hands: Hands, store: Store
) -> None:
    hands.add(arrival(1, 1, patient="p1"))
    with store.database.writing() as connection:
        connection.execute(inbox_items.update().values(body=b"not compressed"))
    hands.add(arrival(1, 2, patient="p2"))
    for _ in range(60):
        hands.after(timedelta(minutes=1)).drain()

    assert ["Observation/o1/2"] in findings(store)


def test_what_comes_while_a_server_is_away_does_not_undo_the_pauses(hands: Hands) -> None:
    tries = 0
    for number in range(60):
        hands.add(arrival(number))
        lease = hands.after(SECOND).inbox.lease("worker", hands.now)
        if lease is not None:
            tries += 1
            hands.inbox.fail(lease, "unreachable", hands.now, retry=True)

    assert tries <= 8
    hands.after(30 * SECOND)
    hands.add(arrival("new"))
    assert len(hands.after(SECOND).lease().items) == 61  # nobody waits for minutes


def test_a_dead_letter_that_is_tried_again_waits_for_no_pause(hands: Hands, store: Store) -> None:
    hands.add(arrival(1))
    hands.inbox.fail(hands.after(SECOND).lease(), "unreachable", hands.now, retry=True)
    with store.database.writing() as connection:
        connection.execute(inbox_items.update().values(state="dead"))

    InboxList(store.database).retry(None, hands.now)

    assert len(hands.lease().items) == 1


def test_thousands_of_results_are_kept_by_a_few_statements(hands: Hands, store: Store) -> None:
    database: Any = store.database
    statements: list[str] = []

    @event.listens_for(database.engine(), "before_cursor_execute")
    def _count(*arguments: Any) -> None:
        statements.append(arguments[2])

    assert hands.add(*(arrival(n, patient="", body=None) for n in range(3000))) == 3000
    assert len(statements) < 60
    assert len(queued(store)) == 3000


def test_work_that_nobody_does_shows_that_there_is_no_worker(hands: Hands, store: Store) -> None:
    watch = InboxWatch(InboxList(store.database), lambda: hands.now)
    assert watch.has_worker
    hands.add(arrival(1))
    hands.after(timedelta(minutes=1))
    assert watch.has_worker
    hands.after(timedelta(minutes=2))
    assert not watch.has_worker

    hands.lease()  # somebody has come

    hands.after(3 * SECOND)
    assert watch.has_worker
