# SPDX-License-Identifier: Apache-2.0
"""A FHIR server that misbehaves as it is told, and remembers who asked what."""

import gzip
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Json = dict[str, Any]
BASE = "/fhir"


@dataclass(frozen=True)
class Asked:
    """One request: what, with which parameters, and with which token."""

    path: str
    parameters: Mapping[str, str]
    authorization: str | None


@dataclass(frozen=True)
class Reply:
    """An answer: `hang` says nothing more after the headers, `cut` ends before the end."""

    body: bytes | Json = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    packed: bool = False
    hang: bool = False
    cut: bool = False
    drip: bool = False

    @property
    def bytes(self) -> bytes:
        plain = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return gzip.compress(plain) if self.packed else plain


Answer = Callable[[Asked], Reply]


@dataclass
class Faulty:
    """What is answered by path below the base; everything else is 404."""

    port: int = 0
    answers: dict[str, Answer | Reply] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    over: Event = field(default_factory=Event)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}{BASE}"

    def paths(self) -> list[str]:
        return [one.path for one in self.asked]

    def reply(self, asked: Asked) -> Reply:
        answer = self.answers.get(asked.path, Reply(status=404))
        return answer if isinstance(answer, Reply) else answer(asked)


def searchset(*resources: Json, following: str | None = None, **more: object) -> Json:
    """A page of a search."""
    links = [{"relation": "next", "url": following}] if following else []
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "link": links, **more}
    return {**bundle, "entry": [{"resource": one} for one in resources]}


def in_turn(*replies: Reply) -> Answer:
    """One after another; the last one again and again."""
    waiting = list(replies)

    def answer(_: Asked) -> Reply:
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return answer


@contextmanager
def faulty() -> Iterator[Faulty]:
    """Such a server on loopback until the block ends."""
    state = Faulty()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = Asked(
                path=parts.path.removeprefix(f"{BASE}/"),
                parameters=dict(parse_qsl(parts.query, keep_blank_values=True)),
                authorization=self.headers.get("Authorization"),
            )
            state.asked.append(asked)
            self.write(state.reply(asked))

        def write(self, reply: Reply) -> None:
            body = reply.bytes
            self.send_response(reply.status)
            headers = {"Content-Type": "application/fhir+json", **reply.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            if reply.packed:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if reply.hang:
                state.over.wait(30)
            elif reply.drip:
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    if state.over.wait(0.02):
                        return
            elif reply.cut:
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                self.close_connection = True
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            """A client that gives up is what some tests are about."""

    server = Quiet(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
