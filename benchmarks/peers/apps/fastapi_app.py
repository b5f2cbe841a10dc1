# SPDX-License-Identifier: Apache-2.0
"""A CDS service of one rule as one would write it by hand with FastAPI and orjson, for uvicorn."""

from typing import Any

import orjson
from alt_rule import cards_for
from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.get("/cds-services")
async def discovery() -> dict[str, Any]:
    """The one service."""
    return {"services": [{"id": "alt", "hook": "patient-view", "description": "One rule"}]}


@app.post("/cds-services/alt")
async def alt(request: Request) -> Response:
    """The cards of one call."""
    call = orjson.loads(await request.body())
    answer = orjson.dumps({"cards": cards_for(call["prefetch"])})
    return Response(answer, media_type="application/json")
