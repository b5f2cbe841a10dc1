# SPDX-License-Identifier: Apache-2.0
"""`cds-service listen`: take in results that do not come by FHIR."""

import asyncio
import signal

import click

from cds_service.cli.status_page import status_of, status_page
from cds_service.clock import system_clock
from cds_service.errors import SettingsError
from cds_service.fhir_client.servers import Servers
from cds_service.log import configure_log, log_listener_started
from cds_service.metrics import Metrics
from cds_service.mllp.setup import make_listener, senders_of, servers_with_senders, tls_of
from cds_service.settings import Settings, database_url, load_settings
from cds_service.setup_checks.messages import message_findings
from cds_service.store import Store, open_store
from cds_service.tracing.calls import CallTraces, open_traces, stop_traces
from cds_service.web.server.listening import shown_address


@click.group()
def listen() -> None:
    """Take in results that do not come by FHIR.

    \b
    Examples:
      cds-service listen mllp
    """


@listen.command()
@click.option("--host", help="Address to listen on [default: CDS_MLLP_HOST, 127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port [default: CDS_MLLP_PORT, 2575].")
def mllp(host: str | None, port: int | None) -> None:
    """Take in messages of HL7 v2 with results (ORU^R01) over MLLP.

    A message is answered AA once it is on the disk; a worker then writes its results to the FHIR
    server that lists its sender (`hl7 v2` in CDS_FHIR_SERVERS). When it is asked to stop (SIGTERM,
    Ctrl-C) it answers what is being stored, and ends.

    \b
    Examples:
      cds-service listen mllp
      cds-service listen mllp --port 6661
      CDS_MLLP_TLS_CERTIFICATE=chain.pem CDS_MLLP_TLS_KEY=key.pem cds-service listen mllp --host ::

    Exit codes: 0 it was asked to stop; 2 the settings have problems; 3 the database cannot be used.
    """
    given = {"mllp_host": host, "mllp_port": port}
    changes = {name: value for name, value in given.items() if value is not None}
    settings = load_settings().model_copy(update=changes)
    servers = servers_with_senders(settings)
    for finding in message_findings(servers, by_category=settings.lab_category_prefetch):
        click.echo(f"cds-service: {finding}", err=True)
    configure_log(settings.log_level, settings.log_format)
    traces = open_traces(settings.traces, settings.traces_share)
    store = open_store(database_url(settings))
    status = status_of("listen", settings, store)
    try:
        with status_page(settings, status):
            asyncio.run(_listen(settings, servers, store, status.metrics, traces))
    except OSError:
        problem = "CDS_MLLP_HOST, CDS_MLLP_PORT: expected a free port of this machine"
        raise SettingsError([problem]) from None
    finally:
        store.close()
        stop_traces()


async def _listen(
    settings: Settings,
    servers: Servers,
    store: Store,
    metrics: Metrics,
    traces: CallTraces | None,
) -> None:
    tls = tls_of(settings)
    listener = make_listener(settings, servers, store, metrics, system_clock, traces)
    sockets = await listener.serve(settings.mllp_host, settings.mllp_port, tls)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, listener.stop)
    address = shown_address(settings.mllp_host, sockets[0].getsockname()[1])
    click.echo(f"Listening for HL7 v2 on {address}{'' if tls is None else ' over TLS'}", err=True)
    log_listener_started(senders=senders_of(servers), encrypted=tls is not None)
    await listener.until_stopped()
