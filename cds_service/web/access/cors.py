# SPDX-License-Identifier: Apache-2.0
"""Pages of other web sites that may call: exactly the origins that were registered.

CDS Hooks 2.0.1, "Cross-Origin Resource Sharing"; the Fetch standard says what a browser does. No
cookie is ever taken, so `Access-Control-Allow-Credentials` is never sent, and `*` neither.
"""

from collections.abc import Callable, Collection, Iterator

_PATH = "/cds-services"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}


def is_for_pages(path: str) -> bool:
    """Whether pages of other sites may call this address."""
    return path == _PATH or path.startswith(f"{_PATH}/")


def headers_for_pages(
    method: str, origin: str | None, origins: Callable[[], Collection[str]]
) -> Iterator[tuple[str, str]]:
    """What tells the browser that the page may read this answer, if its origin is one of these.

    Errors have the header too, or the page could not see what is wrong.
    """
    yield "Vary", "Origin"  # a cache must not give the answer for one page to another
    if origin is None or origin not in origins():
        return
    yield "Access-Control-Allow-Origin", origin
    if method == "OPTIONS":
        yield from _PREFLIGHT.items()
