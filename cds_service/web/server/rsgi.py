# SPDX-License-Identifier: Apache-2.0
"""From the server to the application: a request reaches it whole and in time, or as a refusal.

granian hands requests over one by one (RSGI). Before a body is read, the head of the request is
looked at whether it is enough to refuse it; if that may have to wait, for the keys of a client
or for the database, it has threads of its own, so that no other call waits with it. The body is
awaited here, on the event loop, where a slow client holds a connection and a few bytes but no
thread.

A hook call goes to `HookCalls`. A short one is answered on the event loop, one after the other:
to hand it to a thread would cost more than much of its work. A long one is answered in a thread of
its own, also one after the other: their threads would only take the interpreter from each other,
each with the objects of a long body. A call for which another server may be asked is answered in
one of a few threads, and everything else goes to the WSGI application in those threads. There a
refusal is the application's to write, so that it is logged, counted and shown to browsers like any
other: the reason is in the environ under `REFUSED`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final, Protocol

from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]

from cds_service.clock import Stopwatch, stopwatch
from cds_service.settings import Settings
from cds_service.web.hook_calls import HookCall, HookCalls
from cds_service.web.server.request_parts import (
    ELAPSED,
    REFUSED,
    Environ,
    Headers,
    Refusal,
    Reply,
    RsgiScope,
    Wsgi,
    environ_of,
    head_of,
    is_hook_call,
)

_HEALTH: Final = "/health"
_CHECKS: Final = 64  # threads that may wait before a request is taken in
_SHORT: Final = 256 * 1024
"""Bytes of a body that is taken in at once, and whose call is answered on the event loop
(docs/decisions/0017 says how long)."""


class Channel(Protocol):
    """Where granian gives the body and takes the answer."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body in pieces."""

    def __call__(self) -> Awaitable[bytes]:
        """The whole body; raises `ProtocolClosed` if the client goes before its end."""

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

    def whole(self) -> bytes:
        """The bytes that came; the pieces are given up."""
        pieces, self.pieces = self.pieces, []
        return b"".join(pieces)


