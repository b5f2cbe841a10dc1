# SPDX-License-Identifier: Apache-2.0
"""`cds-service serve` and `cds-service demo`."""

import ipaddress
import socket
import sys

import click

from cds_service.errors import SettingsError


@click.command()
@click.option("--host", help="Address to listen on [default: CDS_HOST, 127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port [default: CDS_PORT, 8000].")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
def serve(host: str | None, port: int | None, workers: int) -> None:
    """Answer CDS Hooks calls.

    On loopback the service is open to this machine without configuration. On any other address
    it needs registered clients, which this version does not have yet, and refuses to start.

    \b
    Examples:
      cds-service serve
      cds-service serve --port 9000 --workers 2
    """
    from granian import Granian
    from granian.constants import Interfaces

    from cds_service.log import configure_log
    from cds_service.service import load_knowledge
    from cds_service.settings import load_settings

    settings = load_settings()
    address, number = host or settings.host, settings.port if port is None else port
    if not _is_loopback(address):
        raise SettingsError(
            ["CDS_HOST: without registered clients the service listens on loopback only"]
        )
    configure_log(settings.log_level, settings.log_format)
    load_knowledge(settings)  # a pack with a problem stops the start here, once, with every problem
    click.echo(f"Listening on http://{address}:{number}, open to this machine only", err=True)
    Granian(
        "cds_service.web:create_app",
        factory=True,
        address=address,
        port=number,
        interface=Interfaces.WSGI,
        workers=workers,
        log_enabled=False,
    ).serve()


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--example", "example_id", help="Which example [default: the first].")
@click.option("--request", "request_only", is_flag=True, help="Print the hook request and stop.")
@click.option("--once", is_flag=True, help="Stop after showing the cards.")
def demo(port: int, example_id: str | None, request_only: bool, once: bool) -> None:
    """Start the service, send it one synthetic patient and show the cards.

    The request is a real CDS Hooks patient-view call with FHIR resources, dated yesterday. The
    server keeps running afterwards until Ctrl-C.

    \b
    Examples:
      cds-service demo
      cds-service demo --request > request.json
    """
    from cds_service import demo as show
    from cds_service.clock import system_clock
    from cds_service.knowledge.pack import load_packs
    from cds_service.settings import cards_folder, load_settings, no_color

    packs = load_packs(cards_folder(load_settings()))
    examples = [(pack, one) for pack in packs for one in pack.examples]
    chosen = [pair for pair in examples if example_id in {None, pair[1].id}]
    if not chosen:
        known = ", ".join(one.id for _, one in examples)
        raise click.BadParameter(f"there is no such example; known: {known}", param_hint="--example")
    pack, example = chosen[0]
    service = pack.services[0]
    body = show.demo_request(pack, example, service, system_clock())
    if request_only:
        click.echo(body)
        return
    colour = False if no_color() else None  # None: click looks whether this is a terminal
    free = _free_port(port)
    base = f"http://127.0.0.1:{free}"
    server = show.start_server(free)
    try:
        show.wait_until_ready(base, server)
        click.echo(f"\n{click.style(example.title, bold=True)}\n", color=colour)
        for line in show.cards_as_text(show.call(base, service, body)["cards"], click.style):
            click.echo(line, color=colour)
        click.echo(f"Serving at {base} (Ctrl-C stops). Try:\n  curl {base}/cds-services")
        click.echo(
            "  cds-service demo --request | curl --json @- "
            f"{base}/cds-services/{service.id}"
        )
        if not once:
            server.wait()
    except show.ServerDied as error:
        click.echo(f"cds-service: {error}", err=True)
        sys.exit(3)
    finally:
        server.terminate()
        server.wait()


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
