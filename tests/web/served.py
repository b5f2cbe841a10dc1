# SPDX-License-Identifier: Apache-2.0
"""`cds-service serve` with its worker processes, as a machine runs it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import requests

from cds_service.settings import environment_with
from tests.conformance.server import stop

PATIENCE = 90  # seconds, on a machine that is busy otherwise
SERVICE = ("-m", "cds_service")


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

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

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


def until(condition: Callable[[], object]) -> None:
    """Return once the condition holds."""
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end
        sleep(0.05)


@contextmanager
def serving(
    folder: Path, *, port: int = 0, workers: int = 2, program: Sequence[str] = SERVICE
) -> Iterator[Served]:
    """A service that was started; what it says is in a file of the folder."""
    said = folder / f"said-{len(list(folder.iterdir()))}"
    command = [sys.executable, *program, "serve", "--port", str(port)]
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
    """A service whose workers have started and that answers."""
    with serving(folder, port=port, workers=workers) as served:
        until(lambda: served.address and len(served.workers()) == workers and served.answers())
        yield served
