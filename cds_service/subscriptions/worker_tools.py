# SPDX-License-Identifier: Apache-2.0
"""What a worker decides with: the tools that it has, and the decision on what arrived."""

from dataclasses import dataclass, field
from typing import Final

from cds_service.clock import Clock
from cds_service.fhir_client.client import FhirClient
from cds_service.fhir_client.servers import Servers
from cds_service.fhir_client.writer import FhirWriter
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from cds_service.smart.token_cache import TokenCache
from cds_service.store import Store
from cds_service.store.advice import AdviceTable
from cds_service.subscriptions.arrival_decision import ArrivalDecider
from cds_service.subscriptions.arrival_memory import open_arrival_memory
from cds_service.subscriptions.work import Decide

_SHARE: Final = 0.75  # of a lease: what is begun within it ends within it


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTools:
    """What deciding may need; `tokens` is `None` where there are no signing keys."""

    settings: Settings
    store: Store
    servers: Servers
    client: FhirClient = field(repr=False)
    tokens: TokenCache | None = field(repr=False)
    clock: Clock


def make_decide(tools: WorkerTools, knowledge: Knowledge | None = None) -> Decide:
    """The function that decides on what arrived for a patient.

    Raises `KnowledgeError`, `SettingsError` and `StoreError`.
    """
    settings = tools.settings
    known = load_knowledge(settings) if knowledge is None else knowledge
    return ArrivalDecider(
        knowledge=known,
        servers=tools.servers,
        client=tools.client,
        writer=FhirWriter(most_bytes=settings.max_body_bytes),
        tokens=tools.tokens,
        memory=open_arrival_memory(settings, tools.store, known.packs, tools.clock),
        advice=AdviceTable(tools.store.database),
        clock=tools.clock,
        seconds=_SHARE * settings.inbox_lease_seconds,
        max_depth=settings.max_depth,
        max_entries=settings.max_entries,
        base_url=None if settings.public_url is None else str(settings.public_url).rstrip("/"),
    )
