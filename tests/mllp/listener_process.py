# SPDX-License-Identifier: Apache-2.0
"""A listener in a process of its own, and senders that talk to it."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from cds_service.mllp.frames import END, START, framed
from cds_service.store import open_store
from cds_service.store.tables import inbox_items
from tests.feedback.killed_server import free_port
from tests.house.source import ROOT

PATIENCE = 60
SYSTEM = "urn:oid:2.999.1"
MESSAGES = f"""\
    hl7 v2:
      patients:
        HOSPITAL: {SYSTEM}
      senders:
        - application: LAB
          facility: HOSPITAL
          addresses: [127.0.0.0/8]
"""
SERVERS = f"""\
servers:
  - base: BASE
    name: local
    this machine: yes
    anonymous: yes
{MESSAGES}"""


@dataclass
class Listener:
    """`cds-service listen mllp`; `settings` are variables of its environment."""

    folder: Path
    database: str
    base: str = "http://127.0.0.1:9/fhir"
    addresses: str = "127.0.0.0/8"
    settings: dict[str, str] = field(default_factory=dict)
    certificates: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[str] | None" = None

    @property
    def log(self) -> Path:
        return self.folder / "listener.log"

    @property
    def environment(self) -> dict[str, str]:
        servers = self.folder / "listener-servers.yaml"
        text = SERVERS.replace("BASE", self.base).replace("127.0.0.0/8", self.addresses)
        if self.certificates:
            text += f"          certificates: {list(self.certificates)}\n"
        servers.write_text(text, encoding="utf-8")
        return {
            **os.environ,
            "CDS_PROFILE": "development",
            "CDS_FHIR_SERVERS": str(servers),
            "CDS_DATABASE_URL": self.database,
            "CDS_MLLP_PORT": str(self.port),
            **self.settings,
        }

    def start(self) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cds_service", "listen", "mllp"],
                cwd=ROOT,
                env=self.environment,
                stderr=log,
                text=True,
            )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise AssertionError(self.log.read_text(encoding="utf-8"))

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    @contextmanager
    def running(self) -> Iterator["Listener"]:
        try:
            self.start()
            yield self
            assert self.stop() == 0, self.log.read_text(encoding="utf-8")
        finally:
            if self.process is not None and self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    @contextmanager
    def connected(
        self, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1"
    ) -> Iterator["Sender"]:
        here = (address, 0)
        with socket.create_connection(("127.0.0.1", self.port), 20, here) as plain:
            if tls is None:
                yield Sender(plain)
                return
            with tls.wrap_socket(plain, server_hostname="localhost") as encrypted:
                yield Sender(encrypted)

    def lines(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def logged(self, found: str) -> None:
        """Wait until a line of the log says so."""
        end = time.monotonic() + PATIENCE
        while found not in self.lines():
            assert time.monotonic() < end, self.lines()
            time.sleep(0.02)


class Sender:
    """A connection, and what comes back over it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._held = b""

    def send(self, message: bytes) -> bytes:
        """Send a message and return its answer."""
        self.connection.sendall(framed(message))
        return self.answer()

    def answer(self) -> bytes:
        """The next answer, empty if the connection ended before one came."""
        while END not in self._held:
            with suppress(ConnectionError):
                data = self.connection.recv(65_536)
                if data:
                    self._held += data
                    continue
            assert not self._held
            return b""
        answer, _, self._held = self._held.partition(END)
        assert answer.startswith(START)
        return answer.removeprefix(START)

    def is_closed(self) -> bool:
        return self.answer() == b""


def code_of(answer: bytes) -> str:
    """MSA-1."""
    found = re.search(rb"\rMSA\|([A-Z]{2})\|", answer)
    assert found is not None, answer
    return found[1].decode()


def stored(database: str) -> list[Any]:
    """The items of the inbox."""
    store = open_store(database)
    try:
        with store.database.reading() as connection:
            return list(connection.execute(select(inbox_items).order_by(inbox_items.c.id)))
    finally:
        store.close()
