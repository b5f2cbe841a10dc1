# SPDX-License-Identifier: Apache-2.0
"""A key server on this machine: it answers as it is told, and counts who asks."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tests.trust.signing import Signer

Json = dict[str, Any]


@dataclass
class Trap:
    """What is served, and what was asked."""

    port: int = 0
    body: bytes = b'{"keys": []}'
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    drip: float | None = None  # seconds between two bytes
    asked: list[str] = field(default_factory=list)
    before: Callable[[], None] | None = None

    def url(self, path: str = "/jwks.json", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def serve(self, *signers: Signer, **headers: str) -> None:
        """Serve the keys of these signers from now on."""
        self.body = key_set(*(signer.jwk for signer in signers))
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def key_set(*keys: Json) -> bytes:
    return json.dumps({"keys": keys}).encode()


@contextmanager
def trap() -> Iterator[Trap]:
    """A server on loopback until the block ends."""
    state = Trap()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            if state.before is not None:
                state.before()
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            if state.drip is None:
                self.wfile.write(state.body)
                return
            for byte in state.body:
                self.wfile.write(bytes([byte]))
                time.sleep(state.drip)

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
        server.shutdown()
        server.server_close()
        thread.join()
