# SPDX-License-Identifier: Apache-2.0
"""A real FHIR server by others for the tests: sekmet, from an environment of its own.

    with running() as base:
        put(base, [patient, observation])

`requirements/install-fhir-server` makes the environment; without it a test that asks for the server
is skipped. A process of tests imports it once, and each of its servers is a fork
(`forked_sekmet.py`): its imports take ten times as long as all else of a start.
"""

import atexit
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Any

import pytest
import requests

from tests import process_guard
from tests.conformance.server import free_port
from tests.fhir_server.hapi import is_running
from tests.house.source import ROOT

Json = dict[str, Any]

PROGRAM = ROOT / ".venv-fhir" / "bin" / "sekmet"
_PATIENCE = 60  # seconds for the server to start
_TRIES = 3  # another program may take the port first
_ONE_AT_A_TIME = Lock()
_FHIR_JSON = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}


def skip_without_server() -> None:
    """Skip the test that runs if there is no such server."""
    if not PROGRAM.is_file():
        pytest.skip("no FHIR server: run requirements/install-fhir-server")


@contextmanager
def running(**settings: Any) -> Iterator[str]:
    """The base URL of a server with no data, for as long as the block runs.

    `settings` are those of its settings file, such as `server_auth={...}`.
    """
    skip_without_server()
    with tempfile.TemporaryDirectory(prefix="fhir-", ignore_cleanup_errors=True) as made:
        process, base = _started(Path(made), settings)
        try:
            yield base
        finally:
            _stop(process)


def put(base: str, resources: Iterable[Json], headers: Mapping[str, str] | None = None) -> None:
    """Store resources under their own ids, all of them or none."""
    entries = [
        {
            "resource": resource,
            "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
        }
        for resource in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = requests.post(
        base, data=json.dumps(bundle), headers={**_FHIR_JSON, **(headers or {})}, timeout=60
    )
    assert answer.ok, answer.text
    said = [entry["response"]["status"][:3] for entry in answer.json()["entry"]]
    assert len(said) == len(entries)
    assert set(said) <= {"200", "201"}, said


@cache
def _forked() -> "subprocess.Popen[str]":
    """The program of which each server is a fork; it ends with this process."""
    process = subprocess.Popen(
        # -P: beside the file is one of the name of the package.
        [PROGRAM.with_name("python"), "-P", Path(__file__).with_name("forked_sekmet.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    atexit.register(process.communicate)  # which closes its input
    return process


def _fork(folder: Path) -> int:
    """The process id of a server with the settings in this folder."""
    process_guard.starts("server")
    program = _forked()
    assert program.stdin is not None
    assert program.stdout is not None
    with _ONE_AT_A_TIME:
        program.stdin.write(f"{folder}\n")
        program.stdin.flush()
        return int(program.stdout.readline())


def _started(folder: Path, settings: Mapping[str, Any]) -> tuple[int, str]:
    for _ in range(_TRIES):
        port = free_port()
        base = f"http://127.0.0.1:{port}/fhir"
        said = {
            "base_url": base,
            "host": "127.0.0.1",
            "port": port,
            "data_dir": str(folder / f"data-{port}"),
            "simulator": {"enabled": False},
            **settings,
        }
        # JSON is YAML too.
        (folder / "settings.yaml").write_text(json.dumps(said), encoding="utf-8")
        process = _fork(folder)
        if _answers(process, base):
            return process, base
        _stop(process)
    raise AssertionError((folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:])


def _answers(process: int, base: str) -> bool:
    end = monotonic() + _PATIENCE
    while monotonic() < end and is_running(process):
        with suppress(requests.RequestException):
            if requests.get(f"{base}/metadata", timeout=5).ok:
                return True
        sleep(0.05)
    return False


def _stop(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
        end = monotonic() + 15
        while monotonic() < end and is_running(process):
            sleep(0.02)
        os.kill(process, signal.SIGKILL)
    while is_running(process):
        sleep(0.02)
