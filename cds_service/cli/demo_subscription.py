# SPDX-License-Identifier: Apache-2.0
"""`cds-service demo --subscription`: a result arrives on a real FHIR server.

The server comes from a package, in an environment of its own. What is shown is read back from it.
"""

import json
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import requests

from cds_service.cli.demo_programs import DemoFailed, Stage, free_port
from cds_service.cli.printable import printable
from cds_service.clock import system_clock
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.model.pack_file import Example
from cds_service.settings import environment_of, no_color
from cds_service.trials.examples import example_resources

_NAME: Final = "demo"
_KEPT: Final = ("CDS_CARDS", "CDS_SITE_FILE")  # settings of the user that hold here too
_FHIR_JSON: Final = {
    "Content-Type": "application/fhir+json",
    "Accept": "application/fhir+json",
    "Cache-Control": "no-cache",
}
_SECONDS: Final = 20
_LINE: Final = 96
_WIDTH: Final = len("GuidanceResponse/12345678")
_ENDED: Final = frozenset(("cancelled", "revoked"))

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DemoPatient:
    """An example of a pack."""

    pack: Pack
    example: Example

    def resources(self, *, corrected: bool = False) -> list[Json]:
        """What a FHIR server holds of the patient."""
        service = self.pack.services[0]
        return example_resources(
            self.pack, self.example, service, system_clock(), corrected=corrected
        )


@dataclass(frozen=True, slots=True)
class FhirServer:
    """The server of the demonstration."""

    base: str

    def name(self) -> str:
        """What it calls itself."""
        software = self._get("metadata").get("software", {})
        return printable(f"{software.get('name', 'FHIR server')} {software.get('version', '')}")

    def put(self, resource: Json) -> None:
        """Store a resource under its id."""
        where = f"{self.base}/{_reference(resource)}"
        body = json.dumps(resource)
        try:
            answer = requests.put(where, data=body, headers=_FHIR_JSON, timeout=_SECONDS)
        except requests.RequestException as error:
            raise DemoFailed(f"the FHIR server failed: {type(error).__name__}") from None
        if not answer.ok:
            why = printable(answer.text)
            raise DemoFailed(f"the FHIR server refused {_reference(resource)}: {why}")

    def get(self, reference: str) -> Json:
        """A resource as it is now."""
        return self._get(reference)

    def all(self, kind: str) -> list[Json]:
        """Every resource of a type."""
        return [entry["resource"] for entry in self._get(kind).get("entry", [])]

    def _get(self, path: str) -> Json:
        try:
            answer = requests.get(f"{self.base}/{path}", headers=_FHIR_JSON, timeout=_SECONDS)
            answer.raise_for_status()
            found: Json = answer.json()
        except requests.RequestException as error:
            raise DemoFailed(f"the FHIR server failed: {type(error).__name__}") from None
        return found


def show_arrival(patients: Iterable[tuple[Pack, Example]], port: int, *, once: bool) -> None:
    """Run the demonstration; without `once` the server and the service run until Ctrl-C."""
    patient = next((DemoPatient(*entry) for entry in patients if entry[1].corrected), None)
    if patient is None:
        raise DemoFailed("--subscription needs an example with corrected: in pack.yaml", 2)
    program = _fhir_program()
    with Stage() as stage:
        server = _start_server(stage, program)
        environment = _start_service(stage, server, free_port(port))
        _subscribe(stage, environment)
        _show(stage, server, patient)
        if not once:
            _tell_more(server, environment["CDS_PORT"])
            stage.wait()


def _fhir_program() -> Path:
    """The program that is the FHIR server."""
    program = Path(__file__).parents[2] / ".venv-fhir" / "bin" / "sekmet"
    if not program.is_file():
        raise DemoFailed(
            "the FHIR server of this demonstration is not installed: in a clone of the repository "
            "run ./demo --subscription, or requirements/install-fhir-server first",
            2,
        )
    return program


def _start_server(stage: Stage, program: Path) -> FhirServer:
    _heading("1. A FHIR server")
    port = free_port()
    server = FhirServer(f"http://127.0.0.1:{port}/fhir")
    file = stage.folder / "fhir-server.yaml"
    file.write_text(  # JSON is YAML too
        json.dumps(
            {
                "base_url": server.base,
                "host": "127.0.0.1",
                "port": port,
                "data_dir": str(stage.folder / "data"),
                "simulator": {"enabled": False},
                "subscriptions": {"notify_method": "put-resource"},
            }
        ),
        encoding="utf-8",
    )
    command: list[str | Path] = [program, "serve", "-c", file]
    environment = environment_of((), {})
    stage.start("the FHIR server", command, environment, f"{server.base}/metadata")
    _say(f"{server.name()} at {server.base}")
    return server


def _start_service(stage: Stage, server: FhirServer, port: int) -> dict[str, str]:
    """Start the service for that server; the environment of its commands."""
    _heading("2. The service, with a worker that writes back to that server")
    servers = stage.folder / "servers.yaml"
    servers.write_text(
        f"servers:\n  - base: {server.base}\n    name: {_NAME}\n    this machine: yes\n"
        "    anonymous: yes\n    subscriptions:\n      write back: on\n",
        encoding="utf-8",
    )
    environment = environment_of(
        _KEPT,
        {
            "CDS_PROFILE": "development",
            "CDS_FHIR_SERVERS": str(servers),
            "CDS_PORT": str(port),
            "CDS_DATABASE_URL": f"sqlite:///{stage.folder / 'service.db'}",
            "CDS_LOG_LEVEL": "warning",
            "XDG_STATE_HOME": str(stage.folder),
        },
    )
    for line in servers.read_text(encoding="utf-8").splitlines():
        _say(line)
    address = f"http://127.0.0.1:{port}"
    stage.start("the service", _command("serve", "--with-worker"), environment, f"{address}/ready")
    _say("")
    _say(f"$ cds-service serve --with-worker    # {address}")
    return environment


