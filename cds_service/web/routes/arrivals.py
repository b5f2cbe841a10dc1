# SPDX-License-Identifier: Apache-2.0
"""The page of arrived results: Subscriptions, the inbox, and what was decided.

Patients are shown to registered clients alone, of the FHIR servers that they may name.
"""

from flask import Blueprint, Response, g, request

from cds_service.errors import StoreError
from cds_service.subscriptions.decision_list import STATE_WORDS
from cds_service.subscriptions.overview import Overview
from cds_service.web.access.clients import ARRIVALS, patients_of_caller
from cds_service.web.html.rendering import HTML, either, page, wanted
from cds_service.web.outcomes import answer_to

_TEMPLATE = "arrivals.html"


def blueprint(overview: Overview) -> Blueprint:
    """The page over this overview."""
    routes = Blueprint(ARRIVALS, __name__)

    @routes.get("/arrivals")
    def show() -> Response:
        sees = patients_of_caller()
        as_page = wanted(request) == HTML
        try:
            view = overview.without_patients() if sees is None else overview.with_patients(sees)
        except StoreError as error:
            if not as_page:
                raise
            return _unavailable(error)
        response = either(request, _TEMPLATE, view, words=STATE_WORDS)
        response.vary.add("Authorization")
        return response

    return routes


def _unavailable(error: StoreError) -> Response:
    """The page without a database, with the status and the headers that other answers have then."""
    g.entry.fail(error)
    usual = answer_to(error)
    response = page(_TEMPLATE, {"view": None}, usual.status_code)
    response.headers["Retry-After"] = usual.headers["Retry-After"]
    return response
