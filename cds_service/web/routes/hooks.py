# SPDX-License-Identifier: Apache-2.0
"""The two addresses of CDS Hooks: discovery, and a call of a service."""

from hashlib import sha256

from flask import Blueprint, Response, g, request

from cds_service.clock import Clock, Deadline
from cds_service.errors import UnknownService
from cds_service.hooks.request import read_request
from cds_service.hooks.response import HookResponse, write_response
from cds_service.metrics import Metrics
from cds_service.service import Knowledge, Memory, Options, answer_hook
from cds_service.settings import Settings, explain_mode, prefetch_keys
from cds_service.web.access.clients import (
    check_fhir_server,
    issuer_of_caller,
    keys_of_caller,
    profile_of_caller,
    sees_cards,
)
from cds_service.web.fetching import Fetching
from cds_service.web.outcomes import json_response
from cds_service.web.request_log import count
from cds_service.web.server.bodies import read_body

# It changes only with a new version of the packs; a client may ask every time and gets a 304.
_DISCOVERY_LIFE = "max-age=300, must-revalidate"


def blueprint(
    settings: Settings,
    knowledge: Knowledge,
    clock: Clock,
    metrics: Metrics,
    memory: Memory,
    fetching: Fetching,
) -> Blueprint:
    """Discovery and calls over this knowledge."""
    routes = Blueprint("hooks", __name__)
    mode = explain_mode(settings)
    keys = prefetch_keys(settings)
    tag = sha256(knowledge.discovery).hexdigest()[:32]

    @routes.get("/cds-services")
    def discovery() -> Response:
        response = json_response(knowledge.discovery)
        response.headers["Cache-Control"] = _DISCOVERY_LIFE
        response.set_etag(tag)
        response.make_conditional(request)
        return response

    @routes.post("/cds-services/<service_id>")
    def call(service_id: str) -> Response:
        by_hook = knowledge.services.get(service_id)
        if by_hook is None:  # refused before a byte of the body is read
            raise UnknownService("There is no service with this id; GET /cds-services lists them.")
        g.entry.service = service_id
        deadline = Deadline(settings.deadline_ms / 1000, g.entry.elapsed)
        body = read_body(request, settings.max_body_bytes, settings.max_depth)
        deadline.check()
        hook_request = read_request(
            body, max_depth=settings.max_depth, max_entries=settings.max_entries
        )
        deadline.check()
        check_fhir_server(hook_request)
        if hook_request.hook in by_hook:
            g.entry.hook = hook_request.hook
            if not sees_cards(hook_request):
                g.entry.outcome = "withheld"
                return json_response(write_response(HookResponse(cards=())))
            templates = by_hook[hook_request.hook].prefetch
            hook_request = fetching.completed(hook_request, templates, deadline)
        options = Options(
            base_url=_base_url(settings),
            explain=mode,
            memory=memory,
            client=issuer_of_caller(),
            profile=profile_of_caller(settings),
            prefetch_keys=keys_of_caller(keys),
            deadline=deadline,
        )
        answer = answer_hook(knowledge, hook_request, service_id, clock(), options)
        g.entry.tell(answer.outcome)
        count(answer.outcome, metrics)
        return json_response(write_response(answer.response))

    return routes


def _base_url(settings: Settings) -> str:
    """Where rules can be read about: in open mode the loopback address that was called."""
    return (settings.public_url or request.host_url).rstrip("/")
