# SPDX-License-Identifier: Apache-2.0
"""`/health`, `/ready` and `/metrics` of a command that answers no calls: worker and listener.

They stand on a port of their own (CDS_STATUS_PORT), without a token, and know of no patient.
"""

import json
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Lock, Thread
from typing import Any, Final

from cds_service import __version__
from cds_service.clock import system_clock
from cds_service.errors import SettingsError
from cds_service.log import log_crash
from cds_service.metrics import Metrics, Process, exposition, make_metrics
from cds_service.settings import Settings
from cds_service.setup_checks.database import inbox_findings
from cds_service.store import Store
from cds_service.subscriptions.inbox_list import InboxList, InboxWatch
from cds_service.web.server.listening import shown_address

MOST_CALLERS: Final = 16
_PATIENCE: Final = 1.0  # seconds for a connection to end that has to
_AWAY = "The database does not answer."


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """What a process says of itself.

    `look` sets the metrics that change by themselves; `stuck` is what is wrong if the process does
    nothing any more, else empty.
    """

    metrics: Metrics
    inbox: InboxWatch
    look: Callable[[], object] = lambda: None
    stuck: Callable[[], str] = str

    def answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, type and body for an address."""
        if path == "/metrics":
            self.inbox.show(self.metrics)
            self.look()
            kind = "text/plain; version=0.0.4; charset=utf-8"
            return HTTPStatus.OK, kind, exposition(self.metrics)
        if path not in {"/health", "/ready"}:
            return HTTPStatus.NOT_FOUND, "text/plain", b""
        body, status = self._health() if path == "/health" else self._readiness()
        return status, "application/json", json.dumps(body).encode()

    def _health(self) -> tuple[dict[str, Any], HTTPStatus]:
        if problem := self.stuck():
            return {"status": "stuck", "problems": [problem]}, HTTPStatus.SERVICE_UNAVAILABLE
        return {"status": "up"}, HTTPStatus.OK

    def _readiness(self) -> tuple[dict[str, Any], HTTPStatus]:
        state = self.inbox.state()
        if state is None:
            body = {"status": "not ready", "problems": [_AWAY]}
            return body, HTTPStatus.SERVICE_UNAVAILABLE
        found = inbox_findings(state, self.inbox.now())
        problems = [
            self.stuck(),
            *(str(finding) for finding in found if finding.severity != "fine"),
        ]
        return {
            "status": "ready",
            "problems": [problem for problem in problems if problem],
        }, HTTPStatus.OK


def status_of(process: Process, settings: Settings, store: Store) -> ProcessStatus:
    """The status of a process that works with this store, with metrics of its own."""
    metrics = make_metrics(process)
    metrics.info.labels(__version__, settings.profile, process).set(1)
    return ProcessStatus(metrics=metrics, inbox=InboxWatch(InboxList(store.database), system_clock))


@contextmanager
def status_page(settings: Settings, status: ProcessStatus) -> Iterator[None]:
    """While the block runs the page is served, if there is a port for it.

    Raises `SettingsError` if the address cannot be had.
    """
    if settings.status_port is None:
        yield
        return
    server = _listening(settings.status_host, settings.status_port, status)
    thread = Thread(target=server.serve_forever, name="status")
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class StatusServer(ThreadingHTTPServer):
    """Answers at most `MOST_CALLERS` at a time: one more caller ends the oldest connection.

    So callers who say nothing use no more threads than that, and keep no probe out.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, status: ProcessStatus) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._places = BoundedSemaphore(MOST_CALLERS)
        self._callers: dict[int, socket.socket] = {}  # the oldest first
        self._lock = Lock()
        super().__init__((host, port), _handler(status))

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, once there is a place for it."""
        if not self._places.acquire(blocking=False):
            self._end_oldest()
            if not self._places.acquire(timeout=_PATIENCE):
                self.shutdown_request(request)
                return
        with self._lock:
            self._callers[id(request)] = request
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the machine has no more threads
            self._left(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._left(request)

    def handle_error(self, *_: object) -> None:
        """Log what failed here; a caller that ends in the middle is nobody's problem."""
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, OSError):
            log_crash(error)

    def _left(self, request: Any) -> None:
        with self._lock:
            self._callers.pop(id(request), None)
        self._places.release()

    def _end_oldest(self) -> None:
        """End it once: if it waits for the database and not for its caller, the next is next."""
        with self._lock:
            oldest = next(iter(self._callers), None)
            if oldest is not None:
                with suppress(OSError):  # it has ended meanwhile
                    self._callers.pop(oldest).shutdown(socket.SHUT_RDWR)


def _handler(status: ProcessStatus) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10
        server_version, sys_version = "cds-service", ""  # which Python it is nobody needs to know

        def do_GET(self) -> None:
            code, kind, body = status.answer(self.path)
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep what is asked out of the log."""

    return Handler


def _listening(host: str, port: int, status: ProcessStatus) -> StatusServer:
    try:
        return StatusServer(host, port, status)
    except OSError:
        address = shown_address(host, port)
        raise SettingsError(
            [f"CDS_STATUS_HOST, CDS_STATUS_PORT: {address} is no free address of this machine"]
        ) from None
