# SPDX-License-Identifier: Apache-2.0
"""`/ready` and `/metrics` of the listener, on a port of this machine alone."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from cds_service.metrics import Metrics, exposition

Ready = Callable[[], bool]


@contextmanager
def status_page(port: int | None, metrics: Metrics, is_ready: Ready) -> Iterator[None]:
    """While the block runs both are served, if there is a port; `/ready` is 503 where it is not.

    Raises `OSError` if the port is taken.
    """
    if port is None:
        yield
        return

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4; charset=utf-8", exposition(metrics))
            elif self.path == "/ready":
                is_fine = is_ready()
                body = json.dumps({"status": "ready" if is_fine else "database-away"}).encode()
                self._answer(200 if is_fine else 503, "application/json", body)
            else:
                self._answer(404, "text/plain", b"")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep what is asked out of the log."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, name="status")
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
