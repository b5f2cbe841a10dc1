# SPDX-License-Identifier: Apache-2.0
"""What a card is made of.

CDS Hooks 2.0.1, "Card Attributes". Members without a value are left out: nothing is ever null, and
no text, list or object is empty ("Null and empty").
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from cds_service.knowledge.model.pack import Indicator

# By the specification every value is an object ("Extensions"); Epic's own are texts.
Extension: TypeAlias = Mapping[str, Mapping[str, object] | str]

# In reverse-domain style so that it clashes with no one else's ("Extensions").
CARD_EXTENSION = "org.cds-service.card"


class CardPart(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A part of a card as it is written in JSON; a member that has its default is left out."""


class Coding(CardPart, frozen=True, kw_only=True):
    """A code that is meant for machines and shown to people."""

    code: str
    system: str
    display: str


class CardSource(CardPart, frozen=True, kw_only=True):
    """Who says what the card says; `topic` is what the card is about, for statistics."""

    label: str
    url: str | None = None
    topic: Coding


class Action(CardPart, frozen=True, kw_only=True):
    """Something to be done in the record if the suggestion is taken."""

    type: Literal["create"]
    description: str
    resource: Mapping[str, object]


class CardSuggestion(CardPart, frozen=True, kw_only=True):
    """One thing that the card offers to do."""

    label: str
    uuid: str
    is_recommended: bool | None = None
    actions: tuple[Action, ...]


class CardLink(CardPart, frozen=True, kw_only=True):
    """A page to read."""

    label: str
    url: str
    type: Literal["absolute"]


class Card(CardPart, frozen=True, kw_only=True):
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
