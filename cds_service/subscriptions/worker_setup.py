# SPDX-License-Identifier: Apache-2.0
"""A worker as the settings have it: its inbox, its access to FHIR servers, and what decides."""

import os
from collections.abc import Callable, Iterable
from datetime import timedelta
from secrets import token_hex
from typing import Final
from zoneinfo import ZoneInfo

from cds_service.clock import Clock
from cds_service.fhir_client.client import Access, FhirClient
from cds_service.fhir_client.servers_file import load_servers
from cds_service.fhir_client.writer import FhirWriter
from cds_service.hooks.discovery import results_filter
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.site.overlay import load_packs_at
from cds_service.settings import Settings, cards_folder
from cds_service.smart.access import authorize_background
from cds_service.smart.signing_keys import open_keys
from cds_service.smart.token_cache import open_token_cache
from cds_service.store import Store
from cds_service.store.advice import AdviceTable
from cds_service.subscriptions.inbox import make_inbox
from cds_service.subscriptions.message_results import MessageResults
from cds_service.subscriptions.reactivation import SubscriptionUpkeep
from cds_service.subscriptions.reconcile import Reconciler
from cds_service.subscriptions.registration import RegistrationTable
from cds_service.subscriptions.registry import SubscriptionRegistry
from cds_service.subscriptions.retention import Retention, retention_times
from cds_service.subscriptions.server_reader import ServerReader
from cds_service.subscriptions.task_states import TaskStates
from cds_service.subscriptions.work import Decide
from cds_service.subscriptions.work_watch import WorkWatch
from cds_service.subscriptions.worker import Worker
from cds_service.subscriptions.worker_tools import WorkerTools, make_decide
from cds_service.subscriptions.write_message import READ, WRITTEN, MessageWriter

_READ: Final = ("Observation?", "Subscription")  # types that a token is needed for


def open_tools(settings: Settings, store: Store, clock: Clock) -> WorkerTools:
    """What a worker works with; raises `SettingsError` with all that is wrong."""
    development = settings.profile == "development"
    keys = open_keys(settings.signing_keys, logged=True)
    return WorkerTools(
        settings=settings,
        store=store,
        servers=load_servers(settings.fhir_servers, development=development),
        client=FhirClient(most_bytes=settings.max_body_bytes, most_pages=settings.fhir_max_pages),
        tokens=None if keys is None else open_token_cache(keys, clock),
        clock=clock,
    )


def make_worker(
    tools: WorkerTools,
    deciding: Callable[[WorkerTools], Decide] = make_decide,
    watch: WorkWatch | None = None,
) -> Worker:
    """A worker with these tools; raises `KnowledgeError` if the packs have problems.

    `watch` shows its work; without one it counts for nobody.
    """

    def access_to(base: str) -> Access | None:
        server = tools.servers.find(base)
        if server is None:
            return None
        wanted = server.subscriptions
        asked = (*_READ, wanted.advice_as) if wanted.write_back == "on" else _READ
        return authorize_background(server, tools.tokens, asked)

    settings = tools.settings
    packs = load_packs_at(cards_folder(settings), settings.site_file)
    inbox = make_inbox(settings, tools.store.database, tools.servers)
    reader = ServerReader(client=tools.client, access_to=access_to)
    rows = RegistrationTable(tools.store.database)
    results = results_filter(packs, by_category=settings.lab_category_prefetch)
    reconciler = Reconciler(
        inbox=inbox,
        reader=reader,
        registrations=rows,
        results=results,
        overlap=timedelta(minutes=settings.reconcile_overlap_minutes),
        tasks=TaskStates(
            reader=reader,
            servers=tools.servers,
            advice=AdviceTable(tools.store.database),
            clock=tools.clock,
        ),
    )
    times = retention_times(settings, _longest_quiet(packs))
    return Worker(
        inbox=inbox,
        decide=deciding(tools),
        reader=reader,
        reconciler=reconciler,
        upkeep=SubscriptionUpkeep(
            registry=_registry(tools, rows, results),
            reconciler=reconciler,
            renew_before=timedelta(days=settings.renew_before_days),
            renew_days=settings.renew_days,
            began=tools.clock(),
        ),
        write_message=_message_writer(tools),
        watch=watch or WorkWatch(clock=tools.clock),
        clock=tools.clock,
        holder=f"{os.getpid()}-{token_hex(4)}",
        reconcile_every=timedelta(minutes=settings.reconcile_minutes),
        retention=Retention(database=tools.store.database, times=times),
    )


def _registry(tools: WorkerTools, rows: RegistrationTable, results: str) -> SubscriptionRegistry:
    return SubscriptionRegistry(
        settings=tools.settings,
        servers=tools.servers,
        rows=rows,
        tokens=tools.tokens,
        clock=tools.clock,
        results=lambda: results,
    )


def _message_writer(tools: WorkerTools) -> MessageWriter:
    def access_to(base: str) -> Access | None:
        server = tools.servers.find(base)
        return None if server is None else authorize_background(server, tools.tokens, READ, WRITTEN)

    return MessageWriter(
        servers=tools.servers,
        reader=ServerReader(client=tools.client, access_to=access_to),
        writer=FhirWriter(most_bytes=tools.settings.max_body_bytes),
        results=MessageResults(tools.store.database),
        zone=ZoneInfo(tools.settings.site_time_zone),
        clock=tools.clock,
    )


def _longest_quiet(packs: Iterable[Pack]) -> int:
    """The most days that a card of these packs is quiet."""
    return max((rule.quiet_days for pack in packs for rule in pack.rules.values()), default=0)
