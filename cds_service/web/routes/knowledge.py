# SPDX-License-Identifier: Apache-2.0
"""The pages of the knowledge: explainers and rules, for people and as JSON.

What makes them is imported when the first page is asked for: 6 MB and a tenth of the start, which a
service that answers calls alone does without.
"""

from collections.abc import Iterator
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, request

from cds_service.clock import Clock
from cds_service.errors import CdsServiceError, RequestError, UnknownPage
from cds_service.knowledge.model.pack import INDICATORS, UNIT_SYSTEMS, Marker
from cds_service.service import Knowledge
from cds_service.web.html.rendering import FORMAT, HTML, STYLE, either, page, wanted
from cds_service.web.outcomes import answer_to, message_for

if TYPE_CHECKING:
    from cds_service.catalogue.rules import Catalogue
    from cds_service.explainers.page import Explainers

TYPED = "q"  # a test and its value as one line, from the field of the start page
UNITS = "units"  # the system of units, in the query and in the cookie that keeps it
_KEPT = 365 * 24 * 3600  # seconds
_FILTERS = ("q", "indicator", "marker")
_LONGEST_QUERY = 2000  # characters; a question about every marker is shorter
_STYLE_LIFE = "max-age=300, must-revalidate"


class _Makers:
    """What makes the pages, imported when the first is asked for."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    @cached_property
    def rules(self) -> "Catalogue":
        from cds_service.catalogue.rules import Catalogue

        return Catalogue(self._knowledge)

    @cached_property
    def explainers(self) -> "Explainers":
        from cds_service.explainers.page import Explainers

        return Explainers(self._knowledge)


def blueprint(knowledge: Knowledge, clock: Clock, *, sandbox: bool = False) -> Blueprint:
    """The explainers and rules of this knowledge; the start leads to the sandbox if it is there."""
    routes = Blueprint("catalogue", __name__)
    makers = _Makers(knowledge)
    style = STYLE.read_bytes()

    @routes.get("/")
    def home() -> Response:
        from cds_service.catalogue.rules import by_severity

        values = {
            "packs": knowledge.packs,
            "rules": {pack.id: by_severity(pack) for pack in knowledge.packs},
            "explainers": makers.explainers.markers(),
            "count": makers.rules.entries().count,
            "sandbox": sandbox,
        }
        return page("start.html", values)

    @routes.get("/style.css")
    def look() -> Response:
        response = Response(style, content_type="text/css; charset=utf-8")
        response.headers["Cache-Control"] = _STYLE_LIFE
        return response

    @routes.get("/rules")
    def catalogue() -> Response:
        text, indicator, marker = (request.args.get(name, "").strip() for name in _FILTERS)
        if indicator and indicator not in INDICATORS:
            raise RequestError(f"Expected 'indicator' to be one of {', '.join(INDICATORS)}.")
        view = makers.rules.entries(text=text, indicator=indicator, marker=marker)
        asked = {"q": text, "indicator": indicator, "marker": marker}
        return either(request, "rules.html", view, asked=asked, indicators=INDICATORS)

    @routes.get("/rules/<rule_id>")
    def rule(rule_id: str) -> Response:
        return either(request, "rule.html", makers.rules.page(rule_id))

    @routes.get("/explain")
    def every_explainer() -> Response:
        if typed := request.args.get(TYPED, "").strip():
            asked = makers.explainers.asked(typed)
            return _redirect(asked.marker, asked.value, HTTPStatus.FOUND)
        view = {"explainers": makers.explainers.markers()}
        return either(request, "explainers.html", view)

    @routes.get("/explain/<marker_id>")
    def explain(marker_id: str) -> Response:
        return _explained(makers.explainers, marker_id, "", clock)

    @routes.get("/explain/<marker_id>/<path:value>")
    def explain_value(marker_id: str, value: str) -> Response:
        return _explained(makers.explainers, marker_id, value, clock)

    @routes.errorhandler(CdsServiceError)
    def refused(error: CdsServiceError) -> Response:
        return _refused(error)

    return routes


def _explained(explainers: "Explainers", marker_id: str, value: str, clock: Clock) -> Response:
    if len(request.query_string) + len(marker_id) + len(value) > _LONGEST_QUERY:
        raise RequestError("Expected a shorter address.")
    from cds_service.explainers.question import question_of

    marker, pack = explainers.find(marker_id)
    if marker_id != marker.id:
        return _redirect(marker.id, value, HTTPStatus.PERMANENT_REDIRECT)
    question = question_of(marker, pack, value, _query())
    system = _system(marker)
    view = explainers.page(question, clock(), system)
    response = either(
        request,
        "explain.html",
        view,
        asked=question.asked,
        markers=pack.markers,
        switches={name: _switched(name) for name in marker.shown_in},
        asked_units=request.args.get(UNITS, ""),
    )
    if wanted(request) == HTML:
        response.vary.add("Cookie")
        if system and request.args.get(UNITS):
            response.set_cookie(UNITS, system, max_age=_KEPT, path="/explain", samesite="Lax")
    return response


def _system(marker: Marker) -> str:
    """The system of units that was chosen, now or on a page before; JSON goes by the address."""
    chosen = request.args.get(UNITS, "")
    if chosen and chosen not in UNIT_SYSTEMS:
        raise RequestError(f"Expected 'units' to be one of {', '.join(UNIT_SYSTEMS)}.")
    if not chosen and wanted(request) == HTML:
        chosen = request.cookies.get(UNITS, "")
    return chosen if chosen in marker.shown_in else ""


def _switched(system: str) -> str:
    """The address of this very page in the other system of units."""
    kept = [pair for pair in request.args.items(multi=True) if pair[0] != UNITS]
    return f"?{urlencode([*kept, (UNITS, system)])}"


def _redirect(marker_id: str, value: str, status: HTTPStatus) -> Response:
    """To the page of a marker, with the query as it is but for what was typed as one line."""
    query = urlencode([pair for pair in request.args.items(multi=True) if pair[0] != TYPED])
    address = "/".join(("/explain", marker_id, *([quote(value, safe="/")] if value else [])))
    response = Response("", status)
    response.headers["Location"] = f"{address}?{query}" if query else address
    return response


def _query() -> Iterator[tuple[str, str]]:
    asked = request.args.items(multi=True)
    return ((name, text) for name, text in asked if name not in (FORMAT, UNITS))


def _refused(error: CdsServiceError) -> Response:
    """The refusal of a page as a page, unless JSON was asked for."""
    response = answer_to(error)
    try:
        as_page = wanted(request) == HTML
    except RequestError:
        as_page = True
    if not as_page:
        return response
    near = error.near if isinstance(error, UnknownPage) else ()
    values = {"message": message_for(error), "near": near}
    return page("refused.html", values, response.status_code)
