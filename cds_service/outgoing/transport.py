# SPDX-License-Identifier: Apache-2.0
"""One request to another server: the whole response before a deadline, or the reason why not.

What is too long to be held is handed on piece by piece (`Transport.stream`).

A `requests` session with a connection pool. Redirects are not followed; proxies, cookies and
passwords of the environment are not used. A slow response is cut off at the deadline: the timeouts
of a socket start anew with each step, so a timer shuts the socket down.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from threading import Event, Lock, Timer, local
from types import TracebackType
from typing import Any, Final, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError

from cds_service.clock import Deadline
from cds_service.outgoing.address_policy import (
    AddressNotAllowed,
    AddressPolicy,
    addresses_of,
    url_problem,
)
from cds_service.outgoing.authorities import client_context
from cds_service.outgoing.messages import (
    DeadlineExceeded,
    HttpRequest,
    HttpResponse,
    PermanentTransportError,
    ResponseTooLarge,
    TransportError,
    UntrustedCertificate,
)

PATIENCE: Final = 2.0  # seconds for a connection to be established
_POOL: Final = 16  # connections to one server that are kept open
_PIECE: Final = 64 * 1024


class _Session(requests.Session):
    """A session that ignores redirects: resolving one would read the whole body."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No redirect is followed."""


class Transport:
    """Sends requests to the addresses of a policy. Thread-safe.

    `patience` limits the seconds for a connection to be established, `PATIENCE` by default.
    """

    def __init__(self, policy: AddressPolicy, patience: float | None = None) -> None:
        self._policy = policy
        self._patience = patience
        self._session = _Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter(policy)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def send(self, request: HttpRequest, deadline: Deadline) -> HttpResponse:
        """The response; raises `AddressNotAllowed` and `TransportError`.

        The deadline covers the connection, the request and the whole response.
        """
        return self._watched(request, deadline, _whole)

    def stream(
        self,
        request: HttpRequest,
        write: Callable[[bytes], object],
        deadline: Deadline,
        *,
        silence: float,
    ) -> HttpResponse:
        """Hand the body of a 200 to `write` as it arrives, still compressed; any other is returned.

        It may be of any length; the server may be silent for `silence` seconds. What was written
        before an error is a part. An error of `write` is raised as it is.
        """

        def read(response: requests.Response, request: HttpRequest) -> HttpResponse:
            if response.status_code != HTTPStatus.OK:
                return _whole(response, request)
            for piece in response.raw.stream(_PIECE, decode_content=False):
                try:
                    write(piece)
                except OSError as error:
                    raise _Unwritten(error) from error
            return HttpResponse(status=response.status_code, headers=response.headers, body=b"")

        try:
            return self._watched(request, deadline, read, silence)
        except _Unwritten as error:
            raise error.cause from None

    def _watched(
        self,
        request: HttpRequest,
        deadline: Deadline,
        read: Callable[[requests.Response, HttpRequest], HttpResponse],
        silence: float | None = None,
    ) -> HttpResponse:
        if problem := url_problem(request.url, self._policy):
            raise AddressNotAllowed(problem)
        seconds = deadline.remaining()
        if seconds <= 0:
            raise DeadlineExceeded("there was no time left")
        patience = min(seconds, self._patience or PATIENCE)
        with _Watch(seconds) as watch:
            try:
                with self._opened(request, (patience, min(seconds, silence or seconds))) as opened:
                    response = read(opened, request)
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                if watch.is_over.is_set() or deadline.expired:  # a socket may have noticed it first
                    raise DeadlineExceeded("the answer took too long") from None
                raise _reason_of(error) from None
        if watch.is_over.is_set():  # what came until then could look like all there is
            raise DeadlineExceeded("the answer took too long")
        return response

    def _opened(self, request: HttpRequest, timeout: tuple[float, float]) -> requests.Response:
        """The response with its headers; its body is still to be read."""
        identity = {} if request.allow_compression else {"Accept-Encoding": "identity"}
        return self._session.request(
            request.method or ("GET" if request.form is None else "POST"),
            request.url,
            data=request.form if request.body is None else request.body,
            headers={**request.headers, **identity},
            timeout=timeout,
            allow_redirects=False,
            stream=True,
        )


