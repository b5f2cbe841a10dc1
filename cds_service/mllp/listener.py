# SPDX-License-Identifier: Apache-2.0
"""Connections of senders: each has its messages answered one after the other, in their order.

A message that the database does not take gets no answer, and its connection is closed: its sender
then sends it again, whereas many senders give up a message that is answered AE or AR.
"""

import asyncio
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from cds_service.clock import stopwatch
from cds_service.errors import StoreError
from cds_service.log import ConnectionEvent, log_connection, log_crash, log_message
from cds_service.metrics import Metrics
from cds_service.mllp.frames import FrameDecoder, MllpFrame, framed
from cds_service.mllp.receive import MessageAnswer, MessageReceiver
from cds_service.tracing.calls import CallTraces

_AT_ONCE: Final = 65_536  # bytes
_MOST_GARBAGE: Final = 65_536  # bytes outside of frames in one connection
_TRIES: Final = 3  # to store a message
_PAUSE: Final = 1.0  # seconds between them
_ANSWER_SECONDS: Final = 30.0  # for a sender to read its answer
_HANDSHAKE_SECONDS: Final = 10.0
_AT_THE_END: Final = 30.0  # seconds for what is being stored
_STORED_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLimits:
    """How much, how long and how many; times in seconds."""

    message_bytes: int
    message_seconds: float
    idle_seconds: float
    connections: int


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

    def __post_init__(self) -> None:
        """Make what is to be made once."""
        self._pool = ThreadPoolExecutor(_STORED_AT_ONCE, thread_name_prefix="store-message")
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Have every connection end, after what is being stored was answered."""
        self._stopping.set()

    async def serve(self, host: str, port: int, tls: ssl.SSLContext | None) -> asyncio.Server:
        """Begin to listen."""
        seconds = {} if tls is None else {"ssl_handshake_timeout": _HANDSHAKE_SECONDS}
        return await asyncio.start_server(
            self._connected, host, port, ssl=tls, limit=_AT_ONCE, **seconds
        )

    async def until_stopped(self, server: asyncio.Server) -> None:
        """Return once it was stopped and every connection has ended."""
        await self._stopping.wait()
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_AT_THE_END):
                for ended in tuple(self._open):
                    await ended.wait()
        self._pool.shutdown(wait=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = str((writer.get_extra_info("peername") or ("",))[0]).partition("%")[0]
        if self._stopping.is_set() or not self._may_stay(address):
            await _closed(writer)
            return
        with self._counted():
            try:
                await _Conversation(self, reader, writer, address).run()
            except (ConnectionError, ssl.SSLError):
                pass  # the sender has gone
            except Exception as error:  # noqa: BLE001 - one sender must not end the others
                log_crash(error)
            finally:
                await _closed(writer)

    def _may_stay(self, address: str) -> bool:
        if not self.receiver.may_connect(address):
            log_connection("address-refused")
        elif len(self._open) >= self.limits.connections:
            log_connection("too-many")
        else:
            return True
        return False

    @contextmanager
    def _counted(self) -> Iterator[None]:
        ended = asyncio.Event()
        self._open.add(ended)
        self.metrics.message_connections.set(len(self._open))
        try:
            yield
        finally:
            self._open.discard(ended)
            ended.set()
            self.metrics.message_connections.set(len(self._open))

    @property
    def is_stopping(self) -> bool:
        """Whether connections are to end."""
        return self._stopping.is_set()

    async def stopped(self) -> None:
        """Return once it is to stop."""
        await self._stopping.wait()

    async def answer_to(self, message: bytes, address: str) -> MessageAnswer | None:
        """Store a message and answer it; `None` if it could not be stored."""
        took = stopwatch()
        loop = asyncio.get_running_loop()
        for left in reversed(range(_TRIES)):
            try:
                answer = await loop.run_in_executor(self._pool, self._stored, message, address)
            except StoreError:
                if left:
                    await asyncio.sleep(_PAUSE)
                continue
            self.note(answer, took())
            return answer
        log_connection("not-stored")
        self.metrics.messages.labels("not-stored").inc()
        return None

    def _stored(self, message: bytes, address: str) -> MessageAnswer:
        store = partial(self.receiver.receive, message, address)
        return store() if self.traces is None else self.traces.work("store-message", store)

    def note(self, answer: MessageAnswer, took: float) -> None:
        """Log and count what became of a message."""
        log_message(answer.outcome, ms=took)
        self.metrics.messages.labels(answer.outcome).inc()


class _Conversation:
    """One connection."""

    def __init__(
        self,
        listener: MessageListener,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        address: str,
    ) -> None:
        self._listener = listener
        self._reader = reader
        self._writer = writer
        self._address = address
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
        for one in rest:
            one.cancel()
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
        given = await listener.answer_to(frame.message, self._address)
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


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection, once what was written is sent."""
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_HANDSHAKE_SECONDS):
            await writer.wait_closed()
