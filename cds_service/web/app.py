# SPDX-License-Identifier: Apache-2.0
"""The Flask application: routes, and what holds for every request.

`create_app` is a factory: there is no application at import. Nothing here knows what a card says.
"""

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from cds_service.clock import Clock, stopwatch, system_clock
from cds_service.errors import CdsServiceError
from cds_service.log import log_crash
from cds_service.metrics import Metrics, make_metrics
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings, load_settings
from cds_service.web import hooks, pages
from cds_service.web.guard import refuse_unless_open, why_refused
from cds_service.web.journal import Entry, close
from cds_service.web.outcomes import (
    FORBIDDEN,
    answer_to,
    answer_to_http,
    crashed,
    prove_outcomes,
    refusal,
)

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def create_app(
    settings: Settings | None = None,
    *,
    clock: Clock = system_clock,
    knowledge: Knowledge | None = None,
) -> Flask:
    """The application, ready to answer: settings are read and packs loaded if none are given.

    Raises `SettingsError` or `KnowledgeError` with every problem found.
    """
    settings = load_settings() if settings is None else settings
    refuse_unless_open(settings)
    knowledge = load_knowledge(settings) if knowledge is None else knowledge
    prove_outcomes()
    app = Flask("cds_service", static_folder=None)
    # A redirect would lose the body of a POST: both forms of an address are answered instead.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    metrics = make_metrics()
    for pack in knowledge.packs:
        metrics.pack_info.labels(pack.id, pack.version).set(1)
    app.register_blueprint(hooks.blueprint(settings, knowledge, clock, metrics))
    app.register_blueprint(pages.blueprint(knowledge, metrics))
    _around(app, metrics)
    _errors(app)
    return app


def _around(app: Flask, metrics: Metrics) -> None:
    """What happens before and after every request."""

    @app.before_request
    def begin() -> Response | None:
        g.entry = Entry(elapsed=stopwatch())
        said = why_refused(request)
        return None if said is None else refusal(FORBIDDEN, said)

    @app.after_request
    def end(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        # What says something about a patient is kept nowhere; only discovery is for keeping.
        response.headers.setdefault("Cache-Control", "no-store")
        close(g.entry, response.status_code, metrics)
        return response


def _errors(app: Flask) -> None:
    @app.errorhandler(CdsServiceError)
    def ours(error: CdsServiceError) -> Response:
        g.entry.problem = type(error).__name__
        return answer_to(error)

    @app.errorhandler(HTTPException)
    def framework(error: HTTPException) -> Response:
        return answer_to_http(error)

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> Response:
        g.entry.problem = type(error).__name__
        g.entry.outcome = "crash"
        log_crash(error)
        return crashed()
