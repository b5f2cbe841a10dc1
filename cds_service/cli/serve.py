# SPDX-License-Identifier: Apache-2.0
"""`cds-service serve`: answer CDS Hooks calls."""

import gc
import os
import socket
from functools import partial

import click
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings

from cds_service.cli.garbage_collection import without_collection
from cds_service.cli.worker_beside import worker_beside
from cds_service.log import configure_log
from cds_service.service import Knowledge
from cds_service.settings import Settings, is_open, load_settings
from cds_service.tracing.calls import check_traces
from cds_service.web import create_app
from cds_service.web.access.open_mode import refuse_unsafe
from cds_service.web.app import served_knowledge
from cds_service.web.server.listening import listening_socket, shown_address
from cds_service.web.server.rsgi import Bridge
from cds_service.web.server.supervisor import Supervisor, begin_worker

_AT_THE_END = 30  # seconds for a worker to end what it does, before it is killed
_THRESHOLDS = (50_000, 20, 100)  # a call makes some thousand objects, hardly any of them in cycles
_CONNECTIONS_MORE = 1000  # those that wait between two requests, or get a 503


@click.command()
@click.option("--host", help="Address to listen on [default: CDS_HOST, 127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port [default: CDS_PORT, 8000].")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--with-worker", is_flag=True, help="Decide on results that arrive as well.")
def serve(host: str | None, port: int | None, workers: int, with_worker: bool) -> None:
    """Answer CDS Hooks calls.

    On loopback the service is open to this machine without configuration. On any other address
    it needs registered clients (CDS_CLIENTS) and the address they call (CDS_PUBLIC_URL), and
    refuses to start without.

    \b
    Examples:
      cds-service serve
      cds-service serve --port 9000 --workers 2
      cds-service serve --with-worker
    """
    given = {"host": host, "port": port}
    changes = {name: value for name, value in given.items() if value is not None}
    settings = load_settings().model_copy(update=changes)
    refuse_unsafe(settings)
    listening = listening_socket(settings.host, settings.port)
    configure_log(settings.log_level, settings.log_format)
    with without_collection():
        # What is wrong stops the start here, once, with every problem.
        knowledge = served_knowledge(settings)
        check_traces(settings.traces)
        untraced = settings.model_copy(
            update={"traces": "off"}
        )  # the threads of traces do not fork
        create_app(untraced, knowledge=knowledge).extensions["memory"].close()
    who = "open to this machine only" if is_open(settings) else f"for {settings.public_url}"
    if settings.hash_key is None and settings.silence_days and not is_open(settings):
        effect = "overridden cards, and those that were just shown, are shown again"
        click.echo(f"CDS_HASH_KEY is not set: {effect}", err=True)
    scheme = "http" if settings.tls_key is None else "https"
    address = shown_address(settings.host, listening.getsockname()[1])
    click.echo(f"Listening on {scheme}://{address}, {who}", err=True)
    with worker_beside(wanted=with_worker):
        _answer(listening, settings, workers, knowledge)


def _answer(
    listening: socket.socket, settings: Settings, workers: int, knowledge: Knowledge
) -> None:
    """Answer requests until the process is stopped."""
    inherited = _Inherited(knowledge)
    # Workers begin as copies of this process and share its pages: what is there now is not looked
    # at again by the garbage collector, which would write to every page.
    gc.freeze()
    Supervisor(
        listening,
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
    ).serve(target_loader=partial(_bridge, settings, os.getpid(), inherited))


class _Inherited:
    """The knowledge of the supervisor, for workers that begin as a copy of its process.

    Where they do not (macOS, Windows), nothing is handed over, and a worker loads it itself.
    """

    def __init__(self, knowledge: Knowledge | None) -> None:
        self.knowledge = knowledge

    def __reduce__(self) -> tuple[type["_Inherited"], tuple[None]]:
        return _Inherited, (None,)


def _bridge(settings: Settings, supervisor: int, inherited: _Inherited, _target: str) -> Bridge:
    """What answers the requests of one worker process."""
    begin_worker(supervisor)
    configure_log(settings.log_level, settings.log_format)
    with without_collection():
        app = create_app(settings, knowledge=inherited.knowledge)
        app.extensions["memory"].follow()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    return Bridge(app, settings, app.extensions["door"], app.extensions["hook_calls"])
