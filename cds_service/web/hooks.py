# SPDX-License-Identifier: Apache-2.0
"""The two addresses of CDS Hooks: discovery, and a call of a service."""

from hashlib import sha256

from flask import Blueprint, Response, g, request

from cds_service.clock import Clock
from cds_service.errors import UnknownService
from cds_service.hooks.request import read_request
from cds_service.hooks.response import write_response
from cds_service.metrics import Metrics
from cds_service.service import Knowledge, Options, answer_hook
from cds_service.settings import Settings, explain_mode
from cds_service.web.bodies import read_body
from cds_service.web.journal import count
from cds_service.web.outcomes import json_response

# It changes only with a new version of the packs; a client may ask every time and gets a 304.
_DISCOVERY_LIFE = "max-age=300, must-revalidate"


def blueprint(
    settings: Settings, knowledge: Knowledge, clock: Clock, metrics: Metrics
) -> Blueprint:
    """Discovery and calls over this knowledge."""
    routes = Blueprint("hooks", __name__)
    mode = explain_mode(settings)
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
        if by_hook is None:  # said before a byte of the body is read
            raise UnknownService("There is no service with this id; GET /cds-services lists them.")
        g.entry.service = service_id
        body = read_body(request, settings.max_body_bytes)
        hook_request = read_request(
            body, max_depth=settings.max_depth, max_entries=settings.max_entries
        )
        if hook_request.hook in by_hook:
            g.entry.hook = hook_request.hook
        options = Options(base_url=_base_url(settings), explain=mode)
        answer = answer_hook(knowledge, hook_request, service_id, clock(), options)
        g.entry.tell(answer.outcome)
        count(answer.outcome, metrics)
        return json_response(write_response(answer.response))

    return routes


def _base_url(settings: Settings) -> str:
    """Where rules can be read about: in open mode the loopback address that was called."""
    return (settings.public_url or request.host_url).rstrip("/")
