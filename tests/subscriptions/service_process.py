# SPDX-License-Identifier: Apache-2.0
"""The service with its worker beside it, in processes of their own, for a FHIR server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cds_service.store import open_store
from cds_service.store.tables import decisions, inbox_items
from tests.feedback.killed_server import closing
from tests.house.source import ROOT
from tests.subscriptions.inbox_fixtures import rows
from tests.subscriptions.notified import TOPIC

PATIENCE = 60


@dataclass
class Service:
    """The service with its worker, in processes of their own."""

    folder: Path
    base: str
    port: int
    write_back: str = "silent"
    more: str = ""  # of the server, in the file of servers

    @property
    def environment(self) -> dict[str, str]:
        servers = self.folder / "servers.yaml"
        servers.write_text(
            f"servers:\n  - base: {self.base}\n    name: local\n    this machine: yes\n"
            f"    anonymous: yes\n    subscriptions:\n      topic: {TOPIC}\n"
            f"      write back: {self.write_back}\n{self.more}",
            encoding="utf-8",
        )
        return {
            **os.environ,
            "CDS_PROFILE": "development",
            "CDS_FHIR_SERVERS": str(servers),
            "CDS_PORT": str(self.port),
            "CDS_DATABASE_URL": f"sqlite:///{self.folder / 'service.db'}",
            "CDS_LOG_LEVEL": "error",
        }

    @contextmanager
    def answering(self) -> Iterator[None]:
        process = subprocess.Popen(
            [sys.executable, "-m", "cds_service", "serve", "--with-worker"],
            cwd=ROOT,
            env=self.environment,
        )
        try:
            until(self.answers)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0

    def answers(self) -> bool:
        try:
            with closing(self.port) as connection:
                connection.request("GET", "/health")
                return connection.getresponse().status == 200
        except OSError:
            return False

    def subscribe(self, *words: str) -> None:
        assert self.has_subscribed(*words)

    def has_subscribed(self, *words: str) -> bool:
        return self.run("subscribe", "--server", "local", *words)

    def end(self) -> None:
        """Set the Subscriptions off."""
        assert self.run("subscriptions", "off", "--all")

    def run(self, *words: str) -> bool:
        """Whether a command ended well."""
        command = [sys.executable, "-m", "cds_service", *words]
        environment = self.environment
        return not subprocess.run(
            command, cwd=ROOT, env=environment, timeout=60, check=False
        ).returncode

    def is_gone(self, identity: str) -> bool:
        """Whether the inbox knows that the result was deleted."""
        store = open_store(f"sqlite:///{self.folder / 'service.db'}")
        try:
            return any(row.gone for row in rows(store, inbox_items) if row.resource_id == identity)
        finally:
            store.close()

    def decided(self) -> list[Any]:
        store = open_store(f"sqlite:///{self.folder / 'service.db'}")
        try:
            return rows(store, decisions)
        finally:
            store.close()

    def states_of(self, *identities: str) -> set[str]:
        """The states of these resources: other tests store on the same server meanwhile."""
        return {state for (identity, _), state in self.items().items() if identity in identities}

    def done(self) -> set[str]:
        """The ids of the resources that have come and that nothing is left to do for."""
        items = self.items()
        waiting = {identity for (identity, _), state in items.items() if state != "done"}
        return {identity for identity, _ in items} - waiting

    def items(self) -> dict[tuple[str, str], str]:
        store = open_store(f"sqlite:///{self.folder / 'service.db'}")
        try:
            return {(row.resource_id, row.version): row.state for row in rows(store, inbox_items)}
        finally:
            store.close()


def until(wanted: Any, seconds: float = PATIENCE) -> float:
    """How long it took until this became so."""
    began = time.monotonic()
    while not wanted():
        assert time.monotonic() - began < seconds, "it never became so"
        time.sleep(0.02)
    return time.monotonic() - began
