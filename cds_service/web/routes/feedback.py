# SPDX-License-Identifier: Apache-2.0
"""Feedback over HTTP: what clients send, and the page that shows what became of each rule's cards.

CDS Hooks 2.0.1, "Feedback". No version says which status answers; here 200 means that every event
is on the disk, also for cards that nobody here knows.
"""

from collections.abc import Callable

from flask import Blueprint, Response, g, request

from cds_service.errors import UnknownService
from cds_service.hooks.feedback import read_feedback
from cds_service.memory import CardMemory
from cds_service.metrics import Metrics
from cds_service.service import Knowledge
from cds_service.settings import Settings
from cds_service.web.access.clients import issuer_of_caller
from cds_service.web.html.rendering import either
from cds_service.web.outcomes import json_response
from cds_service.web.server.bodies import read_body

_UNKNOWN = "unknown"  # the rule of a card that is not known: of another time, or never sent


def blueprint(
    settings: Settings,
    knowledge: Knowledge,
    metrics: Metrics,
    memory: CardMemory,
) -> Blueprint:
    """The address that takes feedback."""
    routes = Blueprint("feedback", __name__)
    keep = keeper(settings, knowledge, metrics, memory)

    @routes.post("/cds-services/<service_id>/feedback")
    def take(service_id: str) -> Response:
        received = keep(
            service_id,
            lambda: read_body(request, settings.max_feedback_bytes, settings.max_depth),
        )
        return json_response({"received": received})

    return routes


def keeper(
    settings: Settings,
    knowledge: Knowledge,
    metrics: Metrics,
    memory: CardMemory,
    client: Callable[[], str] = issuer_of_caller,
) -> Callable[[str, Callable[[], bytes]], int]:
    """A function that keeps the feedback of a body about a service and counts its items."""

    def keep(service_id: str, body: Callable[[], bytes]) -> int:
        if service_id not in knowledge.services:  # refused before a byte of the body is read
            raise UnknownService("There is no service with this id; GET /cds-services lists them.")
        g.entry.service = service_id
        items = read_feedback(
            body(),
            most_items=settings.max_feedback_items,
            longest_comment=settings.max_comment_length,
        )
        new = memory.take(items, client=client(), service=service_id)
        for feedback in new:
            rule = feedback.origin.rule.rule if feedback.origin is not None else _UNKNOWN
            metrics.feedback.labels(rule, feedback.outcome).inc()
        g.entry.outcome = "feedback"
        g.entry.facts = {"feedback": len(new)}
        return len(items)

    return keep


def page_blueprint(knowledge: Knowledge, memory: CardMemory) -> Blueprint:
    """The page of acceptance and override reasons: counts, no comment and no patient."""
    routes = Blueprint("feedback_page", __name__)

    @routes.get("/feedback")
    def show() -> Response:
        return either(request, "feedback.html", memory.report(knowledge.packs))

    return routes
