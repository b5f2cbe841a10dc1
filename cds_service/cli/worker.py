# SPDX-License-Identifier: Apache-2.0
"""`cds-service worker`: decide on results that arrived."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Event
from types import FrameType

import click

from cds_service.cli.status_page import status_of, status_page
from cds_service.clock import system_clock
from cds_service.log import configure_log, log_worker_started
from cds_service.service import load_knowledge
from cds_service.settings import Settings, database_url, load_settings
from cds_service.smart.signing_keys import open_keys
from cds_service.store import Store, open_store
from cds_service.subscriptions.work_watch import WorkWatch
from cds_service.subscriptions.worker_setup import make_worker, open_tools
from cds_service.subscriptions.worker_tools import make_decide
from cds_service.tracing.calls import CallTraces, open_traces, stop_traces
from cds_service.web.operating_metrics import show_files, show_packs
from cds_service.web.server.supervisor import end_with_parent


@click.command()
@click.option("--until-empty", is_flag=True, help="End as soon as nothing is due.")
@click.option("--parent", type=int, hidden=True, help="End with the process of this id.")
def worker(until_empty: bool, parent: int | None) -> None:
    """Decide on results that arrived by Subscriptions.

    Several workers may run beside each other; with SQLite on one machine. When it is asked to stop
    (SIGTERM, Ctrl-C) a worker ends what it has begun. What a worker that was killed had begun is
    done by another one after CDS_INBOX_LEASE_SECONDS. CDS_STATUS_PORT has it serve /health, /ready
    and /metrics.

    \b
    Examples:
      cds-service worker
      cds-service worker --until-empty
      cds-service serve --with-worker

    Exit codes: 0 it was asked to stop; 2 the settings have problems; 3 the database cannot be used.
    """
    settings = load_settings()
    configure_log(settings.log_level, settings.log_format)
    if parent is not None:
        end_with_parent(parent)
    traces = open_traces(settings.traces, settings.traces_share)
    store = open_store(database_url(settings))
    try:
        with _stopping() as stop:
            _work(settings, store, traces, stop, until_empty=until_empty)
    finally:
        store.close()
        stop_traces()


def _work(
    settings: Settings, store: Store, traces: CallTraces | None, stop: Event, *, until_empty: bool
) -> None:
    tools = open_tools(settings, store, system_clock)
    knowledge = load_knowledge(settings)
    status = status_of("worker", settings, store)
    watch = WorkWatch(clock=system_clock, metrics=status.metrics, traces=traces)
    made = make_worker(tools, partial(make_decide, knowledge=knowledge), watch)
    show_packs(status.metrics, knowledge.packs)
    status.metrics.signing_keys_current.set(1)  # where there is a file of keys, it says so itself
    keys = open_keys(settings.signing_keys)

    def look() -> None:
        show_files(status.metrics, None, keys, system_clock())

    with status_page(settings, replace(status, look=look, stuck=watch.stuck)):
        log_worker_started(servers=len(tools.servers.listed))
        made.run(stop, until_empty=until_empty)


@contextmanager
def _stopping() -> Iterator[Event]:
    """An event that is set once the process is asked to stop."""
    stop = Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
