# SPDX-License-Identifier: Apache-2.0
"""A FHIR server that hangs holds up no other one, and gives others their turn again."""

from collections.abc import Iterator
from threading import Event, Thread

import pytest

from cds_service.store import open_store
from cds_service.subscriptions.work import Retry, Work
from tests.fhir_client.faulty import faulty
from tests.subscriptions.inbox_fixtures import NOW, SECOND, arrival, findings
from tests.subscriptions.test_worker import Bench

HANGING = "https://hanging.example.org/r4"


@pytest.fixture(name="bench")
def _bench() -> Iterator[Bench]:
    store = open_store("sqlite://")
    with faulty() as server:
        yield Bench(store, server)
    store.close()


def test_while_one_server_hangs_results_of_another_are_decided_on(bench: Bench) -> None:
    hangs, other, stop = Event(), Event(), Event()
    begun: list[str] = []

    def decide(work: Work) -> None:
        if work.server != HANGING:
            other.set()
            return
        begun.append(work.patient)
        if len(begun) > 1:
            hangs.wait(30)
            raise Retry("late")

    bench.fails = decide
    bench.worker.slow.seconds = -1  # whatever it takes, it is long
    bench.worker.inbox.add([arrival(1, patient="p1", server=HANGING)], NOW)
    bench.worker.inbox.add([arrival(2, patient="p2", server=HANGING)], NOW)
    bench.worker.inbox.add([arrival(3, patient="p3", server=HANGING)], NOW)
    bench.now += SECOND
    assert bench.worker.step()
    running = Thread(target=bench.worker.run, args=(stop,))
    running.start()
    while len(begun) < 2:
        Event().wait(0.01)
    bench.worker.inbox.add([arrival(4, patient="p4", server=bench.server.base)], NOW - SECOND)

    assert other.wait(20)
    assert len(begun) == 2  # one piece of work at a time
    stop.set()
    hangs.set()
    running.join(20)
    assert ["Observation/o4/1"] in findings(bench.store)


def test_a_server_that_answers_in_time_again_is_as_any_other(bench: Bench) -> None:
    slow = bench.worker.slow
    slow.note("one", 6)
    slow.note("other", 6)

    slow.note("one", 0.1)

    assert slow.names == {"other"}


def test_a_worker_until_empty_does_the_work_of_slow_servers_too(bench: Bench) -> None:
    bench.worker.slow.names.add(HANGING)
    bench.worker.inbox.add([arrival(1, server=HANGING)], NOW - SECOND)

    bench.worker.run(Event(), until_empty=True)

    assert findings(bench.store) == [["Observation/o1/1"]]