def _subscribe(stage: Stage, environment: dict[str, str]) -> None:
    _heading("3. Subscribe to laboratory results")
    words = ("subscribe", "--server", _NAME)
    _say(f"$ cds-service {' '.join(words)}")
    code, lines = stage.run("the command", _command(*words), environment)
    for line in lines:
        _say(line)
    if code:
        raise DemoFailed("the FHIR server has no active Subscription: see above")


def _show(stage: Stage, server: FhirServer, patient: DemoPatient) -> None:
    """Store the result and then the corrected one, and show what comes of each."""
    before = patient.resources()
    after = [
        resource
        for resource in patient.resources(corrected=True)
        if resource["resourceType"] != "Patient"
    ]
    _heading(f"4. A result arrives: {patient.example.title}")
    for resource in before:
        server.put(resource)
        _say(f"stored  {_stored(resource)}")
    took = stage.wait_until("no Task appeared", lambda: bool(server.all("Task")))
    tasks = server.all("Task")
    _say(f"{took:.1f} seconds later the server has")
    for task in tasks:
        _print_task(server, task)
    for kind in ("GuidanceResponse", "Provenance"):
        for resource in server.all(kind):
            _say(f"{_short(_reference(resource)):<{_WIDTH}}  {_about(resource)}")

    _heading("5. The laboratory corrects it")
    for resource in after:
        server.put(resource)
        _say(f"stored  {_stored(resource)}")
    took = stage.wait_until("the Task was not cancelled", lambda: _are_ended(server, tasks))
    _say(f"{took:.1f} seconds later")
    for task in server.all("Task"):
        _print_task(server, task)


def _are_ended(server: FhirServer, tasks: Sequence[Json]) -> bool:
    """Whether all of these Tasks, and what they propose, are withdrawn."""
    references = [
        *map(_reference, tasks),
        *(reference for task in tasks for reference, _ in _proposals(task)),
    ]
    return all(server.get(reference)["status"] in _ENDED for reference in references)


def _print_task(server: FhirServer, task: Json) -> None:
    """A Task and what it proposes."""
    reason = task.get("statusReason", {}).get("text")
    _say("")
    because = f": {reason}" if reason else ""
    state = f"{task['status']}, {task.get('priority', '')}"
    _say(f"{_short(_reference(task)):<{_WIDTH}}  {state}{because}")
    indent = " " * (_WIDTH + 2)
    for line in textwrap.wrap(task.get("description", ""), _LINE - len(indent)):
        _say(f"{indent}{line}")
    for reference, label in _proposals(task):
        order = server.get(reference)
        state = f"{order['status']} {order['intent']}"
        _say(f"{_short(reference):<{_WIDTH}}  {state}: {label}")


def _proposals(task: Json) -> Iterator[tuple[str, str]]:
    """The references of the ServiceRequests of a Task, each with its words."""
    for entry in task.get("input", []):
        reference = entry.get("valueReference", {}).get("reference", "")
        if "ServiceRequest/" in reference:
            yield f"ServiceRequest/{reference.rpartition('/')[2]}", entry["type"].get("text", "")


def _about(resource: Json) -> str:
    """What a GuidanceResponse or a Provenance says, in a line."""
    if resource["resourceType"] == "GuidanceResponse":
        missing = ", ".join(
            requirement["type"] for requirement in resource.get("dataRequirement", [])
        )
        asked = f", would be surer with {missing}" if missing else ""
        return f"{resource['status']}, by {resource.get('moduleUri', '')}{asked}"
    (device,) = [
        contained for contained in resource["contained"] if contained["resourceType"] == "Device"
    ]
    versions = (f"{version['type']['text']} {version['value']}" for version in device["version"])
    return f"written by {', '.join(versions)}"


def _stored(resource: Json) -> str:
    """A resource of the example, in a line."""
    quantity = resource.get("valueQuantity")
    if quantity is None:
        return _reference(resource)
    value = f"{quantity['value']} {quantity.get('unit', '')}".strip()
    return f"{_reference(resource)}: {value}, {resource['status']}"


def _tell_more(server: FhirServer, port: str) -> None:
    click.echo("\nBoth keep running (Ctrl-C stops them). To see more:")
    for line in (
        f"curl {server.base}/Task",
        f"curl {server.base}/ServiceRequest",
        f"http://127.0.0.1:{port}/arrivals",
    ):
        click.echo(f"  {line}")


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "cds_service", *words]


def _short(reference: str) -> str:
    """A reference with the beginning of its id."""
    kind, _, identity = reference.partition("/")
    return f"{kind}/{identity[:8]}"


def _reference(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _heading(text: str) -> None:
    colour = False if no_color() else None  # None: click looks whether this is a terminal
    click.echo(click.style(f"\n{text}", bold=True), color=colour)


def _say(line: str) -> None:
    """A line that may hold texts of the server, which must not steer the terminal."""
    click.echo(f"   {printable(line)}".rstrip())
