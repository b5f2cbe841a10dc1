# SPDX-License-Identifier: Apache-2.0
"""Discovery (CDS Hooks 2.0.1, "Discovery"); `hook_calls` answers the calls."""

from hashlib import sha256

from flask import Blueprint, Response, request

from cds_service.service import Knowledge
from cds_service.web.outcomes import json_response

# It changes only with a new version of the packs; a client may ask every time and gets a 304.
_DISCOVERY_LIFE = "max-age=300, must-revalidate"


def blueprint(knowledge: Knowledge) -> Blueprint:
    """Discovery of this knowledge; of calls only the address, which other methods may not use."""
    routes = Blueprint("hooks", __name__)
    tag = sha256(knowledge.discovery).hexdigest()[:32]

    @routes.get("/cds-services")
    def discovery() -> Response:
        response = json_response(knowledge.discovery)
        response.headers["Cache-Control"] = _DISCOVERY_LIFE
        response.set_etag(tag)
        response.make_conditional(request)
        return response

    routes.add_url_rule("/cds-services/<service_id>", "call", methods=["POST"])
    return routes
