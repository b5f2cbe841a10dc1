# SPDX-License-Identifier: Apache-2.0
"""Pages of other web sites that may call: exactly the origins that were registered.

CDS Hooks 2.0.1, "Cross-Origin Resource Sharing"; the Fetch standard says what a browser does. No
cookie is ever taken, so `Access-Control-Allow-Credentials` is never sent, and `*` neither.
"""

from collections.abc import Callable, Collection

from flask import Request, Response

_PATH = "/cds-services"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}


def allow_origin(
    request: Request, response: Response, origins: Callable[[], Collection[str]]
) -> None:
    """Tell the browser that the page may read this answer, if its origin is one of these.

    Errors have the header too, or the page could not see what is wrong.
    """
    if request.path != _PATH and not request.path.startswith(f"{_PATH}/"):
        return
    response.vary.add("Origin")  # a cache must not give the answer for one page to another
    origin = request.headers.get("Origin")
    if origin is None or origin not in origins():
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    if request.method == "OPTIONS":
        response.headers.update(_PREFLIGHT)
