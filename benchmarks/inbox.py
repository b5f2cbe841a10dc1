# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.inbox [DATABASE_URL]`: results that arrive, received and decided on.

It measures notifications that are stored and acknowledged by the real server (two processes, eight
clients), and what workers get through when the decision itself takes no time. Without a URL it uses
a SQLite file of its own; a PostgreSQL database must be empty.
"""

import argparse
import http.client
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from threading import Event, Lock, Thread
from time import perf_counter
from typing import Any

from sqlalchemy import delete, insert, select, update

from benchmarks.load import Server, running
from cds_service.clock import system_clock
from cds_service.log import configure_log
from cds_service.settings import Settings
from cds_service.store import Store, open_store
from cds_service.store.engine import upgrade_database
from cds_service.store.tables import inbox_items, inbox_queue, subscriptions
from cds_service.subscriptions.credentials import hashed
from cds_service.subscriptions.inbox_list import InboxList
from cds_service.subscriptions.judgement import TRIGGER
from cds_service.subscriptions.work import ArrivalDecision, Work
from cds_service.subscriptions.worker_setup import make_worker, open_tools

_PATH, _SECRET, _BASE = "benchmark", "secret", "https://fhir.example.org/r4"
_SERVICE = [sys.executable, "-m", "cds_service", "serve", "--workers", "2", "--port", "{port}"]
_CLIENTS = 8
_RESULTS_OF_A_PATIENT = 4
_WORKERS = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Received:
    """How many notifications a second, and the time for one in milliseconds."""

    per_second: float
    median: float
    p99: float


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", nargs="?")
    parser.add_argument("--notifications", type=int, default=4000)
    given = parser.parse_args()
    with _database(given.database) as url:
        store = open_store(url)
        _register(store)
        received = _receive(url, given.notifications)
        print(
            f"received: {received.per_second:.0f}/s, {received.median:.1f} ms, p99 "
            f"{received.p99:.1f} ms"
        )
        for workers in _WORKERS:
            _fill_again(store)
            seconds = _drain(url, store, workers)
            patients = given.notifications / _RESULTS_OF_A_PATIENT
            print(
                f"{workers} workers: {patients / seconds:.0f} decisions/s, "
                f"{given.notifications / seconds:.0f} results/s"
            )
        store.close()


@contextmanager
def _database(url: str | None) -> Iterator[str]:
    if url is not None:
        upgrade_database(url)
        yield url
        return
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder, 'inbox.db')}"


def _register(store: Store) -> None:
    row = {"path": _PATH, "server": _BASE, "kind": "criteria", "content": "full-resource"}
    row |= {"what": "Observation", "remote_id": "s1", "status": "off"}
    with store.database.writing() as connection:
        connection.execute(
            insert(subscriptions)
            .values(secret=hashed(_SECRET), numbered=True, created=system_clock())
            .values(**row)
        )


def _receive(url: str, number: int) -> Received:
    """Send so many results, from a few clients that keep their connections."""
    times: list[float] = []
    lock, waiting = Lock(), iter(range(number))

    def client(server: Server) -> None:
        headers = {"Authorization": f"Bearer {_SECRET}", "Content-Type": "application/fhir+json"}
        with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
            while True:
                with lock:
                    n = next(waiting, None)
                if n is None:
                    return
                began = perf_counter()
                connection.request("POST", f"/subscriptions/{_PATH}", _body(n), headers)
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    sys.exit(f"a notification was answered {response.status}")
                with lock:
                    times.append((perf_counter() - began) * 1000)

    environment = {"CDS_DATABASE_URL": url, "CDS_LOG_LEVEL": "error"}
    with running(_SERVICE, environment) as server:
        threads = [Thread(target=client, args=(server,)) for _ in range(_CLIENTS)]
        began = perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = perf_counter() - began
    return Received(number / seconds, median(times), quantiles(times, n=100)[-1])


def _body(number: int) -> bytes:
    """A result, about as long as real ones."""
    return json.dumps(
        {
            "resourceType": "Observation",
            "id": f"o{number}",
            "meta": {"versionId": "1", "lastUpdated": "2026-06-01T08:00:05.120Z"},
            "status": "final",
            "category": [{"coding": [{"code": "laboratory"}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": "1742-6"}]},
            "subject": {"reference": f"Patient/p{number // _RESULTS_OF_A_PATIENT}"},
            "effectiveDateTime": "2026-06-01T08:00:00Z",
            "valueQuantity": {"value": 31, "unit": "U/L", "code": "U/L"},
            "referenceRange": [{"high": {"value": 40, "unit": "U/L"}}],
        }
    ).encode()


def _fill_again(store: Store) -> None:
    """Let everything that was received wait again."""
    with store.database.writing() as connection:
        connection.execute(
            update(inbox_items).values(state="waiting", decision=None, attempts=0, problem="")
        )
        connection.execute(delete(inbox_queue))
        patients = connection.execute(select(inbox_items.c.patient).distinct()).scalars().all()
        rows = [{"patient": patient} for patient in patients]
        connection.execute(
            insert(inbox_queue).values(
                server=_BASE, due=system_clock(), wanted=1, attempts=0, fence=0
            ),
            rows,
        )


def _drain(url: str, store: Store, workers: int) -> float:
    """The seconds in which so many workers decide on everything, once they have started."""
    context = get_context("spawn")
    ready, go = context.Semaphore(0), context.Event()
    processes = [context.Process(target=_work, args=(url, ready, go)) for _ in range(workers)]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    began = perf_counter()
    go.set()
    for process in processes:
        process.join()
    seconds = perf_counter() - began
    if InboxList(store.database).state().waiting:
        sys.exit("the workers left something")
    return seconds


def _work(url: str, ready: Any, go: Any) -> None:
    configure_log("error")
    store = open_store(url)
    worker = make_worker(open_tools(Settings(), store, system_clock), lambda _: _decide)
    ready.release()
    go.wait()
    worker.run(Event(), until_empty=True)
    store.close()


def _decide(work: Work) -> ArrivalDecision:
    found = [{"resource": item.resource_id} for item in work.items]
    return ArrivalDecision(trigger=TRIGGER, packs={}, input=b"", findings=found)


if __name__ == "__main__":
    main()
