# SPDX-License-Identifier: Apache-2.0
"""A real FHIR server by others for the tests: sekmet, from an environment of its own.

    with running() as base:
        put(base, [patient, observation])

`requirements/install-fhir-server` makes the environment; without it a test that asks for the server
is skipped.
"""

import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import requests

from tests.conformance.server import free_port
from tests.house.source import ROOT

Json = dict[str, Any]

PROGRAM = ROOT / ".venv-fhir" / "bin" / "sekmet"
_PATIENCE = 60  # seconds for the server to start
_TRIES = 3  # another program may take the port first
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


def _started(folder: Path, settings: Mapping[str, Any]) -> "tuple[subprocess.Popen[bytes], str]":
    for _ in range(_TRIES):
        port = free_port()
        base = f"http://127.0.0.1:{port}/fhir"
        file = folder / f"{port}.yaml"  # JSON is YAML too
        said = {
            "base_url": base,
            "host": "127.0.0.1",
            "port": port,
            "data_dir": str(folder / f"data-{port}"),
            "simulator": {"enabled": False},
            **settings,
        }
        file.write_text(json.dumps(said), encoding="utf-8")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [PROGRAM, "serve", "-c", file], cwd=folder, stdout=log, stderr=log
            )
        if _answers(process, base):
            return process, base
        _stop(process)
    raise AssertionError((folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:])


def _answers(process: "subprocess.Popen[bytes]", base: str) -> bool:
    end = monotonic() + _PATIENCE
    while monotonic() < end and process.poll() is None:
        with suppress(requests.RequestException):
            if requests.get(f"{base}/metadata", timeout=5).ok:
                return True
        sleep(0.1)
    return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(15)
    process.kill()
    process.wait()
