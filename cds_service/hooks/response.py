# SPDX-License-Identifier: Apache-2.0
"""The answer to a CDS Hooks call, as it goes out.

CDS Hooks 2.0.1, "CDS Service Response". Members without a value are left out: nothing is ever
null, and no text, list or object is empty but `cards` itself ("Null and empty").
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.json import Encoder

from cds_service.knowledge.model.pack import Indicator
from cds_service.knowledge.reading.card_texts import SUMMARY_BELOW

# By the specification every value is an object ("Extensions"); Epic's own are texts.
Extension: TypeAlias = Mapping[str, Mapping[str, object] | str]

# Names are in reverse-domain style so that they clash with no one else's ("Extensions").
CARD_EXTENSION = "org.cds-service.card"
EXPLANATION_EXTENSION = "org.cds-service.explanation"
REQUEST_EXTENSION = "org.cds-service.request"


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A part of a message; a member that has its default is not written."""


class Coding(Message, frozen=True, kw_only=True):
    """A code that is meant for machines and shown to people."""

    code: str
    system: str
    display: str


class CardSource(Message, frozen=True, kw_only=True):
    """Who says what the card says; `topic` is what the card is about, for statistics."""

    label: str
    url: str | None = None
    topic: Coding


class Action(Message, frozen=True, kw_only=True):
    """Something to be done in the record if the suggestion is taken."""

    type: Literal["create"]
    description: str
    resource: Mapping[str, object]


class CardSuggestion(Message, frozen=True, kw_only=True):
    """One thing that the card offers to do."""

    label: str
    uuid: str
    is_recommended: bool | None = None
    actions: tuple[Action, ...]


class CardLink(Message, frozen=True, kw_only=True):
    """A page to read."""

    label: str
    url: str
    type: Literal["absolute"]


class Card(Message, frozen=True, kw_only=True):
    """One card. `selection_behavior` stands exactly when there are suggestions."""

    uuid: str
    summary: str
    indicator: Indicator
    detail: str
    source: CardSource
    suggestions: tuple[CardSuggestion, ...] = ()
    selection_behavior: Literal["any"] | None = None
    override_reasons: tuple[Coding, ...] = ()
    links: tuple[CardLink, ...] = ()
    extension: Extension | None = None


class HookResponse(Message, frozen=True, kw_only=True):
    """Every card of one call; no guidance is an empty list."""

    cards: tuple[Card, ...]
    extension: Extension | None = None


_ENCODER = Encoder()


def write_response(response: HookResponse) -> bytes:
    """The response as JSON."""
    return _ENCODER.encode(response)


def fits_summary(text: str) -> bool:
    """Whether the text is short enough, in characters and in UTF-16 units.

    Some clients count the one and some the other; most texts are far from both.
    """
    return len(text) < SUMMARY_BELOW and len(text.encode("utf-16-le")) // 2 < SUMMARY_BELOW
