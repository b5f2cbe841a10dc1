# SPDX-License-Identifier: Apache-2.0
"""HAPI FHIR for the tests: one server for all processes of a run, with data of all of them.

The fixture `hapi` (tests/conftest.py) gives its base URL. `requirements/install-hapi-server` builds
it; without Java or Maven a test that asks for it is skipped. It takes 20 seconds to start and
800 MB, so the first process that needs it starts it, and the last one stops it. Tests use ids of
their own, and set off the Subscriptions that they make.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import requests

from tests.conformance.server import free_port
from tests.house.source import ROOT

BUILT = ROOT / "tests" / "hapi-server" / "target"
_PATIENCE = 180  # seconds for it to start while other tests run
_LONGEST_RUN = 60  # minutes, after which it ends by itself
_MEMORY = "768m"


def skip_without(items: Iterable[pytest.Item]) -> None:
    """Skip the tests that ask for the server if it cannot be started; one line a file says so."""
    if shutil.which("java") is not None and (BUILT / "lib").is_dir():
        return
    reason = "no HAPI FHIR: it needs JDK 17, Maven and requirements/install-hapi-server"
    for item in items:
        if item.get_closest_marker("hapi") is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


@contextmanager
def shared(folder: Path) -> Iterator[str]:
    """The base URL of the server that the processes with this folder share."""
    state = folder / "hapi.json"
    with _locked(folder):
        found = _read(state) or _started(folder)
        found["users"] += 1
        state.write_text(json.dumps(found), encoding="utf-8")
    try:
        yield str(found["base"])
    finally:
        with _locked(folder):
            found = _read(state) or found
            found["users"] -= 1
            state.write_text(json.dumps(found), encoding="utf-8")
            if not found["users"]:
                state.unlink()
                _stop(found["pid"])


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "hapi.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(state: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(state.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found


def _started(folder: Path) -> dict[str, Any]:
    port = free_port()
    base = f"http://127.0.0.1:{port}/fhir"
    log = folder / "hapi.log"
    pid = _detached(
        ["java", f"-Xmx{_MEMORY}", "-XX:TieredStopAtLevel=1"]
        + ["-cp", f"{BUILT / 'classes'}{os.pathsep}{BUILT / 'lib'}/*"]
        + ["testserver.Main", str(port), str(_LONGEST_RUN)],
        log,
    )
    end = monotonic() + _PATIENCE
    while monotonic() < end and is_running(pid):
        with suppress(requests.RequestException):
            if requests.get(f"{base}/metadata", timeout=30).ok:
                return {"base": base, "pid": pid, "users": 0}
        sleep(0.3)
    _stop(pid)
    raise AssertionError(log.read_text(encoding="utf-8", errors="replace")[-2000:])


def _detached(command: list[str], log: Path) -> int:
    """Start a program that outlives this process; its process id.

    The shell in between is its parent and is over at once: no process of pytest has to wait for it.
    """
    started = subprocess.run(
        ["sh", "-c", 'log=$1; shift; "$@" >"$log" 2>&1 </dev/null & echo $!', "sh", log, *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        start_new_session=True,
    )
    return int(started.stdout)


def is_running(pid: int) -> bool:
    """Whether there is a process with this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _stop(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # it has nothing on the disk
