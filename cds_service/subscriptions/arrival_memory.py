# SPDX-License-Identifier: Apache-2.0
"""What clinicians saw on cards of hooks and answered there, when a result arrives.

A server belongs to no client, so what any client that may ask about it has shown or reported
counts. What stands as a Task is looked up elsewhere (`open_advice.py`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from threading import Lock

from cds_service.call_context import CallContext
from cds_service.clock import Clock
from cds_service.decide import Evaluation
from cds_service.knowledge.model.pack import Pack
from cds_service.memory import CardMemory, open_memory
from cds_service.rules.answer import DecisionKey
from cds_service.settings import Settings
from cds_service.store import Store
from cds_service.trust.registry import Registry


@dataclass(frozen=True, slots=True)
class Remembered:
    """Which cards clinicians overrode, and which they have seen lately."""

    overridden: frozenset[DecisionKey] = frozenset()
    quiet: frozenset[DecisionKey] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalMemory:
    """The memory of cards; `clients` gives the issuers of those that may ask about a server."""

    cards: CardMemory
    clients: Callable[[str], Iterable[str]]
    _lock: Lock = field(default_factory=Lock, init=False)

    def recall(self, evaluation: Evaluation, call: CallContext) -> Remembered:
        """What is remembered of the cards of an evaluation, up to now."""
        with self._lock:
            self.cards.refresh()
        recalled = [
            self.cards.recall(evaluation, replace(call, client=client))
            for client in dict.fromkeys(("", *self.clients(call.fhir_server or "")))
        ]
        return Remembered(
            overridden=frozenset().union(*(memory.overridden for memory in recalled)),
            quiet=frozenset().union(*(memory.quiet for memory in recalled)),
        )


def open_arrival_memory(
    settings: Settings, store: Store, packs: Iterable[Pack], clock: Clock
) -> ArrivalMemory:
    """The memory as it is set; raises `SettingsError` and `StoreError`."""
    cards = open_memory(settings, store, tuple(packs), clock, with_tasks=False)
    if settings.clients is None:
        return ArrivalMemory(cards=cards, clients=lambda _: ())
    registry = Registry(settings.clients, development=settings.profile == "development")

    def clients(server: str) -> Iterable[str]:
        registered = registry.current().clients
        return (client.issuer for client in registered if client.may_name(server))

    return ArrivalMemory(cards=cards, clients=clients)
