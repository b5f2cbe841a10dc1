# SPDX-License-Identifier: Apache-2.0
"""The sandbox page: a patient of a pack, a text or a FHIR server, the cards, and why.

Not for production: see `settings.shows_sandbox`. Nothing of a patient stands in an address, in a
log or on a disk. What a FHIR server did not give is shown on the page, with status 200: the page
is there to show it. A status of the service itself is shown as the answer that an EHR would get.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from flask import Blueprint, Response, g, request

from cds_service.call_context import SANDBOX
from cds_service.errors import CdsServiceError, Forbidden
from cds_service.memory import CardMemory
from cds_service.sandbox.patient_search import PatientMatches
from cds_service.sandbox.public_servers import public_servers
from cds_service.sandbox.uploads import Upload
from cds_service.settings import Settings
from cds_service.web.html.forms import Form, read_form, refuse_cross_site
from cds_service.web.html.sandbox_view import feedback_of
from cds_service.web.outcomes import answer_to, message_for
from cds_service.web.routes.feedback import keeper
from cds_service.web.routes.sandbox_context import (
    SandboxContext,
    cards_page,
    sandbox_page,
)

_FIELDS: Final = ("way", "service", "example", "text", "server", "search", "patient")
_FOLDER: Final = Path(__file__).parents[1] / "html"
_ASSETS: Final = {"sandbox.js": "text/javascript", "sandbox.css": "text/css"}
_ASSET_LIFE: Final = "max-age=300, must-revalidate"


def blueprint(context: SandboxContext, memory: CardMemory) -> Blueprint:
    """The addresses of the sandbox; `memory` takes feedback."""
    routes = Blueprint("sandbox", __name__)
    settings, clock = context.settings, context.clock
    keep = keeper(settings, context.knowledge, context.metrics, memory, lambda: SANDBOX)
    _assets(routes)

    @routes.get("/sandbox")
    def start() -> Response:
        return _start(context)

    @routes.post("/sandbox/patients")
    def patients() -> Response:
        form = _form(settings)
        with context.turn():
            return _start(context, people=context.people(form))

    @routes.post("/sandbox/cards")
    def cards() -> Response:
        form = _form(settings)
        with context.turn():
            return _answer(context, form, clock())

    @routes.post("/sandbox/feedback")
    def feedback() -> Response:
        form = _form(settings)
        if context.memory is None:
            raise Forbidden("Here only registered clients send feedback.")
        service, body = form.field("service"), feedback_of(form, clock())
        keep(service, lambda: body)
        return _feedback_page(service, body)

    @routes.errorhandler(CdsServiceError)
    def refused(error: CdsServiceError) -> Response:
        g.entry.problem = type(error).__name__
        answer = answer_to(error)
        response = _start(context, wrong=message_for(error), status=answer.status_code)
        if "Retry-After" in answer.headers:
            response.headers["Retry-After"] = answer.headers["Retry-After"]
        return response

    return routes


def _answer(context: SandboxContext, form: Form, now: datetime) -> Response:
    """The cards for what the form stands for, or the patients of a text to choose from."""
    way = form.field("way")
    if way == "server":
        return cards_page(context, context.of_server(form))
    if way == "example":
        return cards_page(context, context.of_example(form, now))
    paper = context.read(form)
    subject = paper.subject(form.field("patient"))
    if paper.request is None and subject is None and not form.field("patient"):
        return _start(context, paper=paper)
    return cards_page(context, context.of_paper(form, paper, subject))


def _assets(routes: Blueprint) -> None:
    """The script and the style sheet of the page."""

    def route(name: str, kind: str) -> Callable[[], Response]:
        data = (_FOLDER / name).read_bytes()

        def asset() -> Response:
            response = Response(data, content_type=f"{kind}; charset=utf-8")
            response.headers["Cache-Control"] = _ASSET_LIFE
            return response

        return asset

    for name, kind in _ASSETS.items():
        routes.add_url_rule(f"/{name}", name.replace(".", "_"), route(name, kind))


def _form(settings: Settings) -> Form:
    refuse_cross_site(request)
    form = read_form(request, settings.max_body_bytes)
    g.asked = {name: form.field(name) for name in _FIELDS}
    return form


def _start(
    context: SandboxContext,
    *,
    people: PatientMatches | None = None,
    paper: Upload | None = None,
    wrong: str = "",
    status: int = 200,
) -> Response:
    """The page to choose from, with what was chosen before."""
    asked = {**dict.fromkeys(_FIELDS, ""), **g.get("asked", {})}
    listed = [{"base": base, "title": ""} for base in context.servers.listed]
    values = {
        "asked": asked,
        "packs": context.knowledge.packs,
        "offers": context.offers,
        "servers": public_servers() if context.servers.development else listed,
        "any_server": context.servers.development,
        "people": people,
        "subjects": paper.subjects if paper else (),
        "wrong": wrong,
    }
    return sandbox_page("sandbox.html", values, status)


def _feedback_page(service: str, body: bytes) -> Response:
    return sandbox_page("sandbox_feedback.html", {"service": service, "body": body.decode()})
