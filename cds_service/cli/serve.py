# SPDX-License-Identifier: Apache-2.0
"""`cds-service serve` and `cds-service demo`."""

import signal
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flask import Flask

    from cds_service.settings import Settings
    from cds_service.web.server.rsgi import Bridge

_AT_THE_END = 30  # seconds for a worker to end what it does, before it is killed
_CONNECTIONS_MORE = 1000  # those that wait between two requests, or are to be told 503


@click.command()
@click.option("--host", help="Address to listen on [default: CDS_HOST, 127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port [default: CDS_PORT, 8000].")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
def serve(host: str | None, port: int | None, workers: int) -> None:
    """Answer CDS Hooks calls.

    On loopback the service is open to this machine without configuration. On any other address
    it needs registered clients (CDS_CLIENTS) and the address they call (CDS_PUBLIC_URL), and
    refuses to start without.

    \b
    Examples:
      cds-service serve
      cds-service serve --port 9000 --workers 2
    """
    from cds_service.memory import with_hash_key
    from cds_service.settings import is_open, load_settings
    from cds_service.web.access.open_mode import refuse_unsafe

    given = {"host": host, "port": port}
    changes = {name: value for name, value in given.items() if value is not None}
    settings = load_settings().model_copy(update=changes)
    refuse_unsafe(settings)
    settings = with_hash_key(settings)
    _application(settings, "")  # what is wrong stops the start here, once, with every problem
    who = "open to this machine only" if is_open(settings) else f"for {settings.public_url}"
    if settings.hash_key is None and settings.silence_days:
        click.echo("CDS_HASH_KEY is not set: overridden cards are shown again", err=True)
    scheme = "http" if settings.tls_key is None else "https"
    click.echo(f"Listening on {scheme}://{settings.host}:{settings.port}, {who}", err=True)
    _listen(settings, workers)


def _listen(settings: "Settings", workers: int) -> None:
    """Answer requests until the process is told to stop."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, SSLProtocols
    from granian.http import HTTP1Settings

    Granian(
        "cds_service",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,  # HTTP/2 is for a proxy; here it would need limits of its own
        websockets=False,
        workers=workers,
        # granian counts connections; beyond them it accepts no more, and the kernel queues them.
        backpressure=settings.max_requests + _CONNECTIONS_MORE,
        http1_settings=HTTP1Settings(
            header_read_timeout=settings.header_seconds * 1000,
            max_buffer_size=settings.max_header_bytes,
        ),
        workers_kill_timeout=_AT_THE_END,
        ssl_cert=settings.tls_certificate,
        ssl_key=settings.tls_key,
        ssl_protocol_min=SSLProtocols.tls12,  # RFC 9325, section 3.1.1
        log_enabled=False,
    ).serve(target_loader=partial(_bridge, settings))


def _bridge(settings: "Settings", target: str) -> "Bridge":
    from cds_service.web.server.rsgi import Bridge

    app = _application(settings, target)
    return Bridge(app, settings, app.extensions["door"])


def _application(settings: "Settings", _target: str) -> "Flask":
    """The application of one worker process."""
    from cds_service.log import configure_log
    from cds_service.web import create_app

    configure_log(settings.log_level, settings.log_format)
    return create_app(settings)


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
    from cds_service.knowledge.site.overlay import load_packs_at
    from cds_service.settings import cards_folder, load_settings, no_color

    settings = load_settings()
    packs = load_packs_at(cards_folder(settings), settings.site_file)
    examples = [(pack, one) for pack in packs for one in pack.examples]
    chosen = [pair for pair in examples if example_id in {None, pair[1].id}]
    if not chosen:
        known = ", ".join(one.id for _, one in examples)
        raise click.BadParameter(
            f"there is no such example; known: {known}", param_hint="--example"
        )
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped too
    try:
        show.wait_until_ready(base, server)
        click.echo(f"\n{click.style(example.title, bold=True)}\n", color=colour)
        for line in show.cards_as_text(show.call(base, service, body)["cards"], click.style):
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