class _Unwritten(Exception):
    """What arrived could not be written: no fault of the connection."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _whole(response: requests.Response, request: HttpRequest) -> HttpResponse:
    coding = response.headers.get("Content-Encoding", "identity")
    if not request.allow_compression and coding.lower() != "identity":
        raise TransportError("the answer was compressed")
    body = bytearray()
    for piece in response.iter_content(_PIECE):
        body += piece
        if len(body) > request.most_bytes:
            raise ResponseTooLarge(f"the answer was longer than {request.most_bytes} bytes")
    return HttpResponse(status=response.status_code, headers=response.headers, body=bytes(body))


class _Watch:
    """Shuts down the connection of this thread's request at the deadline.

    It holds a duplicate of the file descriptor, so that it can act from its own thread at any time,
    even during a TLS handshake, when the first handle is replaced.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = Event()
        self._handle: socket.socket | None = None
        self._lock = Lock()
        self._timer = Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        try:
            self._timer.start()
        except RuntimeError:  # the system gives no more threads
            raise TransportError("there was no thread to watch over the answer") from None
        _WATCH.current = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        _WATCH.current = None
        self._let_go()

    def over(self, connection: socket.socket) -> None:
        """Shut down this connection at the deadline, and no longer the one before."""
        self._let_go()
        with self._lock:
            self._handle = socket.fromfd(connection.fileno(), connection.family, connection.type)
        if self.is_over.is_set():
            self._end()

    def _end(self) -> None:
        self.is_over.set()
        with self._lock, suppress(OSError):  # the other side may have ended it
            if self._handle is not None:
                self._handle.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        with self._lock:
            if self._handle is not None:
                self._handle.close()
                self._handle = None


class _Current(local):
    current: _Watch | None = None


_WATCH = _Current()


class _Watched(HTTPConnection):
    """A connection to a vetted address, aborted when its request's deadline passes."""

    policy: AddressPolicy

    def _new_conn(self) -> socket.socket:
        # The one method that urllib3 has for this; tests hold that the checked address is called.
        try:
            addresses = addresses_of(self.host, self.port, self.policy)
        except AddressNotAllowed as error:
            raise NewConnectionError(self, str(error)) from error
        patience = self.timeout if isinstance(self.timeout, int | float) else PATIENCE
        made = _connected(addresses, self.port, patience)
        try:
            for option in self.socket_options or ():
                made.setsockopt(*option)
            _watched(made)
        except OSError:
            made.close()
            raise
        return made

    def request(self, *arguments: Any, **named: Any) -> None:
        if self.sock is not None:  # it is used again
            _watched(self.sock)
        super().request(*arguments, **named)


def _watched(connection: socket.socket) -> None:
    if _WATCH.current is not None:
        _WATCH.current.over(connection)


def _connected(addresses: list[str], port: int, patience: float) -> socket.socket:
    """A connection to the first address that accepts it; all of them share `patience` seconds."""
    error = OSError()
    deadline = Deadline(patience)
    for n, address in enumerate(addresses):
        share = deadline.remaining() / (len(addresses) - n)
        if share <= 0:
            break
        try:
            return socket.create_connection((address, port), timeout=share)
        except OSError as failure:
            error = failure
    raise error


class _Adapter(HTTPAdapter):
    """Makes vetted connections; trusts whom `authorities` has, and certifi."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        super().__init__(pool_maxsize=_POOL)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        named["ssl_context"] = client_context()
        super().init_poolmanager(*arguments, **named)

        class Plain(_Watched):
            policy = self._policy

        class Safe(_Watched, HTTPSConnection):
            policy = self._policy

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SafePool(HTTPSConnectionPool):
            ConnectionCls = Safe

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SafePool}


def _reason_of(error: Exception) -> TransportError | AddressNotAllowed:
    """The reason by the type of the error: its text may hold the URL, and so a patient id."""
    cause: BaseException | None = error
    seen: list[BaseException] = []
    while cause is not None and cause not in seen:
        if isinstance(cause, AddressNotAllowed | TransportError):
            return cause
        seen.append(cause)
        inner = cause.args[0] if cause.args and isinstance(cause.args[0], BaseException) else None
        reason = getattr(cause, "reason", None)
        cause = (
            reason if isinstance(reason, BaseException) else inner or cause.__cause__
        ) or cause.__context__
    for item in seen:
        if isinstance(item, ssl.SSLCertVerificationError):
            why = item.verify_message.partition(",")[0]  # the name of the host is after it
            return UntrustedCertificate(f"its certificate is refused (SSL: {why})")
    is_permanent = any(isinstance(item, ValueError) for item in seen)
    kind = PermanentTransportError if is_permanent else TransportError
    return kind(f"the connection failed ({type(seen[-1]).__name__})")
