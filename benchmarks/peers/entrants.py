# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared: how each is started, with one worker, and where it is called."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load import Server, post
from benchmarks.paths import Bench, cards_from
from benchmarks.peers.workloads import Workload

OURS = "cds-service"
FLASK = "Flask + gunicorn"
FASTAPI = "FastAPI + orjson"
HEALTHCHAIN = "HealthChain"

_ROOT = Path(__file__).parents[2]
PYTHON = _ROOT / ".venv-peers" / "bin" / "python"
INSTALL = "requirements/install-peers"
_APPS = "benchmarks/peers/apps"
_GUNICORN = ["-m", "gunicorn", "--workers", "1"]  # of its kinds of worker the cheapest: sync
_UVICORN = ["-m", "uvicorn", "--workers", "1", "--no-access-log", "--log-level", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A server to start. Without `is_ours` it answers by the one rule."""

    name: str
    command: Sequence[str]
    path: str
    environment: Mapping[str, str] = field(default_factory=dict)
    is_ours: bool = False


def entrants(bench: Bench, folder: Path) -> list[Entrant]:
    """The service and its peers; what the service stores goes below the folder."""
    return [
        Entrant(
            name=OURS,
            command=[sys.executable, "-m", "cds_service", "serve", "--port", "{port}"],
            path=bench.path,
            environment={"XDG_STATE_HOME": str(folder)},
            is_ours=True,
        ),
        Entrant(
            name=FLASK,
            command=[
                *(str(PYTHON), *_GUNICORN, "--chdir", _APPS),
                *("--bind", "127.0.0.1:{port}", "--log-level", "warning", "flask_app:app"),
            ],
            path="/cds-services/alt",
        ),
        _on_uvicorn(FASTAPI, "fastapi_app:app", "/cds-services/alt"),
        _on_uvicorn(HEALTHCHAIN, "healthchain_app:app", "/cds/cds-services/alt"),
    ]


def _on_uvicorn(name: str, app: str, path: str) -> Entrant:
    command = [str(PYTHON), *_UVICORN, "--app-dir", _APPS, "--port", "{port}", app]
    return Entrant(name=name, command=command, path=path)


def prove(entrant: Entrant, server: Server, workload: Workload) -> None:
    """Raise unless every body is answered with exactly the right cards."""
    for body in workload.bodies:
        answer = post(server.port, entrant.path, body.data)
        wanted = body.ours if entrant.is_ours else body.theirs
        if cards_from(server.port, answer) != wanted:
            raise AssertionError(
                f"{entrant.name} answers '{workload.name}' otherwise; nothing is measured"
            )
