# SPDX-License-Identifier: Apache-2.0
"""Cards in the form that one kind of client takes.

Every client gets `any` of the suggestions and a topic in letters and digits: Epic takes no other,
and all others do. A suggestion has an action for each order of its group; what only Epic wants is
made here, for the clients that are registered with its profile: one action a suggestion, and codes
of its own (tests/conformance/test_clients.py, Q-EP-10 to Q-EP-13).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from cds_service.knowledge.model.messages import Messages
from cds_service.render.card import Card, CardSuggestion
from cds_service.settings import OutputProfile

EPIC_CODES = "urn:com.epic.cdshooks.action.code.system."
"""How the code systems begin by which Epic finds an order: preference lists and order sets."""

_CONTENT_TYPE = "com.epic.cdshooks.card.detail.content-type"
_MARKDOWN = "text/markdown; variant=GitHub"


def takes_groups(profile: OutputProfile) -> bool:
    """Whether a client of this profile takes a suggestion of several actions."""
    return profile != "epic"


def in_profile(
    cards: tuple[Card, ...], profile: OutputProfile, messages: Messages
) -> tuple[Card, ...]:
    """The cards for a client of this profile."""
    return cards if profile == "default" else tuple(_for_epic(card, messages) for card in cards)


def _for_epic(card: Card, messages: Messages) -> Card:
    """The card with orders that Epic can place; the others are named in the text.

    Epic takes every detail of an order from its own record and finds that by the code alone, so a
    suggestion without one of its codes could be accepted and never become an order.
    """
    placed = tuple(map(_by_epic_code, filter(_has_epic_code, card.suggestions)))
    unplaced = (
        suggestion.label for suggestion in card.suggestions if not _has_epic_code(suggestion)
    )
    lines = [f"- {messages.text('card.no site code', order=label)}" for label in unplaced]
    return replace(
        card,
        detail="\n".join([card.detail, *lines]),
        suggestions=placed,
        selection_behavior="any" if placed else None,
        extension={**(card.extension or {}), _CONTENT_TYPE: _MARKDOWN},
    )


def _has_epic_code(suggestion: CardSuggestion) -> bool:
    return any(True for action in suggestion.actions for _ in _epic_codings(action.resource))


def _by_epic_code(suggestion: CardSuggestion) -> CardSuggestion:
    actions = (replace(action, resource=_recoded(action.resource)) for action in suggestion.actions)
    return replace(suggestion, actions=tuple(actions))


def _recoded(resource: Mapping[str, Any]) -> dict[str, Any]:
    code = {**resource["code"], "coding": list(_epic_codings(resource))}
    return {**resource, "code": code}


def _epic_codings(resource: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    codings: Iterable[Mapping[str, str]] = resource["code"]["coding"]
    return (coding for coding in codings if coding["system"].startswith(EPIC_CODES))
