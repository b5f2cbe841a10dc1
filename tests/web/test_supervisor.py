# SPDX-License-Identifier: Apache-2.0
"""The processes of `cds-service serve`: one owner of a port, workers that are replaced or end."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import requests

from cds_service.settings import environment_with
from tests.conformance.server import stop

pytestmark = pytest.mark.server

PATIENCE = 90  # seconds, on a machine that is busy otherwise


@dataclass(frozen=True)
class Served:
    """A service of several processes, and what it says on standard error."""

    process: "subprocess.Popen[bytes]"
    said: Path

    @property
    def address(self) -> str:
        """The address that the service says it listens on."""
        found = re.search(r"Listening on (\S+),", self.said.read_text(encoding="utf-8"))
        return found[1] if found else ""

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = self.said.read_text(encoding="utf-8").splitlines()
        logged = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in logged if line["event"] == name]

    def workers(self) -> set[int]:
        return {child for child, parent in processes() if parent == self.process.pid}

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.address}/health", timeout=PATIENCE).ok
        except requests.RequestException:
            return False


def processes() -> list[tuple[int, int]]:
    """Each process that is no zombie, with its parent."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [(int(pid), int(parent)) for pid, parent, state in rows if state[0] != "Z"]


def until(condition: Any) -> None:
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end
        sleep(0.05)


@contextmanager
def serving(folder: Path, *, port: int = 0, workers: int = 2) -> Iterator[Served]:
    said = folder / f"said-{len(list(folder.iterdir()))}"
    command = [sys.executable, "-m", "cds_service", "serve", "--port", str(port)]
    environment = environment_with({"CDS_DATABASE_URL": "sqlite://", "CDS_LOG_LEVEL": "error"})
    with said.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--workers", str(workers)],
            env=environment,
            stderr=stream,
            start_new_session=True,
        )
    served = Served(process, said)
    try:
        yield served
    finally:
        stop(process)


@contextmanager
def ready(folder: Path, *, port: int = 0, workers: int = 2) -> Iterator[Served]:
    with serving(folder, port=port, workers=workers) as served:
        until(lambda: served.address and len(served.workers()) == workers and served.answers())
        yield served


def port_of(served: Served) -> int:
    return int(served.address.rpartition(":")[2])


def test_a_port_that_the_machine_chose_is_said(tmp_path: Path) -> None:
    with ready(tmp_path, workers=1) as served:
        assert port_of(served) > 0


def test_a_second_start_on_a_port_is_refused_and_takes_no_call(tmp_path: Path) -> None:
    with ready(tmp_path) as first:
        with serving(tmp_path, port=port_of(first)) as second:
            assert second.process.wait(PATIENCE) == 2
            assert "something listens on 127.0.0.1:" in second.said.read_text(encoding="utf-8")
            assert second.address == ""

        assert all(first.answers() for _ in range(20))


def test_a_worker_that_is_killed_is_replaced_and_logged(tmp_path: Path) -> None:
    with ready(tmp_path) as served:
        before = served.workers()
        killed = min(before)

        os.kill(killed, signal.SIGKILL)

        assert all(served.answers() for _ in range(20))
        until(lambda: len(served.workers() - {killed}) == 2)
        assert before - {killed} < served.workers()
        (line,) = served.events("worker-ended")
        assert (line["level"], line["exit_code"], line["replaced"]) == ("error", -9, True)
        assert served.answers()
        served.process.terminate()
        assert served.process.wait(PATIENCE) == 0


def test_an_interrupt_of_all_processes_is_no_fault(tmp_path: Path) -> None:
    """As Ctrl-C sends it."""
    with ready(tmp_path) as served:
        os.killpg(served.process.pid, signal.SIGINT)

        assert served.process.wait(PATIENCE) == 0
        assert served.events("worker-ended") == []


def test_the_only_worker_is_replaced_too(tmp_path: Path) -> None:
    with ready(tmp_path, workers=1) as served:
        os.kill(min(served.workers()), signal.SIGKILL)

        until(lambda: served.events("worker-ended"))
        assert served.answers()  # what comes meanwhile waits for the new one


def test_workers_that_end_again_and_again_end_the_service(tmp_path: Path) -> None:
    with ready(tmp_path, workers=1) as served:
        killed: set[int] = set()
        while served.process.poll() is None:
            for worker in served.workers() - killed:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
                killed.add(worker)
            sleep(0.05)

        assert served.process.returncode == 1
        assert [line["replaced"] for line in served.events("worker-ended")] == [True] * 4 + [False]


def test_workers_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with ready(tmp_path) as first:
        workers, port = first.workers(), port_of(first)

        os.kill(first.process.pid, signal.SIGKILL)

        until(lambda: workers.isdisjoint(pid for pid, _ in processes()))
        assert len(first.events("orphaned")) == 2
        with ready(tmp_path, port=port) as again:
            assert port_of(again) == port
