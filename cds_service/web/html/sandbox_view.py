# SPDX-License-Identifier: Apache-2.0
"""What the sandbox shows of a call, and the feedback that its forms make."""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from shlex import quote
from typing import Any, Final

from cds_service.catalogue.rules import program_of
from cds_service.errors import CdsServiceError, RequestError
from cds_service.explanation.results import results_of
from cds_service.sandbox.diagnostics import faults
from cds_service.sandbox.raw_json import Json, decoded, encoded, pretty
from cds_service.sandbox.reasons import reasons_of
from cds_service.sandbox.requests import CallResult
from cds_service.sandbox.services import ServiceOffer
from cds_service.service import Knowledge
from cds_service.web.html.forms import Form

_MOST_FAULTS: Final = 100
_URGENCIES: Final = ("critical", "warning", "info")  # CDS Hooks 2.0.1, "Card attributes"
_LONGEST_BOX: Final = 500_000  # bytes of JSON
_HERE: Final = "REQUEST"  # no line of JSON in lines is this word alone


def shown(
    knowledge: Knowledge,
    called: CallResult,
    body: bytes,
    *,
    url: str,
    response: bytes,
) -> dict[str, object]:
    """The values of the page but for its cards: results, reasons, faults, and both messages."""
    found = _faults(body)
    request, values = _box(body), dict[str, object]()
    if called.answer is not None:
        outcome = called.answer.outcome
        program = program_of(knowledge, outcome.pack)
        values |= {
            "results": results_of(outcome, program, knowledge.zone),
            "reasons": reasons_of(outcome, knowledge.zone),
            "pack": outcome.pack,
        }
    return {
        "results": None,
        "reasons": None,
        **values,
        "faults": None if found is None else found[:_MOST_FAULTS],
        "more_faults": found is not None and len(found) > _MOST_FAULTS,
        "request": request,
        "response": _box(response),
        "curl": request and f"curl --json @- {quote(url)} <<'{_HERE}'\n{request}\n{_HERE}",
    }


def cards_of(response: bytes, offer: ServiceOffer) -> list[Json]:
    """The cards of a response for the eye, each with the service that takes its feedback."""
    cards: list[Json] = decoded(response).get("cards", [])
    return [{**_card(card), "service": offer.id} for card in cards]


def most_urgent_first(cards: Iterable[Json]) -> list[Json]:
    """The cards of several services: the most urgent on top, and what two of them say once.

    What one proposes in the words of a card above it is not proposed again.
    """
    found: list[Json] = []
    texts: set[tuple[str, str]] = set()
    proposed: set[str] = set()
    for card in sorted(cards, key=lambda card: _URGENCIES.index(card["indicator"])):
        text = (card["summary"], card["detail"])
        if text in texts:
            continue
        texts.add(text)
        own = {suggestion["label"] for suggestion in card["suggestions"]}
        left = [
            suggestion for suggestion in card["suggestions"] if suggestion["label"] not in proposed
        ]
        proposed |= own
        found.append({**card, "suggestions": left})
    return found


def feedback_of(form: Form, now: datetime) -> bytes:
    """The body of feedback that a form stands for: a suggestion accepted, or a card overridden."""
    item: Json = {
        "card": form.field("card"),
        "outcomeTimestamp": now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
    suggestion = form.field("suggestion")
    if suggestion:
        item |= {"outcome": "accepted", "acceptedSuggestions": [{"id": suggestion}]}
    elif form.field("do") == "dismiss":
        item |= {"outcome": "overridden", **_why(form)}
    else:
        raise RequestError("Expected what was done with the card.")
    return encoded({"feedback": [item]})


def _why(form: Form) -> Json:
    """The reason, which the page gives as `system|code`, and the comment."""
    system, _, code = form.field("reason").rpartition("|")
    comment = form.field("comment")
    why: Json = {"reason": {"code": code, "system": system}} if code else {}
    if comment:
        why["userComment"] = comment
    return {"overrideReason": why} if why else {}


def _card(card: Json) -> Json:
    """The card, with what each suggestion would create written in lines."""
    suggestions = [
        {
            "isRecommended": False,
            **suggestion,
            "creates": [
                {"description": action.get("description", ""), "text": _lines(action)}
                for action in suggestion.get("actions", [])
            ],
        }
        for suggestion in card.get("suggestions", [])
    ]
    empty: dict[str, Any] = {"detail": "", "overrideReasons": [], "links": []}
    source = {"url": "", "topic": None, **card["source"]}
    return {**empty, **card, "source": source, "suggestions": suggestions}


def _lines(action: Json) -> str:
    return pretty(encoded(action.get("resource", {})))


def _box(data: bytes) -> str:
    """JSON in lines; empty if it is too long for a page."""
    return pretty(data) if len(data) <= _LONGEST_BOX else ""


def _faults(body: bytes) -> list[str] | None:
    """The first faults, one more than are shown; `None` for a request too long to search."""
    if len(body) > _LONGEST_BOX:
        return None
    try:
        return list(islice(faults(body), _MOST_FAULTS + 1))
    except CdsServiceError as error:
        return [str(error)]
