# SPDX-License-Identifier: Apache-2.0
"""The overrides in force, held in memory: they are few, however often cards are shown."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias

from cds_service.knowledge.model.pack import INDICATORS
from cds_service.memory.subjects import rank
from cds_service.store.store import CardOrigin, Override

_Key: TypeAlias = tuple[str, CardOrigin]


class Overrides:
    """When each card was last overridden: by its client, rule, subject and indicator."""

    def __init__(self) -> None:
        self._received: dict[_Key, datetime] = {}

    def __len__(self) -> int:
        return len(self._received)

    def add(self, overrides: Iterable[Override]) -> None:
        """Take in more of them."""
        for override in overrides:
            key = (override.client, override.origin)
            known = self._received.get(key)
            self._received[key] = (
                override.received if known is None else max(known, override.received)
            )

    def replace(self, overrides: Iterable[Override]) -> None:
        """Take in these and forget all others."""
        fresh = Overrides()
        fresh.add(overrides)
        self._received = fresh._received

    def silence(self, client: str, origin: CardOrigin, since: datetime) -> bool:
        """Whether this card, or a more severe one about the same, was overridden since then.

        An override counts from when it was received: the time that a client reports may be off.
        """
        if not self._received:
            return False
        for indicator in INDICATORS[rank(origin.indicator) :]:
            overridden = CardOrigin(rule=origin.rule, indicator=indicator, subject=origin.subject)
            received = self._received.get((client, overridden))
            if received is not None and received >= since:
                return True
        return False
