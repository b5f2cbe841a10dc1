# SPDX-License-Identifier: Apache-2.0
"""A CDS service of one rule as one would write it by hand with Flask; gunicorn serves it."""

from typing import Any

from alt_rule import cards_for
from flask import Flask, request

app = Flask(__name__, static_folder=None)


@app.get("/cds-services")
def discovery() -> dict[str, Any]:
    """The one service."""
    return {"services": [{"id": "alt", "hook": "patient-view", "description": "One rule"}]}


@app.post("/cds-services/alt")
def alt() -> dict[str, Any]:
    """The cards of one call."""
    return {"cards": cards_for(request.get_json()["prefetch"])}
