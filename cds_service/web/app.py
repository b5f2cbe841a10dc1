# SPDX-License-Identifier: Apache-2.0
"""The Flask application: routes, and what holds for every request.

`create_app` is a factory: there is no application at import. Nothing here knows what a card says.
"""

from functools import partial

from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from cds_service.clock import Clock, stopwatch, system_clock
from cds_service.knowledge.model.status import (
    is_signed,
    rules_off,
    rules_on,
    time_critical_on,
)
from cds_service.log import log_replay, log_start
from cds_service.memory import CardMemory, open_memory
from cds_service.metrics import Metrics
from cds_service.outgoing.authorities import trust_also
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import (
    Settings,
    database_url,
    explain_mode,
    load_settings,
    shows_feedback,
    shows_sandbox,
)
from cds_service.setup_checks.settings import standing_findings
from cds_service.smart.signing_keys import open_keys
from cds_service.store import Store, open_store
from cds_service.store.used_tokens import Unsure, open_replay
from cds_service.subscriptions.inbox_list import InboxList, InboxWatch
from cds_service.subscriptions.overview import Overview
from cds_service.subscriptions.receive import make_receiver
from cds_service.tracing.calls import open_traces
from cds_service.trust.used_tokens import ReplayStore
from cds_service.web.access.clients import Gate, make_gate
from cds_service.web.access.cors import headers_for_pages, is_for_pages
from cds_service.web.access.open_mode import refuse_unsafe
from cds_service.web.fetching import make_fetching
from cds_service.web.hook_calls import HookCalls, Origins, as_wsgi
from cds_service.web.operating_metrics import metrics_at_start
from cds_service.web.outcomes import (
    FORBIDDEN,
    SECURITY,
    answer_to_any,
    refusal,
)
from cds_service.web.request_log import LogEntry, close
from cds_service.web.routes import arrivals, feedback, hooks, operations, subscriptions
from cds_service.web.routes import knowledge as knowledge_routes
from cds_service.web.server.bodies import is_shed, refuse_unread
from cds_service.web.server.precheck import HeaderPrecheck, problem_of
from cds_service.web.server.request_parts import ELAPSED, check_host


def create_app(
    settings: Settings | None = None,
    *,
    clock: Clock = system_clock,
    knowledge: Knowledge | None = None,
    replay: ReplayStore | None = None,
    store: Store | None = None,
) -> Flask:
    """The application, ready to answer: settings are read and packs loaded if none are given.

    `replay` remembers the tokens that were used, for all processes of the service; `store` keeps
    feedback, by default in the database of the settings.

    Raises `SettingsError` or `KnowledgeError` with every problem found, and `StoreError` if the
    database cannot be used.
    """
    settings = load_settings() if settings is None else settings
    refuse_unsafe(settings)
    if knowledge is None:
        knowledge = served_knowledge(settings)
    app = _bare(settings)
    metrics = metrics_at_start(settings, knowledge)
    store = open_store(database_url(settings)) if store is None else store
    memory = open_memory(settings, store, knowledge.packs, clock, metrics.quiet_unsure.inc)
    app.extensions["memory"] = memory
    keys = open_keys(settings.signing_keys, logged=True)
    fetching = make_fetching(settings, clock, metrics, keys)
    app.register_blueprint(hooks.blueprint(knowledge))
    app.register_blueprint(feedback.blueprint(settings, knowledge, metrics, memory))
    _pages(app, settings, knowledge, clock, metrics, memory)

    def used_tokens() -> ReplayStore:
        return open_replay(store, partial(_report_replay, metrics)) if replay is None else replay

    gate = make_gate(settings, clock, metrics, used_tokens)
    watch = InboxWatch(InboxList(store.database), clock)
    standing = standing_findings(settings, knowledge.packs)
    operating = operations.blueprint(knowledge, metrics, gate, keys, store, watch, standing)
    app.register_blueprint(operating)
    receiver = make_receiver(settings, store, fetching.servers, clock)
    app.register_blueprint(subscriptions.blueprint(settings, receiver, metrics))
    overview = Overview(store.database, knowledge.packs, fetching.servers, clock)
    _arrivals_page(app, settings, gate, overview)
    app.extensions["door"] = HeaderPrecheck(app, gate, knowledge.services, receiver)
    calls = app.extensions["hook_calls"] = HookCalls(
        settings=settings,
        knowledge=knowledge,
        clock=clock,
        metrics=metrics,
        memory=memory,
        fetching=fetching,
        gate=gate,
        origins=_origins(settings, gate),
        explain=explain_mode(settings),
        traces=open_traces(settings.traces, settings.traces_share),
    )
    _around(app, metrics, gate, calls.origins)
    _errors(app)
    app.wsgi_app = as_wsgi(calls, app.wsgi_app, settings)  # type: ignore[assignment, method-assign]
    return app


