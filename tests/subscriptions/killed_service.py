# SPDX-License-Identifier: Apache-2.0
"""A receiver, workers and a database that are killed while a FHIR server sends notifications.

The receiver is `cds-service serve` with two processes. The sender does what servers do: it sends
again what was not acknowledged, sends some of it twice, and in no order. What was acknowledged must
have been decided on once, and nothing else.
"""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import insert, select

from cds_service.errors import StoreError
from cds_service.store import open_store
from cds_service.store.tables import decisions, inbox_items, inbox_queue, subscriptions
from cds_service.subscriptions.credentials import hashed
from cds_service.subscriptions.work import GAP, LOOK, SEARCH
from tests.feedback.killed_server import Server, closing, free_port
from tests.house.source import ROOT

CLIENTS = 4
WORKERS = 2
PATH, SECRET = "unguessable-path", "secret"
LEASE_SECONDS = 5
PATIENCE = 120  # seconds for what is left at the end


@dataclass
class Outcome:
    """What came of a run: resources by version that were acknowledged, and the kills."""

    acknowledged: set[tuple[str, str]] = field(default_factory=set)
    sent: int = 0
    again: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


@dataclass
class Kept:
    """What stands in the database: by state, and how often each version was decided on."""

    versions: set[tuple[str, str]]
    states: Counter[tuple[str, str]]
    decided: Counter[str]
    queued: int


@dataclass
class Workers:
    """Some workers that can be killed one by one."""

    database: str
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def start(self) -> None:
        environ = {**os.environ, "CDS_DATABASE_URL": self.database}
        environ |= {"CDS_INBOX_LEASE_SECONDS": str(LEASE_SECONDS), "CDS_LOG_LEVEL": "error"}
        self.processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.subscriptions.counting_worker"],
                cwd=ROOT,
                env=environ,
                stderr=subprocess.DEVNULL,
            )
        )

    def kill(self, place: int) -> None:
        process = self.processes.pop(place)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def end(self) -> None:
        while self.processes:
            self.kill(0)


def register(database: str) -> None:
    """Register the Subscription that the notifications are of."""
    from tests.subscriptions.inbox_fixtures import NOW, SERVER

    row = {"path": PATH, "server": SERVER, "kind": "criteria", "content": "full-resource"}
    row |= {"what": "Observation", "remote_id": "s1", "status": "active"}
    store = open_store(database)
    with store.database.writing() as connection:
        values = insert(subscriptions).values(secret=hashed(SECRET), numbered=True, created=NOW)
        connection.execute(values.values(**row))
    store.close()


def notifications(number: int, chance: random.Random) -> list[tuple[str, int]]:
    """Results with their versions: some corrected, some sent again, some corrected before."""
    made = [(f"o{n}", 1) for n in range(number * 7 // 10)]
    made += [(f"o{n}", 2) for n in range(number // 10)]
    made += chance.choices(made, k=number - len(made))
    chance.shuffle(made)
    return made


def send(port: int, identity: str, version: int) -> bool:
    """Whether the notification was acknowledged."""
    body = {
        "resourceType": "Observation",
        "id": identity,
        "meta": {"versionId": str(version)},
        "subject": {"reference": f"Patient/p{int(identity[1:]) % 97}"},
    }
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/fhir+json"}
    address = f"/subscriptions/{PATH}/Observation/{identity}"
    try:
        with closing(port) as connection:
            connection.request("PUT", address, json.dumps(body), headers)
            response = connection.getresponse()
            response.read()
            assert response.status in {200, 503}, response.status
            return response.status == 200
    except (OSError, http.client.HTTPException):
        return False


def run(
    database: str,
    number: int,
    *,
    kills: int,
    seed: int,
    kill_database: Callable[[], None] | None = None,
) -> Outcome:
    """Send so many notifications and kill something so often, at random moments among them."""
    register(database)
    chance = random.Random(seed)
    waiting = notifications(number, chance)
    outcome, lock = Outcome(), threading.Lock()
    server, workers = Server(database, free_port()), Workers(database)

    def client() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                identity, version = waiting.pop()
            while not send(server.port, identity, version):
                with lock:
                    outcome.again += 1
                time.sleep(0.05)
            with lock:
                outcome.sent += 1
                outcome.acknowledged.add((identity, str(version)))

    began = time.monotonic()
    with _running(server, workers):
        clients = [threading.Thread(target=client, daemon=True) for _ in range(CLIENTS)]
        for client_thread in clients:
            client_thread.start()
        for moment in sorted(chance.sample(range(number - CLIENTS), kills)):
            while outcome.sent < moment:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.01))
            outcome.kills[_kill_one(chance, server, workers, kill_database)] += 1
        for client_thread in clients:
            client_thread.join()
        outcome.seconds = time.monotonic() - began
        _drained(database)
    return outcome


def _kill_one(
    chance: random.Random,
    server: Server,
    workers: Workers,
    kill_database: Callable[[], None] | None,
) -> str:
    victim = chance.choice(["receiver", "worker", "worker", "database"])
    if victim == "database" and kill_database is not None:
        kill_database()
        return victim
    if victim == "receiver":
        server.kill()
        server.start()
        return victim
    workers.kill(chance.randrange(len(workers.processes)))
    workers.start()
    return "worker"


@contextmanager
def _running(server: Server, workers: Workers) -> Iterator[None]:
    try:
        server.start()
        for _ in range(WORKERS):
            workers.start()
        yield
    finally:
        workers.end()
        with suppress(ProcessLookupError):  # it did not start again
            server.kill()


def _drained(database: str) -> None:
    """Return when nothing waits any more."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if kept(database).queued == 0:
                return
        except StoreError:
            pass
        time.sleep(0.2)
    raise AssertionError("the inbox was not drained")


def kept(database: str) -> Kept:
    """What stands in the database."""
    store = open_store(database)
    try:
        with store.database.reading() as connection:
            items = connection.execute(select(inbox_items)).all()
            found = connection.execute(select(decisions.c.findings)).scalars().all()
            keys = connection.execute(select(inbox_queue.c.patient)).scalars().all()
    finally:
        store.close()
    return Kept(
        versions={(row.resource_id, row.version) for row in items},
        states=Counter((row.state, row.problem) for row in items),
        decided=Counter(finding["about"] for each in found for finding in each),
        # There is no server that a search or a look at the Subscription could ask.
        queued=sum(not key.startswith((GAP, LOOK, SEARCH)) for key in keys),
    )


def main() -> None:
    """The long form: 10,000 notifications, or as many as the first argument says, on SQLite."""
    import tempfile

    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{Path(folder, 'service.db')}"
        outcome = run(database, number, kills=max(4, number // 100), seed=number)
        print(described(outcome, kept(database)))


def described(outcome: Outcome, found: Kept) -> str:
    """The counts of a run."""
    kills = ", ".join(f"{n} of {victim}" for victim, n in sorted(outcome.kills.items()))
    return (
        f"{outcome.sent} notifications acknowledged, {outcome.again} sent again, "
        f"{len(outcome.acknowledged)} versions; kept {len(found.versions)}, "
        f"decided {len(found.decided)}, twice {sum(n > 1 for n in found.decided.values())}, "
        f"states {dict(found.states)}; kills: {kills}; {outcome.seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
