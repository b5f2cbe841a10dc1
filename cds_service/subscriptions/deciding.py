# SPDX-License-Identifier: Apache-2.0
"""What a worker decides with: the tools that it has, and the decision on what arrived.

Nothing is judged here yet: that something arrived is kept, and no advice comes of it.
"""

from dataclasses import dataclass, field
from typing import Final

from cds_service.clock import Clock
from cds_service.fhir_client.client import FhirClient
from cds_service.fhir_client.servers import Servers
from cds_service.settings import Settings
from cds_service.smart.token_cache import TokenCache
from cds_service.store import Store
from cds_service.subscriptions.work import ArrivalDecision, Decide, Work

TRIGGER: Final = "result-arrived"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTools:
    """What deciding may need; `tokens` is `None` where there are no signing keys."""

    settings: Settings
    store: Store
    servers: Servers
    client: FhirClient = field(repr=False)
    tokens: TokenCache | None = field(repr=False)
    clock: Clock


def make_decide(tools: WorkerTools) -> Decide:  # noqa: ARG001 - nothing is judged yet
    """The function that decides on what arrived for a patient."""
    return _decide


def _decide(work: Work) -> ArrivalDecision:
    found = [
        {"resource": f"{item.type}/{item.resource_id}", "version": item.version}
        for item in work.items
    ]
    return ArrivalDecision(trigger=TRIGGER, packs={}, input=b"", findings=found)
