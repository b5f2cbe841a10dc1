# SPDX-License-Identifier: Apache-2.0
"""From the server to the application: a request reaches it whole and in time, or as a refusal.

granian hands requests over one by one (RSGI). Before a body is read, the precheck looks whether
the head of the request is enough to refuse it; if that may have to wait, for the keys of a client
or for the database, it has threads of its own, so that no other call waits with it. The body is
awaited here, on the event loop, where
a slow client holds a connection and a few bytes but no thread; then the WSGI application runs in
one of a few threads. A refusal is the application's to write, so that it is logged, counted and
shown to browsers like any other: the reason is in the environ under `REFUSED`, or in the headers.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final, Literal, Protocol, TypeAlias

from cds_service.clock import stopwatch
from cds_service.settings import Settings
from cds_service.web.server.host import is_host

REFUSED = "cds_service.refused"
ELAPSED = "cds_service.elapsed"
"""In the environ: a function that gives the milliseconds since the headers were read."""

_CHECKS: Final = 64  # threads that may wait before a request is taken in
_VERSIONS: Final = {"1": "1.0"}

Refusal: TypeAlias = Literal["overloaded", "too-slow", "too-long"]
Environ: TypeAlias = dict[str, Any]
Headers: TypeAlias = list[tuple[str, str]]
Wsgi: TypeAlias = Callable[[Environ, Any], Iterable[bytes]]


class RsgiScope(Protocol):
    """What granian says about a request."""

    method: str
    path: str
    query_string: str
    client: str
    server: str
    scheme: str
    http_version: str
    authority: str | None
    headers: Any


class Channel(Protocol):
    """Where granian gives the body and takes the answer."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body in pieces."""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the answer."""


class RequestPrecheck(Protocol):
    """Who looks at the head of a request."""

    def waits(self, environ: Environ) -> bool:
        """Whether a look may have to wait."""

    def refuses(self, environ: Environ) -> bool:
        """Whether the application will refuse the request whatever its body is."""


@dataclass(slots=True)
class _Answer:
    """What the application answers."""

    status: int = 500
    headers: Headers = field(default_factory=list)
    body: bytes = b""

    def start(self, status: str, headers: Headers, _failure: object = None) -> object:
        """PEP 3333, `start_response`; no application here calls what it returns."""
        self.status, self.headers = int(status.partition(" ")[0]), headers
        return None


@dataclass(slots=True)
class _Body:
    """A body as far as it has come; `left` says that some of it was not taken in."""

    pieces: list[bytes] = field(default_factory=list)
    length: int = 0
    refused: Refusal | None = None
    left: bool = True


class Bridge:
    """The application behind its limits; one in each process."""

    def __init__(self, application: Wsgi, settings: Settings, door: RequestPrecheck) -> None:
        self._application = application
        self._door = door
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="call")
        self._checks = ThreadPoolExecutor(_CHECKS, thread_name_prefix="check")
        self._requests = 0
        self._held = 0  # bytes of all bodies that were not answered yet

    async def __call__(self, scope: RsgiScope, channel: Channel) -> None:
        """Answer one request."""
        environ = environ_of(scope)
        environ[ELAPSED] = stopwatch()
        body = _Body()
        self._requests += 1
        try:
            await self._receive(body, environ, channel)
            if body.refused is not None:
                environ[REFUSED] = body.refused
            environ["wsgi.input"] = BytesIO(b"".join(body.pieces))
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._threads, self._run, environ)
        finally:
            self._requests -= 1
            self._held -= body.length
        if body.left:
            # RFC 9112, section 9.6: nothing else can come after a body that is not read. Unless it
            # learns it, a client sends its next request to a connection that is about to end.
            answer.headers.append(("Connection", "close"))
        channel.response_bytes(answer.status, answer.headers, answer.body)

    async def _receive(self, body: _Body, environ: Environ, channel: Channel) -> None:
        """Read the body, no further and no longer than the settings allow."""
        if self._requests > self._settings.max_requests:
            body.refused = "overloaded"
            return
        sent = environ.get("CONTENT_LENGTH", "")
        body.left = bool(sent) or "HTTP_TRANSFER_ENCODING" in environ
        if (body.left or self._door.waits(environ)) and await self._is_refused(environ):
            return
        if not body.left:
            return
        if sent and int(sent) > self._settings.max_body_bytes:
            body.refused = "too-long"
            return
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                await self._collect(body, channel)
        except TimeoutError:
            body.refused = "too-slow"

    async def _is_refused(self, environ: Environ) -> bool:
        """Whether nobody will want the body; what may have to wait is asked in a thread."""
        if not self._door.waits(environ):
            return self._door.refuses(environ)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._checks, self._door.refuses, environ)

    async def _collect(self, body: _Body, channel: Channel) -> None:
        async for piece in channel:
            if body.length + len(piece) > self._settings.max_body_bytes:
                body.refused = "too-long"
                return
            if self._held + len(piece) > self._settings.max_waiting_bytes:
                body.refused = "overloaded"
                return
            body.pieces.append(piece)
            body.length += len(piece)
            self._held += len(piece)
        body.left = False

    def _run(self, environ: Environ) -> _Answer:
        answer = _Answer()
        given = self._application(environ, answer.start)
        try:
            answer.body = b"".join(given)
        finally:
            close = getattr(given, "close", None)
            if close is not None:
                close()
        return answer


def environ_of(scope: RsgiScope) -> Environ:
    """The WSGI environ of a request without its body (PEP 3333)."""
    host, _, port = scope.server.rpartition(":")
    environ: Environ = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        # granian has decoded the address already; WSGI wants its bytes as Latin-1.
        "PATH_INFO": scope.path.encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        # granian calls HTTP/1.0 "1"
        "SERVER_PROTOCOL": f"HTTP/{_VERSIONS.get(scope.http_version, scope.http_version)}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0].removeprefix("[").removesuffix("]"),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    for name, value in scope.headers.items():
        if "_" in name:  # it would pass for the header with a dash, which a proxy may vouch for
            continue
        key = name.upper().replace("-", "_")
        if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            key = f"HTTP_{key}"
        # RFC 9110, section 5.3: a header that comes twice is one list
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    # RFC 9112, section 3.2.2: the address in the request line wins, but beside a proper Host only.
    if scope.authority and is_host(environ.get("HTTP_HOST", "")):
        environ["HTTP_HOST"] = scope.authority
    return environ