class Bridge:
    """The application behind its limits; one in each process.

    Without `calls` the application has every address, as that of a benchmark's floor does.
    """

    def __init__(
        self,
        application: Wsgi,
        settings: Settings,
        door: RequestPrecheck,
        calls: HookCalls | None = None,
    ) -> None:
        self._application = application
        self._door = door
        self._calls = calls
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="call")
        self._long = ThreadPoolExecutor(1, thread_name_prefix="long")
        self._checks = ThreadPoolExecutor(_CHECKS, thread_name_prefix="check")
        self._turn = asyncio.Lock()
        self._requests = 0
        self._held = 0  # bytes of all bodies that were not answered yet

    async def __call__(self, scope: RsgiScope, channel: Channel) -> None:
        """Answer one request."""
        elapsed = stopwatch()
        body = _Body()
        self._requests += 1
        try:
            if self._calls is not None and is_hook_call(scope.method, scope.path):
                status, headers, answer = await self._call(
                    self._calls, scope, channel, body, elapsed
                )
            else:
                status, headers, answer = await self._apply(scope, channel, body, elapsed)
        finally:
            self._requests -= 1
            self._held -= body.length
        if body.left:
            # RFC 9112, section 9.6: nothing else can come after a body that is not read. Unless it
            # learns it, a client sends its next request to a connection that is about to end.
            headers.append(("Connection", "close"))
        channel.response_bytes(status, headers, answer)

    async def _call(
        self,
        calls: HookCalls,
        scope: RsgiScope,
        channel: Channel,
        body: _Body,
        elapsed: Stopwatch,
    ) -> Reply:
        """The answer to a hook call."""
        head = head_of(scope)
        if self._is_too_many:
            return calls.judge(calls.begin(head, elapsed, shed=True))
        sent = head.headers.get("content-length", "")
        body.left = bool(sent) or "transfer-encoding" in head.headers
        if calls.looks_may_wait:
            loop = asyncio.get_running_loop()
            call = await loop.run_in_executor(self._checks, calls.begin, head, elapsed)
        else:
            call = calls.begin(head, elapsed)
        if call.reply is not None:
            return call.reply
        if body.left:
            await self._take(body, sent, channel)
        if body.refused is not None:
            return calls.refuse(call, body.refused)
        return await self._answer(calls, call, body.whole())

    async def _answer(self, calls: HookCalls, call: HookCall, body: bytes) -> Reply:
        loop = asyncio.get_running_loop()
        if len(body) > _SHORT:
            reply = await loop.run_in_executor(self._long, _read_and_judged, calls, call, body)
            if reply is not None:
                return reply
            return await loop.run_in_executor(self._threads, calls.judge, call)
        async with self._turn:
            # Requests that came meanwhile begin first: they are counted, and refused if too many.
            await asyncio.sleep(0)
            calls.read(call, body)
            if not calls.waits(call):
                return calls.judge(call)
        return await loop.run_in_executor(self._threads, calls.judge, call)

    async def _apply(
        self, scope: RsgiScope, channel: Channel, body: _Body, elapsed: Stopwatch
    ) -> Reply:
        """The answer of the WSGI application."""
        environ = environ_of(scope)
        environ[ELAPSED] = elapsed
        await self._receive(body, environ, channel)
        if body.refused is not None:
            environ[REFUSED] = body.refused
        environ["wsgi.input"] = BytesIO(body.whole())
        # Who asks whether the process lives must not wait for calls that wait for other servers.
        threads = self._checks if scope.path == _HEALTH else self._threads
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(threads, self._run, environ)
        return Reply(answer.status, answer.headers, answer.body)

    @property
    def _is_too_many(self) -> bool:
        return self._requests > self._settings.max_requests

    async def _receive(self, body: _Body, environ: Environ, channel: Channel) -> None:
        """Read the body, no further and no longer than the settings allow."""
        if self._is_too_many:
            body.refused = "overloaded"
            return
        sent = environ.get("CONTENT_LENGTH", "")
        body.left = bool(sent) or "HTTP_TRANSFER_ENCODING" in environ
        if (body.left or self._door.waits(environ)) and await self._is_refused(environ):
            return
        if body.left:
            await self._take(body, sent, channel)

    async def _take(self, body: _Body, sent: str, channel: Channel) -> None:
        """Take the body in; `sent` is the length in its head."""
        length = int(sent) if sent else None
        if length is not None and length > self._settings.max_body_bytes:
            body.refused = "too-long"
            return
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                if length is not None and self._has_room_for(length):
                    await self._take_at_once(body, length, channel)
                else:
                    await self._collect(body, length, channel)
        except TimeoutError:
            body.refused = "too-slow"
        except ProtocolClosed:
            body.refused = "cut-off"

    async def _is_refused(self, environ: Environ) -> bool:
        """Whether nobody will want the body; what may have to wait is asked in a thread."""
        if not self._door.waits(environ):
            return self._door.refuses(environ)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._checks, self._door.refuses, environ)

    def _has_room_for(self, length: int) -> bool:
        """Whether a body may be counted as a whole before it is there.

        Bodies that clients promise and never send hold no more than half of what may wait.
        """
        return length <= _SHORT and self._held + length <= self._settings.max_waiting_bytes // 2

    async def _take_at_once(self, body: _Body, length: int, channel: Channel) -> None:
        """Take in a short body, without waking the event loop for each piece of it."""
        body.length = length
        self._held += length
        body.pieces.append(await channel())
        body.left = False

    async def _collect(self, body: _Body, length: int | None, channel: Channel) -> None:
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
        if length is not None and body.length < length:  # granian says nothing of it
            body.refused = "cut-off"
            return
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


def _read_and_judged(calls: HookCalls, call: HookCall, body: bytes) -> Reply | None:
    """The answer to a call; `None`, once it is read, if another server is to be asked for it."""
    calls.read(call, body)
    return None if calls.waits(call) else calls.judge(call)
