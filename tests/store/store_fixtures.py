# SPDX-License-Identifier: Apache-2.0
"""Cards and feedback to store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from cds_service.store import Store
from cds_service.store.store import (
    SUBJECT_BYTES,
    CardOrigin,
    Feedback,
    NewFeedback,
    RuleVersion,
    ShownCards,
)

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
CLIENT = "https://ehr.example.org"
SERVICE = "liver-patient-view"
RULE = RuleVersion("liver", "alt-very-low", "1.0.0")


def ago(**parts: float) -> datetime:
    """A time before now."""
    return NOW - timedelta(**parts)


def subject(name: str) -> bytes:
    """What stands for a patient and a result."""
    return sha256(name.encode()).digest()[:SUBJECT_BYTES]


def origin(card: str = "card-1", **more: Any) -> CardOrigin:
    """What that card was; each of them was about a result of its own."""
    usual = CardOrigin(rule=RULE, indicator="info", subject=subject(card))
    return usual._replace(**more)


def shown(**more: Any) -> ShownCards:
    """Cards that were shown today."""
    usual = ShownCards(
        day=NOW.date(),
        client=CLIENT,
        rule=RULE,
        service=SERVICE,
        hook="patient-view",
        indicator="info",
    )
    return usual._replace(**more)


def overridden(card: str = "card-1", **more: object) -> Feedback:
    """An override of that card a minute ago."""
    usual = Feedback(card=card, outcome="overridden", happened=ago(minutes=1))
    return replace(usual, **more)  # type: ignore[arg-type]


def accepted(card: str = "card-1", **more: object) -> Feedback:
    """A suggestion of that card that was accepted."""
    usual = Feedback(
        card=card, outcome="accepted", happened=ago(minutes=1), suggestions=(f"{card}-s",)
    )
    return replace(usual, **more)  # type: ignore[arg-type]


def add(
    store: Store,
    *items: Feedback,
    client: str = CLIENT,
    now: datetime = NOW,
    origins: dict[str, CardOrigin] | None = None,
) -> tuple[NewFeedback, ...]:
    """Keep feedback about cards that are known, unless `origins` says otherwise."""
    known = {item.card: origin(item.card) for item in items} if origins is None else origins
    return store.add_feedback(items, known, client=client, service=SERVICE, now=now)
