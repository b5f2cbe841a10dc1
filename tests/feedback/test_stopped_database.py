# SPDX-License-Identifier: Apache-2.0
"""A database that is stopped or locked under load delays no call and loses no feedback it took in.

A short run; with `--stopped-seconds 40 -s` it is the long one.
"""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextlib import closing as closing_database
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import pytest

from tests.feedback.killed_server import Server, closing, free_port, kept
from tests.feedback.service import FEEDBACK, item
from tests.store.postgres import Postgres
from tests.web.http_fixtures import ALT, SERVICE, Json, call, observation

pytestmark = pytest.mark.server
CALLERS = 3


@dataclass
class Load:
    """Clients that call and send feedback, and what they were answered."""

    port: int
    ended: Event = field(default_factory=Event)
    calls: Counter[tuple[int, int]] = field(default_factory=Counter)  # by status and cards
    sent: Counter[int] = field(default_factory=Counter)
    acknowledged: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def call(self) -> None:
        """Call again and again."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        body = call(observation(ALT, 1, effectiveDateTime=now))
        while not self.ended.is_set():
            began = time.monotonic()
            status, answer = self._post(SERVICE, {**body, "hookInstance": str(uuid4())})
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.calls[status, len(answer.get("cards", ()))] += 1
            time.sleep(0.02)

    def feed_back(self) -> None:
        """Send feedback, each event once."""
        number = 0
        while not self.ended.is_set():
            number += 1
            status, _ = self._post(FEEDBACK, {"feedback": [item(f"stopped-{number}")]})
            self.sent[status] += 1
            if status == 200:
                self.acknowledged.append(f"stopped-{number}")
            time.sleep(0.02)

    def _post(self, path: str, body: object) -> tuple[int, Json]:
        with closing(self.port) as connection:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another process holds the SQLite file for itself while the block runs."""
    with closing_database(sqlite3.connect(file, timeout=60, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


def check_calls_are_answered(url: str, hung: AbstractContextManager[None], seconds: float) -> None:
    """Every call has its card while the database hangs, and no acknowledged feedback is lost."""
    server = Server(url, free_port())
    server.start()
    load = Load(server.port)
    clients = [Thread(target=load.call) for _ in range(CALLERS)] + [Thread(target=load.feed_back)]
    try:
        for client in clients:
            client.start()
        while not load.acknowledged:
            time.sleep(0.01)
        with hung:
            before = sum(load.calls.values())
            time.sleep(seconds)
            during = sum(load.calls.values()) - before
        acknowledged = len(load.acknowledged)
        while len(load.acknowledged) == acknowledged:  # it takes feedback in again
            time.sleep(0.01)
    finally:
        load.ended.set()
        for client in clients:
            client.join()
        server.kill()

    print(
        f"stopped for {seconds:.0f} s: {during} calls meanwhile, all {dict(load.calls)}, slowest "
        f"{load.slowest * 1000:.0f} ms; feedback {dict(load.sent)}"
    )
    assert during > 0
    assert set(load.calls) == {(200, 1)}
    assert set(load.sent) <= {200, 503}
    assert set(load.acknowledged) <= set(kept(url))


def test_r1_every_call_is_answered_with_its_cards(
    postgres: Postgres, postgres_url: str, pytestconfig: pytest.Config
) -> None:
    seconds: float = pytestconfig.getoption("--stopped-seconds")

    check_calls_are_answered(postgres_url, postgres.stopped(), seconds)


def test_r1_so_it_is_while_another_process_locks_the_file(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    file = tmp_path / "feedback.sqlite"
    seconds: float = pytestconfig.getoption("--stopped-seconds")

    check_calls_are_answered(f"sqlite:///{file}", locked(file), seconds)
