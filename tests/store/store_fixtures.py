# SPDX-License-Identifier: Apache-2.0
"""Cards and feedback to store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cds_service.store.store import Feedback, ShownCard

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
CLIENT = "https://ehr.example.org"
SERVICE = "liver-patient-view"


def ago(**parts: float) -> datetime:
    """A time before now."""
    return NOW - timedelta(**parts)


def subject(name: str) -> bytes:
    """What stands for a patient and a result."""
    return sha256(name.encode()).digest()


def shown(card: str = "card-1", **more: object) -> ShownCard:
    """A card that was shown now."""
    usual = ShownCard(
        client=CLIENT,
        card=card,
        rule="alt-very-low",
        version="1.0.0",
        pack="liver",
        pack_version="1.0.0",
        service=SERVICE,
        hook="patient-view",
        indicator="info",
        shown=NOW,
        subject=subject(card),
    )
    return replace(usual, **more)  # type: ignore[arg-type]


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
