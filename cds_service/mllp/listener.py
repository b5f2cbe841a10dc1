# SPDX-License-Identifier: Apache-2.0
"""Connections of senders: each has its messages answered one after the other, in their order.

A message that the database does not take gets no answer, and its connection is closed: its sender
then sends it again, whereas many senders give up a message that is answered AE or AR.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from cds_service.clock import stopwatch
from cds_service.errors import StoreError
from cds_service.log import ConnectionEvent, log_connection, log_crash, log_message
from cds_service.metrics import Metrics
from cds_service.mllp.connecting import (
    Streams,
    accepted,
    certificate_of,
    closed,
    host_of,
    listening_sockets,
    opened,
)
from cds_service.mllp.frames import FrameDecoder, MllpFrame, framed
from cds_service.mllp.receive import MessageAnswer, MessageReceiver
from cds_service.tracing.calls import CallTraces

_AT_ONCE: Final = 65_536  # bytes
_MOST_GARBAGE: Final = 65_536  # bytes outside of frames in one connection
_TRIES: Final = 3  # to store a message
_PAUSE: Final = 1.0  # seconds between them
_ANSWER_SECONDS: Final = 30.0  # for a sender to read its answer
_CLOSING_SECONDS: Final = 10.0
_AT_THE_END: Final = 30.0  # seconds for what is being stored
_STORED_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLimits:
    """How much, how long and how many; times in seconds."""

    message_bytes: int
    message_seconds: float
    idle_seconds: float
    connections: int
    connections_of_address: int
    handshake_seconds: float = 10.0


@dataclass(slots=True, kw_only=True)
class MessageListener:
    """Listens for messages until `stop` is called."""

    receiver: MessageReceiver
    limits: ListenerLimits
    metrics: Metrics
    traces: CallTraces | None = None
    _pool: ThreadPoolExecutor = field(init=False)
    _stopping: asyncio.Event = field(init=False)
    _open: set[asyncio.Event] = field(default_factory=set, init=False)
    _of_host: Counter[str] = field(default_factory=Counter, init=False)
    _talking: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    # What ends at once when it is stopped: waiting for connections, and handshakes.
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        """Make what is to be made once."""
        self._pool = ThreadPoolExecutor(_STORED_AT_ONCE, thread_name_prefix="store-message")
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Have every connection end, after what is being stored was answered."""
        self._stopping.set()

    async def serve(
        self, host: str, port: int, tls: ssl.SSLContext | None
    ) -> tuple[socket.socket, ...]:
        """Begin to listen, on these sockets; raises `OSError` if that cannot be."""
        sockets = tuple(await listening_sockets(host, port))
        for sock in sockets:
            self._tasks.add(asyncio.create_task(self._accepting(sock, tls)))
        return sockets

    async def until_stopped(self) -> None:
        """Return once it was stopped and every connection has ended."""
        await self._stopping.wait()
        for task in tuple(self._tasks):
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_AT_THE_END):
                for ended in tuple(self._open):
                    await ended.wait()
        self._pool.shutdown(wait=True)

    async def _accepting(self, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        with listening:
            async for connection, address in accepted(listening):
                if not self._may_stay(address):
                    connection.close()
                    continue
                # It counts from here on: more may be accepted before its task begins.
                counted = ExitStack()
                counted.enter_context(self._counted(address))
                talking = asyncio.create_task(self._connected(connection, address, tls, counted))
                self._talking.add(talking)
                talking.add_done_callback(self._talking.discard)

    async def _connected(
        self,
        connection: socket.socket,
        address: str,
        tls: ssl.SSLContext | None,
        counted: ExitStack,
    ) -> None:
        with counted:
            streams = await self._opened(connection, tls)
            if streams is None:
                return
            try:
                await _Conversation(self, streams, address).run()
            except (ConnectionError, ssl.SSLError):
                pass  # the sender has gone
            except Exception as error:  # noqa: BLE001 - one sender must not end the others
                log_crash(error)
            finally:
                await closed(streams.writer, _CLOSING_SECONDS)

    async def _opened(
        self, connection: socket.socket, tls: ssl.SSLContext | None
    ) -> Streams | None:
        """The connection, `None` if there is none by the end of its handshake."""
        opening = asyncio.create_task(opened(connection, tls, self.limits.handshake_seconds))
        self._tasks.add(opening)
        await asyncio.wait((opening,))
        self._tasks.discard(opening)
        if opening.cancelled():  # it was stopped
            connection.close()
        elif isinstance(opening.exception(), OSError):
            log_connection("no-tls")
        else:
            return opening.result()
        return None

    def _may_stay(self, address: str) -> bool:
        if not self.receiver.may_connect(address):
            log_connection("address-refused")
        elif len(self._open) >= self.limits.connections:
            log_connection("too-many")
        elif self._of_host[host_of(address)] >= self.limits.connections_of_address:
            log_connection("too-many-of-address")
        else:
            return True
        return False

    @contextmanager
    def _counted(self, address: str) -> Iterator[None]:
        ended = asyncio.Event()
        self._open.add(ended)
        host = host_of(address)
        self._of_host[host] += 1
        self.metrics.message_connections.set(len(self._open))
        try:
            yield
        finally:
            self._open.discard(ended)
            self._of_host[host] -= 1
            if not self._of_host[host]:
                del self._of_host[host]
            ended.set()
            self.metrics.message_connections.set(len(self._open))

    @property
    def is_stopping(self) -> bool:
        """Whether connections are to end."""
        return self._stopping.is_set()

    async def stopped(self) -> None:
        """Return once it is to stop."""
        await self._stopping.wait()

    async def answer_to(
        self, message: bytes, address: str, certificate: bytes | None
    ) -> MessageAnswer | None:
        """Store a message and answer it; `None` if it could not be stored."""
        took = stopwatch()
        loop = asyncio.get_running_loop()
        for left in reversed(range(_TRIES)):
            try:
                answer = await loop.run_in_executor(
                    self._pool, self._stored, message, address, certificate
                )
            except StoreError:
                if left:
                    await asyncio.sleep(_PAUSE)
                continue
            self.note(answer, took())
            return answer
        log_connection("not-stored")
        self.metrics.messages.labels("not-stored").inc()
        return None

    def _stored(self, message: bytes, address: str, certificate: bytes | None) -> MessageAnswer:
        store = partial(self.receiver.receive, message, address, certificate)
        return store() if self.traces is None else self.traces.work("store-message", store)

    def note(self, answer: MessageAnswer, took: float) -> None:
        """Log and count what became of a message."""
        log_message(answer.outcome, ms=took)
        self.metrics.messages.labels(answer.outcome).inc()


class _Conversation:
    """One connection."""

    def __init__(self, listener: MessageListener, streams: Streams, address: str) -> None:
        self._listener = listener
        self._reader, self._writer = streams
        self._address = address
        self._certificate = certificate_of(streams.writer)
        self._frames = FrameDecoder(listener.limits.message_bytes)
        self._began = stopwatch()

    async def run(self) -> None:
        """Answer what comes until the connection is to end."""
        while not self._listener.is_stopping and (data := await self._read()):
            was_within = self._frames.is_within
            for frame in self._frames.feed(data):
                was_within = False
                if not await self._handled(frame) or self._listener.is_stopping:
                    return
            if not was_within:
                self._began = stopwatch()

    async def _read(self) -> bytes:
        """What comes next; nothing if the connection is to end."""
        limits = self._listener.limits
        seconds = limits.idle_seconds
        if self._frames.is_within:
            seconds = max(limits.message_seconds - self._began() / 1000, 0)
        reading = asyncio.ensure_future(self._reader.read(_AT_ONCE))
        stopping = asyncio.ensure_future(self._listener.stopped())
        done, rest = await asyncio.wait(
            (reading, stopping), timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        for task in rest:
            task.cancel()
        if reading in done:
            data = reading.result()
            if not data and self._frames.is_within:
                log_connection("cut-off")
            return data
        if not done:
            log_connection("too-slow" if self._frames.is_within else "idle")
        return b""

    async def _handled(self, frame: MllpFrame) -> bool:
        """Whether the connection goes on after this frame."""
        listener = self._listener
        if frame.fault == "too-long":
            answer = listener.receiver.too_long(frame.message)
            listener.note(answer, self._began())
            await self._send(answer)
            return False
        if frame.fault is not None:
            found: ConnectionEvent = frame.fault
            log_connection(found)
            return self._frames.garbage <= _MOST_GARBAGE
        given = await listener.answer_to(frame.message, self._address, self._certificate)
        return given is not None and await self._send(given)

    async def _send(self, answer: MessageAnswer) -> bool:
        if not answer.message:
            return True
        self._writer.write(framed(answer.message))
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._writer.drain()
        except TimeoutError:
            log_connection("not-read")
            return False
        return True
