# SPDX-License-Identifier: Apache-2.0
"""From a result that is stored on sekmet to a decision, through the service and its worker."""

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

import pytest
import requests

from cds_service.store import open_store
from cds_service.store.tables import decisions, inbox_items
from tests.feedback.killed_server import closing, free_port
from tests.fhir_server.sekmet import put, running
from tests.house.source import ROOT
from tests.subscriptions.inbox_fixtures import rows
from tests.subscriptions.notified import TOPIC, topic_of_observations
from tests.web.http_fixtures import ALT, observation, patient

pytestmark = pytest.mark.server

_PATIENCE = 30
_SLOWEST = 5  # seconds; two on a machine that does nothing else


@dataclass
class Service:
    """The service with its worker, in processes of their own."""

    folder: Path
    base: str
    port: int

    @property
    def environment(self) -> dict[str, str]:
        servers = self.folder / "servers.yaml"
        servers.write_text(
            f"servers:\n  - base: {self.base}\n    name: local\n    this machine: yes\n"
            f"    anonymous: yes\n    subscriptions:\n      topic: {TOPIC}\n",
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
        command = [sys.executable, "-m", "cds_service", "subscribe", "--server", "local", *words]
        subprocess.run(command, cwd=ROOT, env=self.environment, check=True, timeout=60)

    def decided(self) -> list[Any]:
        store = open_store(f"sqlite:///{self.folder / 'service.db'}")
        try:
            return rows(store, decisions)
        finally:
            store.close()

    def items(self) -> dict[tuple[str, str], str]:
        store = open_store(f"sqlite:///{self.folder / 'service.db'}")
        try:
            return {(row.resource_id, row.version): row.state for row in rows(store, inbox_items)}
        finally:
            store.close()


def until(wanted: Any, seconds: float = _PATIENCE) -> float:
    """How long it took until this became so."""
    began = time.monotonic()
    while not wanted():
        assert time.monotonic() - began < seconds, "it never became so"
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture(scope="module", params=["put-resource", "post-endpoint"])
def base(request: pytest.FixtureRequest) -> Iterator[str]:
    with running(subscriptions={"notify_method": request.param}) as found:
        put(found, [patient(), topic_of_observations()])
        yield found


@pytest.fixture
def service(base: str, tmp_path: Path) -> Service:
    return Service(tmp_path, base, free_port())


@pytest.mark.parametrize(
    "words",
    [
        ("--kind", "criteria"),
        ("--kind", "criteria", "--content", "empty"),
        ("--content", "empty"),
        ("--content", "id-only"),
        ("--content", "full-resource"),
    ],
    ids=" ".join,
)
def test_a_result_is_decided_on_within_seconds(service: Service, words: tuple[str, ...]) -> None:
    identity = "-".join(words).strip("-") + str(service.port)
    with service.answering():
        service.subscribe(*words)
        for value in (1, 1, 30):
            before = len(service.decided())
            put(service.base, [observation(ALT, value, id=identity)])
            took = until(lambda before=before: len(service.decided()) > before)
            print(f"{' '.join(words)}: {took:.2f} s")
            assert took < _SLOWEST

    ours = {version: state for (one, version), state in service.items().items() if one == identity}
    assert set(ours.values()) == {"done"}
    assert "3" in ours  # of names alone the version is that of the time when they were read


def test_what_happened_while_the_service_was_away_is_found(service: Service) -> None:
    kept, changed, gone = (f"{name}{service.port}" for name in ("kept", "changed", "gone"))
    with service.answering():
        service.subscribe("--kind", "criteria")
        put(service.base, [observation(ALT, 1, id=changed), observation(ALT, 1, id=gone)])
        until(lambda: len(service.items()) == 2)
        until(lambda: set(service.items().values()) == {"done"})

    put(service.base, [observation(ALT, 1, id=kept)])
    put(service.base, [observation(ALT, 30, id=changed, status="entered-in-error")])
    requests.delete(f"{service.base}/Observation/{gone}", timeout=10).raise_for_status()

    with service.answering():
        until(lambda: {(kept, "1"), (changed, "2")} <= service.items().keys())
        until(lambda: len([one for one, _ in service.items() if one == gone]) == 2)
        until(lambda: set(service.items().values()) == {"done"})
