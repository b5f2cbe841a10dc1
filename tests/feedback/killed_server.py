# SPDX-License-Identifier: Apache-2.0
"""A server that is killed again and again while clients send it feedback.

The server is `cds-service serve` with two workers, in a process group of its own; SIGKILL goes to
the whole group at random moments. Clients do what a careful client does: they send an event again
until it is acknowledged. Nothing that was acknowledged may be missing afterwards, and nothing may
be there twice.
"""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from sqlalchemy import select

from cds_service.store import open_store
from cds_service.store.tables import feedback
from tests.feedback.service import FEEDBACK, item
from tests.house.source import ROOT

CLIENTS = 4
PATIENCE = 60  # seconds without any answer


@dataclass
class Outcome:
    """What came of a run: the cards that were acknowledged, sent in vain, and the kills."""

    acknowledged: list[str] = field(default_factory=list)
    again: int = 0
    kills: int = 0
    seconds: float = 0.0


@dataclass
class Server:
    """A server that can be killed and started again at the same address."""

    database: str
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cds_service", "serve", "--port", str(self.port)]
            + ["--workers", "2"],
            cwd=ROOT,
            env={
                **os.environ,
                "CDS_DATABASE_URL": self.database,
                "CDS_LOG_LEVEL": "error",
            },
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            assert self.process.poll() is None, "the server stopped by itself"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it answers now."""
        try:
            with closing(self.port) as connection:
                connection.request("GET", "/health")
                return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    def kill(self) -> None:
        """Kill every process of it at once."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def closing(port: int) -> Iterator[http.client.HTTPConnection]:
    """A connection that is closed afterwards."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def run(database: str, posts: int, *, kills: int, seed: int) -> Outcome:
    """Send `posts` events and kill the server so often, at random moments among them."""
    outcome = Outcome()
    server = Server(database, free_port())
    numbers, lock = count(), threading.Lock()

    def client() -> None:
        while (number := next(numbers)) < posts:
            card = f"card-{number}"
            while not send(server.port, card):
                with lock:
                    outcome.again += 1
                time.sleep(0.1)
            with lock:
                outcome.acknowledged.append(card)

    began = time.monotonic()
    server.start()
    clients = [threading.Thread(target=client, daemon=True) for _ in range(CLIENTS)]
    for other in clients:
        other.start()
    chance = random.Random(seed)
    try:
        for moment in sorted(chance.sample(range(posts - CLIENTS), kills)):
            while len(outcome.acknowledged) < moment:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.005))  # and at any point of what is going on
            server.kill()
            outcome.kills += 1
            server.start()
        for other in clients:
            other.join()
    finally:
        server.kill()
    outcome.seconds = time.monotonic() - began
    return outcome


def send(port: int, card: str) -> bool:
    """Whether the event was acknowledged."""
    body = json.dumps({"feedback": [item(card)]})
    try:
        with closing(port) as connection:
            connection.request("POST", FEEDBACK, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status == 200 and json.loads(response.read()) == {"received": 1}
    except (OSError, http.client.HTTPException, ValueError):
        return False


def kept(database: str) -> list[str]:
    """The cards that feedback is kept for."""
    store = open_store(database)
    with store.database.reading() as connection:
        cards = list(connection.execute(select(feedback.c.card)).scalars())
    store.close()
    return cards


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
