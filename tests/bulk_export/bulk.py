# SPDX-License-Identifier: Apache-2.0
"""A server that exports as it is told to, and how to have it export to a folder."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cds_service.bulk_export.folder import ExportPlan, ExportSummary, open_folder
from cds_service.bulk_export.run import export
from cds_service.bulk_export.server import ExportServer
from cds_service.fhir_client.client import Access, Bearer, NoToken
from cds_service.fhir_client.servers import ANYWHERE, Server
from cds_service.outgoing.address_policy import AddressPolicy
from tests.fhir_client.faulty import Asked, Faulty, Reply, in_turn

Json = dict[str, Any]

KINDS = ("Patient", "Observation", "Condition", "Medication")
KICK_OFF = "Patient/$export"
TIME = "2026-11-29T12:00:00Z"
PEOPLE = b'{"resourceType":"Patient","id":"anna"}\n{"resourceType":"Patient","id":"bert"}\n'
RESULTS = b'{"resourceType":"Observation","id":"1"}\n'


def outcome(*issues: tuple[str, str]) -> Json:
    """An OperationOutcome of these severities and codes, with a text about somebody."""
    said = [
        {"severity": severity, "code": code, "diagnostics": "Anna Muster"}
        for severity, code in issues
    ]
    return {"resourceType": "OperationOutcome", "issue": said}


def manifest(server: Faulty, *paths: str, **more: object) -> Json:
    """A manifest of files whose paths are `Type/name`, perhaps with a query."""
    output = [{"type": path.partition("/")[0], "url": f"{server.base}/{path}"} for path in paths]
    made: Json = {
        "transactionTime": TIME,
        "request": f"{server.base}/{KICK_OFF}",
        "requiresAccessToken": False,
        "output": output,
        "error": [],
    }
    return {**made, **more}


def started(server: Faulty, path: str = "status") -> Reply:
    """The answer to a kick-off."""
    return Reply(status=202, headers={"Content-Location": f"{server.base}/{path}"})


def ready(server: Faulty) -> None:
    """Have the server export two patients and a result, without a fault."""
    server.answers[KICK_OFF] = started(server)
    server.answers["status"] = on_get(Reply(manifest(server, "Patient/1", "Observation/1")))
    server.answers["Patient/1"] = Reply(PEOPLE)
    server.answers["Observation/1"] = Reply(RESULTS)


def on_get(*replies: Reply) -> Callable[[Asked], Reply]:
    """These in turn for GET; 202 for DELETE."""
    answer = in_turn(*replies)
    return lambda asked: Reply(status=202) if asked.method == "DELETE" else answer(asked)


class Patience:
    """Waits not at all, but not for ever."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)
        assert len(self.pauses) < 100, "it waits for ever"


def run(
    server: Faulty,
    folder: Path,
    *,
    bearer: Bearer | None = None,
    pause: Callable[[float], None] | None = None,
    kinds: Iterable[str] = KINDS,
    overwrite: bool = False,
    policy: AddressPolicy = ANYWHERE,
) -> ExportSummary:
    """Export, and do not wait where a pause is due."""
    listed = Server(base=server.base, policy=policy, anonymous=True)
    access = Access(listed, bearer or NoToken())
    plan = ExportPlan(server=server.base, group=None, kinds=tuple(kinds))
    with open_folder(folder, plan, overwrite=overwrite) as opened:
        return export(ExportServer(access, pause=pause or Patience()), opened)


def files_in(folder: Path) -> dict[str, bytes]:
    """The files of an export, whatever their state."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file()}


def asked_for(server: Faulty, path: str) -> int:
    """How often a path was asked for by GET."""
    return sum(request.path == path and request.method == "GET" for request in server.asked)


def state_of(folder: Path) -> Json:
    """What a folder keeps of an export."""
    found: Json = json.loads((folder / ".export" / "state.json").read_text())
    return found