def _arrivals_page(app: Flask, settings: Settings, gate: Gate | None, overview: Overview) -> None:
    if gate is not None or settings.arrivals_page is not False:  # a gate judges each request
        app.register_blueprint(arrivals.blueprint(overview))


def _pages(
    app: Flask,
    settings: Settings,
    knowledge: Knowledge,
    clock: Clock,
    metrics: Metrics,
    memory: CardMemory,
) -> None:
    if shows_feedback(settings):
        app.register_blueprint(feedback.page_blueprint(knowledge, memory))
    with_sandbox = shows_sandbox(settings)
    app.register_blueprint(knowledge_routes.blueprint(knowledge, clock, sandbox=with_sandbox))
    if with_sandbox:
        # The only pages that bring libraries to call others, or to read reports.
        from cds_service.web.routes import report, sandbox
        from cds_service.web.routes.sandbox_context import make_context

        context = make_context(settings, knowledge, clock, metrics, memory)
        app.register_blueprint(sandbox.blueprint(context, memory))
        app.register_blueprint(report.blueprint(context))


def _bare(settings: Settings) -> Flask:
    """An application that has no address yet, in a process that trusts whom the settings name."""
    trust_also(settings.authorities)
    app = Flask("cds_service", static_folder=None)
    traces = open_traces(settings.traces, settings.traces_share)
    if traces is not None:
        traces.instrument(app)
    if hops := settings.trusted_proxies:
        # Who called and by what scheme, as the proxies say. The host is never taken from a header:
        # audiences and links follow CDS_PUBLIC_URL.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    # A redirect would lose the body of a POST: both forms of an address are answered instead.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    return app


def served_knowledge(settings: Settings) -> Knowledge:
    """Every pack, loaded; what is served of it is logged. Raises as `load_knowledge` does."""
    knowledge = load_knowledge(settings)
    for pack in knowledge.packs:
        log_start(
            pack=pack.id,
            pack_version=pack.version,
            rules=len(rules_on(pack)),
            rules_off=len(rules_off(pack)),
            time_critical=len(time_critical_on(pack)),
            signed=is_signed(pack),
        )
    return knowledge


def _report_replay(metrics: Metrics, found: Unsure) -> None:
    """Count and log a call that was let in while nobody knew whether its token was used before."""
    counter = metrics.replay_unchecked if found == "unchecked" else metrics.replay_late
    counter.inc()
    log_replay(found)


def _origins(settings: Settings, gate: Gate | None) -> Origins:
    """The origins of pages that may call, now."""
    of_development = frozenset(settings.development_origins.split())

    def origins() -> frozenset[str]:
        registered = frozenset() if gate is None else gate.registry.current().origins
        return registered | of_development

    return origins


def _around(app: Flask, metrics: Metrics, gate: Gate | None, origins: Origins) -> None:
    """What happens before and after every request but hook calls, which `HookCalls` answers."""

    @app.before_request
    def begin() -> Response | None:
        g.entry = LogEntry(elapsed=request.environ.get(ELAPSED) or stopwatch())
        environ = request.environ
        # before a token is looked at, which is good for one call
        check_host(environ.get("HTTP_HOST"), environ.get("SERVER_PROTOCOL"))
        if gate is not None:
            if not is_shed(request):  # to look at a token would be work, and may have to wait
                gate.admit(request)
        elif (problem := problem_of(request)) is not None:
            return refusal(FORBIDDEN, problem)
        refuse_unread(request)
        return None

    @app.after_request
    def end(response: Response) -> Response:
        for name, value in SECURITY:
            response.headers.setdefault(name, value)
        if is_for_pages(request.path):
            _allow_pages(response, origins)
        close(g.entry, response.status_code, metrics)
        return response


def _allow_pages(response: Response, origins: Origins) -> None:
    origin = request.headers.get("Origin")
    for name, value in headers_for_pages(request.method, origin, origins):
        if name == "Vary":
            response.vary.add(value)
        else:
            response.headers[name] = value


def _errors(app: Flask) -> None:
    @app.errorhandler(Exception)
    def answered(error: Exception) -> Response:
        return answer_to_any(error, g.entry)
