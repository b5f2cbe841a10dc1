# SPDX-License-Identifier: Apache-2.0
"""The worker: what it asks of a FHIR server, what it decides on, what it does about failures."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import insert, update

from cds_service.settings import Settings
from cds_service.store import Store, open_store
from cds_service.store.tables import inbox_items, inbox_queue, subscriptions
from cds_service.subscriptions.inbox import Inbox
from cds_service.subscriptions.inbox_insert import Arrival
from cds_service.subscriptions.inbox_list import InboxList
from cds_service.subscriptions.queue import enqueue
from cds_service.subscriptions.registration import Registration, RegistrationTable
from cds_service.subscriptions.work import ArrivalDecision, Item, Retry, Work
from cds_service.subscriptions.worker import Worker
from cds_service.subscriptions.worker_setup import make_worker, open_tools
from tests.fhir_client.faulty import Asked, Faulty, Reply, faulty, searchset
from tests.house.source import ROOT
from tests.subscriptions.inbox_fixtures import (
    HOUR,
    NOW,
    SECOND,
    decided,
    findings,
    queued,
    result,
    rows,
    states,
)

PATH = "unguessable-path"
Json = dict[str, Any]


@dataclass
class Bench:
    """A worker, its server, and what it was asked to decide on."""

    store: Store
    server: Faulty
    worker: Worker = field(init=False)
    works: list[Work] = field(default_factory=list)
    fails: Callable[[Work], object] = lambda _: None
    now: Any = NOW

    def __post_init__(self) -> None:
        tools = open_tools(Settings(profile="development"), self.store, lambda: self.now)
        self.worker = make_worker(tools, lambda _: self.decide)
        self.worker._reconciled = NOW

    def decide(self, work: Work) -> ArrivalDecision:
        self.works.append(work)
        self.fails(work)
        return decided(work)

    def add(self, *found: Any, numbered: bool = True) -> None:
        arrivals = [
            Arrival(
                server=self.server.base, subscription=PATH, resource=resource, numbered=numbered
            )
            for resource in found
        ]
        self.worker.inbox.add(arrivals, self.now)

    def work(self, seconds: float = 5) -> None:
        """Everything that is due within that time."""
        for _ in range(int(seconds)):
            while self.worker.step():
                pass
            self.now += SECOND

    @property
    def items(self) -> list[Item]:
        return [item for work in self.works for item in work.items]

    def ask(self, key: str) -> None:
        with self.store.database.writing() as connection:
            enqueue(connection, self.server.base, key, self.now)

    def register(self, **more: Any) -> None:
        registration = Registration(
            path=PATH,
            server=self.server.base,
            kind="criteria",
            content="empty",
            what="Observation?code=http://loinc.org|1742-6",
            remote_id="s1",
            created=NOW - HOUR,
        )
        registration = replace(registration, **more)
        values = {name: getattr(registration, name) for name in Registration.__slots__}
        with self.store.database.writing() as connection:
            connection.execute(insert(subscriptions).values(**values))


@pytest.fixture
def bench() -> Iterator[Bench]:
    store = open_store("sqlite://")
    with faulty() as server:
        yield Bench(store, server)
    store.close()


def observation(identity: str = "o1", version: int = 1, **more: Any) -> Json:
    meta = {"versionId": str(version), "lastUpdated": f"2026-06-15T08:59:{version:02d}Z"}
    usual = {"resourceType": "Observation", "id": identity, "meta": meta}
    return {**usual, "subject": {"reference": "Patient/p1"}, **more}


def test_a_resource_of_which_only_the_name_came_is_read(bench: Bench) -> None:
    bench.server.answers["Observation/o1"] = Reply(observation(version=3))
    bench.add(result(1, version="", patient="", body=None))

    bench.work()

    (item,) = bench.items
    assert (item.version, item.patient) == ("3", "p1")
    assert item.body is not None
    assert b'"versionId": "3"' in item.body
    assert bench.server.paths() == ["Observation/o1"]


def test_a_resource_that_is_gone_is_decided_on_for_the_patient_it_was_of(bench: Bench) -> None:
    bench.add(result(1, version=1))
    bench.work()
    bench.add(result(1, version="", patient="", body=None))

    bench.work(30)

    assert [(item.gone, item.patient) for item in bench.items] == [(False, "p1"), (True, "p1")]


def test_a_deletion_of_what_nobody_knew_asks_no_server(bench: Bench) -> None:
    bench.add(result(2, version="", patient="", gone=True, body=None))

    bench.work()

    assert bench.items == []
    assert bench.server.asked == []


def test_an_empty_notification_makes_one_search(bench: Bench) -> None:
    bench.register()
    bench.server.answers["Observation"] = Reply(searchset(observation("o1"), observation("o2")))
    for _ in range(100):
        bench.ask(f"search:{PATH}")

    bench.work()

    assert {item.resource_id for item in bench.items} == {"o1", "o2"}
    (search,) = [request for request in bench.server.asked if request.path == "Observation"]
    assert search.parameters["code"] == "http://loinc.org|1742-6"
    assert search.parameters["_lastUpdated"] == "ge2026-06-15T07:50:00.000Z"  # with an overlap
    assert len(bench.works) == 1


def test_the_next_search_begins_before_the_end_of_the_last_one(bench: Bench) -> None:
    bench.register(searched_until=NOW - SECOND)
    bench.server.answers["Observation"] = Reply(searchset())
    bench.ask(f"search:{PATH}")
    bench.work()

    assert bench.server.asked[0].parameters["_lastUpdated"] == "ge2026-06-15T08:49:59.000Z"
    (row,) = rows(bench.store, subscriptions)
    assert row.searched_until == NOW


def test_a_search_that_fails_is_made_again_and_loses_nothing(bench: Bench) -> None:
    bench.register()
    bench.server.answers["Observation"] = Reply(status=500)
    bench.ask(f"search:{PATH}")
    bench.work(1)
    (row,) = rows(bench.store, subscriptions)
    assert row.searched_until is None

    bench.server.answers["Observation"] = Reply(searchset(observation()))
    bench.work(10)

    assert len(bench.items) == 1


def test_deletions_are_found_in_the_history(bench: Bench) -> None:
    bench.register()
    bench.add(result(1), result(2))
    bench.work()
    history = {
        "resourceType": "Bundle",
        "type": "history",
        "entry": [
            {
                "fullUrl": f"{bench.server.base}/Observation/{identity}",
                "request": {"method": "DELETE", "url": f"Observation/{identity}"},
                "response": {"status": "204", "lastModified": "2026-06-15T09:00:03Z"},
            }
            for identity in ("o1", "unknown")
        ],
    }
    bench.server.answers |= {
        "Observation": Reply(searchset()),
        "Observation/_history": Reply(history),
    }

    for _ in range(2):
        bench.ask(f"search:{PATH}")
        bench.work()

    assert [(item.resource_id, item.gone) for item in bench.items[2:]] == [("o1", True)]


def missing(bench: Bench, *ranges: tuple[int, int]) -> None:
    with bench.store.database.writing() as connection:
        connection.execute(
            update(subscriptions).values(last_event=9, missing=[list(span) for span in ranges])
        )
    bench.ask(f"gap:{PATH}")


def events(*numbers: int) -> Json:
    status = {
        "resourceType": "SubscriptionStatus",
        "type": "query-event",
        "notificationEvent": [
            {"eventNumber": str(n), "focus": {"reference": f"Observation/o{n}"}} for n in numbers
        ],
    }
    return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]}


def test_events_that_are_missing_are_asked_for_by_number(bench: Bench) -> None:
    bench.register()
    missing(bench, (4, 5))
    bench.server.answers |= {
        "Subscription/s1/$events": Reply(events(4, 5)),
        "Observation/o4": Reply(observation("o4")),
        "Observation/o5": Reply(observation("o5")),
    }

    bench.work()

    assert {item.resource_id for item in bench.items} == {"o4", "o5"}
    asked = bench.server.asked[0].parameters
    assert (asked["eventsSinceNumber"], asked["eventsUntilNumber"]) == ("4", "5")
    assert "Observation" not in bench.server.paths()
    (row,) = rows(bench.store, subscriptions)
    assert not row.missing


@pytest.mark.parametrize("answer", [Reply(status=404), Reply(events(4)), Reply(searchset())])
def test_events_that_the_server_does_not_have_are_searched_for(bench: Bench, answer: Reply) -> None:
    bench.register()
    missing(bench, (4, 5))
    bench.server.answers |= {
        "Subscription/s1/$events": answer,
        "Observation": Reply(searchset(observation("o5"))),
        "Observation/o4": Reply(observation("o4")),
    }

    bench.work()

    assert "o5" in {item.resource_id for item in bench.items}
    assert not rows(bench.store, subscriptions)[0].missing


def test_a_range_of_any_length_is_compared_with_what_came(bench: Bench) -> None:
    bench.register()
    missing(bench, (4, 9_000_000_000_000_000_000))
    bench.server.answers |= {
        "Subscription/s1/$events": Reply(events(4)),
        "Observation": Reply(searchset(observation("o5"))),
        "Observation/o4": Reply(observation("o4")),
    }

    bench.work()

    assert {item.resource_id for item in bench.items} == {"o4", "o5"}
    assert not rows(bench.store, subscriptions)[0].missing


def test_a_search_of_many_pages_goes_on_from_where_it_was_cut_off(bench: Bench) -> None:
    bench.register()
    asked = []

    def page(request: Asked) -> Reply:
        asked.append(request.parameters)
        number = len(asked)
        if number == 20:
            return Reply(searchset(observation(f"o{number}", version=number)))
        following = f"{bench.server.base}/Observation?page={number}"
        return Reply(searchset(observation(f"o{number}", version=number), following=following))

    bench.server.answers["Observation"] = page
    bench.ask(f"search:{PATH}")

    bench.work()

    assert len(bench.items) == 20
    searches = [parameters["_lastUpdated"] for parameters in asked if "_lastUpdated" in parameters]
    assert searches[1] == "ge2026-06-15T08:59:10.000Z"


def pages(bench: Bench, path: str, count: int, entry: Callable[[int], Json]) -> Any:
    """A server with one entry on each of so many pages, all of one time."""

    def page(request: Asked) -> Reply:
        number = int(request.parameters.get("page", 0))
        following = f"{bench.server.base}/{path}?page={number + 1}" if number + 1 < count else None
        bundle = searchset(following=following)
        return Reply({**bundle, "entry": [entry(number)]})

    return page


def test_results_of_one_time_are_all_found_however_many(bench: Bench) -> None:
    bench.register()
    bench.server.answers["Observation"] = pages(
        bench, "Observation", 25, lambda n: {"resource": observation(f"o{n}")}
    )
    bench.ask(f"search:{PATH}")

    bench.work()

    assert len(bench.items) == 25
    assert rows(bench.store, subscriptions)[0].searched_until is not None


def test_a_deletion_at_the_end_of_a_long_history_is_found(bench: Bench) -> None:
    bench.register()
    bench.add(result(1))
    bench.work()

    def entry(number: int) -> Json:
        method, name = ("DELETE", "o1") if number == 24 else ("PUT", f"x{number}")
        request = {"method": method, "url": f"Observation/{name}"}
        return {"fullUrl": f"{bench.server.base}/Observation/{name}", "request": request}

    bench.server.answers |= {
        "Observation": Reply(searchset()),
        "Observation/_history": pages(bench, "Observation/_history", 25, entry),
    }
    bench.ask(f"search:{PATH}")

    bench.work()

    assert [(item.resource_id, item.gone) for item in bench.items[1:]] == [("o1", True)]


def test_a_link_to_another_host_does_not_lose_the_pages_before_it(bench: Bench) -> None:
    bench.register()
    asked = []

    def page(request: Asked) -> Reply:
        asked.append(request.parameters["_count"])
        following = None if len(asked) > 2 else "https://inside.example.org/r4?page=2"
        return Reply(searchset(observation(f"o{len(asked)}"), following=following))

    bench.server.answers["Observation"] = page
    bench.ask(f"search:{PATH}")

    bench.work()

    assert {item.resource_id for item in bench.items} == {"o1", "o2", "o3"}
    assert asked == ["100", "100", "1000"]


def test_a_search_that_cannot_be_ended_shows(bench: Bench) -> None:
    bench.register()
    bench.server.answers["Observation"] = Reply(
        searchset(observation(), following="https://inside.example.org/r4?page=2")
    )
    bench.ask(f"search:{PATH}")

    bench.work(60)

    assert [item.resource_id for item in bench.items] == ["o1"]  # what was read is kept
    assert InboxList(bench.store.database).state().searches_failing == 1
    table = RegistrationTable(bench.store.database)
    assert table.failed_searches(PATH) >= 3


def test_the_worker_searches_when_it_starts_and_by_the_clock(bench: Bench) -> None:
    bench.register()
    bench.server.answers["Observation"] = Reply(searchset())
    bench.worker._reconciled = None

    for _ in range(3):
        bench.worker.run(Event(), until_empty=True)
    assert bench.server.paths().count("Observation") == 1

    bench.now += timedelta(minutes=15)
    bench.worker.run(Event(), until_empty=True)
    assert bench.server.paths().count("Observation") == 2


def test_a_worker_goes_on_after_an_error_that_nobody_foresaw(bench: Bench) -> None:
    stop, crashed = Event(), []

    def lease(*_: object, **__: object) -> None:
        crashed.append(1)
        stop.set()
        raise ZeroDivisionError

    bench.worker.inbox.lease = lease  # type: ignore[method-assign]

    bench.worker.run(stop)

    assert crashed == [1]
    with pytest.raises(ZeroDivisionError):
        bench.worker.run(Event(), until_empty=True)


def test_one_patient_that_always_fails_does_not_stop_the_others(bench: Bench) -> None:
    def crash(work: Work) -> None:
        if work.patient == "bad":
            raise ZeroDivisionError

    bench.fails = crash
    bench.add(result(1, patient="bad"), result(2), result(3, patient="p3"))

    bench.work(3)
    assert findings(bench.store) == [["Observation/o2/1"], ["Observation/o3/1"]]

    bench.work(300)
    assert states(bench.store) == {("done", ""): 2, ("dead", "crash"): 1}
    assert queued(bench.store) == []


def test_while_a_server_is_away_work_waits(bench: Bench) -> None:
    away = True

    def fail(_: Work) -> None:
        if away:
            raise Retry("unreachable")

    bench.fails = fail
    bench.add(result(1), result(2))
    bench.work(60)
    assert states(bench.store) == {("waiting", "unreachable"): 2}

    away = False
    bench.work(900)
    assert len(findings(bench.store)) == 1
    assert states(bench.store) == {("done", ""): 2}


def test_no_log_names_a_patient(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.fails = lambda work: 1 // (len(work.items) - 1)
    bench.add(result("ZZTESTNAME", patient="ZZTESTNAME"))
    bench.work(300)

    assert states(bench.store) == {("dead", "crash"): 1}
    assert "ZZTESTNAME" not in "".join(capfd.readouterr())


def _command(database: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    environ = {**os.environ, "CDS_DATABASE_URL": f"sqlite:///{database}"}
    return subprocess.Popen(
        [sys.executable, "-m", "cds_service", *arguments],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.server
def test_a_worker_that_is_asked_to_stop_ends_what_it_has_begun(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    arrival = Arrival(server="https://fhir.example.org", subscription="", resource=result())
    Inbox(store.database).add([arrival], NOW)
    process = _command(tmp_path / "a.db", "worker")

    def was_tried() -> bool:
        (row,) = rows(store, inbox_items)
        return bool(row.attempts or row.problem or row.state == "done")

    for _ in range(300):
        if was_tried():
            break
        Event().wait(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)

    assert was_tried()
    assert process.returncode == 0, said
    assert [row for row in rows(store, inbox_queue) if row.holder is not None] == []
    store.close()
