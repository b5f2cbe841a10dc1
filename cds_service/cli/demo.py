# SPDX-License-Identifier: Apache-2.0
"""`cds-service demo`: a real server, a real hook request for a synthetic patient, its cards.

The patient is an example of a pack, written as a case is, with dates relative to now.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import click
import requests

from cds_service.cli.card_text import cards_as_text
from cds_service.cli.demo_programs import DemoFailed, free_port
from cds_service.cli.demo_subscription import show_arrival
from cds_service.clock import system_clock
from cds_service.knowledge.model.pack import Pack, Service
from cds_service.knowledge.site.overlay import load_packs_at
from cds_service.settings import cards_folder, environment_with, load_settings, no_color
from cds_service.trials.examples import example_request


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--example", "example_id", help="Which example [default: the first].")
@click.option("--request", "request_only", is_flag=True, help="Print the hook request and stop.")
@click.option("--once", is_flag=True, help="Stop after showing what there is to see.")
@click.option(
    "--subscription", is_flag=True, help="A result arrives on a FHIR server, and is corrected."
)
def demo(
    port: int, example_id: str | None, request_only: bool, once: bool, subscription: bool
) -> None:
    """Start the service, send it one synthetic patient and show the cards.

    The request is a real CDS Hooks patient-view call with FHIR resources, dated yesterday. The
    server keeps running afterwards until Ctrl-C.

    With --subscription nobody asks: a FHIR server from a package is started as well, and notifies
    the service of a result that is stored there. What the service writes back is shown, and
    how it is withdrawn when the result is corrected.

    \b
    Examples:
      cds-service demo
      cds-service demo --subscription
      cds-service demo --subscription --once
      cds-service demo --request > request.json

    Exit codes: 0 shown; 2 wrong use, the FHIR server is not installed, or no chosen example says
    how it is corrected; 3 a program did not start or a step failed; 130 Ctrl-C, 143 ended by a
    signal.
    """
    settings = load_settings()
    packs = load_packs_at(cards_folder(settings), settings.site_file)
    examples = [(pack, example) for pack in packs for example in pack.examples]
    chosen = [pair for pair in examples if example_id in {None, pair[1].id}]
    if not chosen:
        known = ", ".join(example.id for _, example in examples)
        raise click.BadParameter(
            f"there is no such example; known: {known}", param_hint="--example"
        )
    if subscription and request_only:
        raise click.UsageError("--request goes without --subscription")
    try:
        if subscription:
            show_arrival(chosen, port, once=once)
        else:
            pack, example = chosen[0]
            body = example_request(pack, example, pack.services[0], system_clock())
            if request_only:
                click.echo(body)
            else:
                _show_call(packs, pack.services[0], example.title, body, port, once=once)
    except DemoFailed as error:
        click.echo(f"cds-service: {error}", err=True)
        sys.exit(error.code)


def _show_call(
    packs: Sequence[Pack], service: Service, title: str, body: bytes, port: int, *, once: bool
) -> None:
    """Start the service, call it and show the cards; without `once` it runs until Ctrl-C."""
    colour = False if no_color() else None  # None: click looks whether this is a terminal
    free = free_port(port)
    base = f"http://127.0.0.1:{free}"
    server = start_server(free)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped too
    try:
        wait_until_ready(base, server)
        click.echo(f"\n{click.style(title, bold=True)}\n", color=colour)
        asked = [
            candidate
            for other in packs
            for candidate in other.services
            if candidate.hook == service.hook
        ]
        asked.sort(key=lambda candidate: candidate.id != service.id)  # its own first
        cards = [card for candidate in asked for card in call(base, candidate, body)["cards"]]
        for line in cards_as_text(cards, click.style):
            click.echo(line, color=colour)
        started_as = sys.argv[0] if sys.argv[0].endswith("cds-service") else "cds-service"
        click.echo(f"Serving at {base} (Ctrl-C stops). Open the sandbox in a browser, or try:")
        click.echo(f"  {base}/sandbox")
        click.echo(f"  curl {base}/cds-services")
        click.echo(
            f"  {started_as} demo --request | curl --json @- {base}/cds-services/{service.id}"
        )
        if not once:
            server.wait()
    finally:
        server.terminate()
        server.wait()


def start_server(port: int) -> "subprocess.Popen[bytes]":
    """A server of its own process on loopback, which keeps nothing when it stops."""
    command = [sys.executable, "-m", "cds_service", "serve", "--port", str(port)]
    environment = environment_with(
        {
            "CDS_PROFILE": "development",  # so that the sandbox is there
            "CDS_LOG_LEVEL": "warning",
            "CDS_DATABASE_URL": "sqlite://",
        }
    )
    return subprocess.Popen(command, env=environment)  # noqa: S603 - our own program


def wait_until_ready(base: str, server: "subprocess.Popen[bytes]", seconds: float = 30) -> None:
    """Return when the server answers; raises `DemoFailed` if it stops or never does."""
    for _ in range(int(seconds * 10)):
        if server.poll() is not None:
            break
        try:
            if requests.get(f"{base}/ready", timeout=2).ok:
                return
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.1)
    raise DemoFailed("the server did not start")


def call(base: str, service: Service, body: bytes) -> dict[str, Any]:
    """The response of the service to a hook request."""
    response = requests.post(
        f"{base}/cds-services/{service.id}",
        data=body,
        headers={"Content-Type": "application/json"},
        timeout=30,
    )
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer
