# SPDX-License-Identifier: Apache-2.0
"""A search that outlasts its lease is not done twice, and commits nothing if it is."""

from collections.abc import Iterator
from datetime import timedelta
from time import sleep

import pytest

from cds_service.store import Store, open_store
from cds_service.store.tables import subscriptions
from cds_service.subscriptions.inbox import Inbox, InboxLimits
from cds_service.subscriptions.work import Lease, LeaseLost
from tests.fhir_client.faulty import Asked, Reply, faulty, searchset
from tests.subscriptions.inbox_fixtures import SECOND, Hands, arrival, queued, rows
from tests.subscriptions.test_worker import PATH, Bench

SHORT = timedelta(seconds=0.3)


@pytest.fixture(name="bench")
def _bench() -> Iterator[Bench]:
    store = open_store("sqlite://")
    with faulty() as server:
        bench = Bench(store, server)
        bench.register()
        bench.worker.inbox.limits = InboxLimits(lease=SHORT)
        yield bench
    store.close()


def test_a_search_that_outlasts_its_lease_keeps_it(bench: Bench) -> None:
    taken: list[Lease | None] = []

    def slow(_: Asked) -> Reply:
        bench.now += 10 * SECOND  # many times its lease
        sleep(3 * SHORT.total_seconds())
        taken.append(bench.worker.inbox.lease("another", bench.now))
        return Reply(searchset())

    bench.server.answers["Observation"] = slow
    bench.ask(f"search:{PATH}")

    bench.work(1)

    assert taken == [None]
    assert len([request for request in bench.server.asked if request.path == "Observation"]) == 1
    assert queued(bench.store) == []


@pytest.mark.parametrize("key", ["search", "gap"])
def test_who_lost_the_lease_commits_nothing(bench: Bench, key: str) -> None:
    """Held up, as a machine is that sleeps, until another worker has the work."""
    missing = [[1, 2]]
    with bench.store.database.writing() as connection:
        connection.execute(subscriptions.update().values(missing=missing, last_event=2))
    bench.ask(f"{key}:{PATH}")
    lease = bench.worker.inbox.lease("first", bench.now)
    assert lease is not None
    bench.now += SECOND
    assert bench.worker.inbox.lease("second", bench.now) is not None
    bench.server.answers["Observation"] = Reply(searchset())

    with pytest.raises(LeaseLost):
        bench.worker._search(lease)

    (row,) = rows(bench.store, subscriptions)
    assert (row.searched_until, row.missing) == (None, missing)


def test_a_lease_is_held_for_as_long_again(store: Store) -> None:
    hands = Hands(Inbox(store.database, InboxLimits(lease=60 * SECOND)))
    hands.add(arrival())
    lease = hands.after(SECOND).lease()

    hands.after(50 * SECOND).inbox.hold(lease, hands.now)

    assert hands.after(50 * SECOND).rests()
    other = hands.after(20 * SECOND).lease("another")
    with pytest.raises(LeaseLost):
        hands.inbox.hold(lease, hands.now)
    with pytest.raises(LeaseLost):
        hands.finish(lease)
    assert hands.finish(other) is not None
