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
    """One request: what, with which parameters or form, and with which token."""

    path: str
    parameters: Mapping[str, str]
    authorization: str | None
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


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
        return [request.path for request in self.asked]

    def reply(self, asked: Asked) -> Reply:
        answer = self.answers.get(asked.path, Reply(status=404))
        return answer if isinstance(answer, Reply) else answer(asked)


def searchset(*resources: Json, following: str | None = None, **more: object) -> Json:
    """A page of a search."""
    links = [{"relation": "next", "url": following}] if following else []
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "link": links, **more}
    return {**bundle, "entry": [{"resource": resource} for resource in resources]}


def in_turn(*replies: Reply) -> Answer:
    """One after another; the last one again and again."""
    waiting = list(replies)

    def answer(_: Asked) -> Reply:
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return answer


class _Handler(BaseHTTPRequestHandler):
    """Writes what the state of its server says."""

    protocol_version = "HTTP/1.1"
    state: Faulty

    def do_GET(self) -> None:
        self.answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(body.decode(), body)

    def do_PUT(self) -> None:
        self.do_POST()

    def do_DELETE(self) -> None:
        self.do_GET()

    def answer(self, query: str, body: bytes = b"") -> None:
        asked = Asked(
            path=urlsplit(self.path).path.removeprefix(f"{BASE}/"),
            parameters=dict(parse_qsl(query, keep_blank_values=True)),
            authorization=self.headers.get("Authorization"),
            method=self.command,
            headers=dict(self.headers),
            body=body,
        )
        self.state.asked.append(asked)
        self.write(self.state.reply(asked))

    def write(self, reply: Reply) -> None:
        body = reply.bytes
        self.send_response(reply.status)
        packed = {"Content-Encoding": "gzip"} if reply.packed else {}
        headers = {"Content-Type": "application/fhir+json", **reply.headers, **packed}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if reply.hang:
            self.state.over.wait(30)
        elif reply.drip:
            self.drip(body)
        elif reply.cut:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.wfile.write(body)

    def drip(self, body: bytes) -> None:
        for byte in body:
            self.wfile.write(bytes([byte]))
            if self.state.over.wait(0.02):
                return

    def log_message(self, *args: object) -> None:
        pass


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """A client that gives up is what some tests are about."""


@contextmanager
def faulty() -> Iterator[Faulty]:
    """Such a server on loopback until the block ends."""
    state = Faulty()
    server = _Quiet(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    state.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
