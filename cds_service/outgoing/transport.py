# SPDX-License-Identifier: Apache-2.0
"""One request to another server: the whole answer in time, or a reason why not.

A `requests` session with a pool of connections. No redirect is followed, no proxy, cookie or
password of the environment is used, and however slowly a server answers, it is cut off when the
time is over: the timeouts of a socket count each step anew, so a watch shuts the socket down.
"""

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
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
from cds_service.outgoing.address_policy import Closed, Reach, addresses_of, why_not

PATIENCE: Final = 2.0  # seconds for a connection to come about
_POOL: Final = 16  # connections to one server that are kept open
_PIECE: Final = 64 * 1024


class Unanswered(Exception):
    """There is no whole answer; says why, and nothing that was received or sent."""


class TooLate(Unanswered):
    """The time was over before the whole answer was there."""


class Hopeless(Unanswered):
    """It would be no different another time: a certificate, or something that cannot be sent."""


class TooLong(Unanswered):
    """The answer is longer than is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What to ask. `form` makes it a POST.

    The answer is read up to `most_bytes`, counted unpacked; without `packed` it must not be packed.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    most_bytes: int
    form: Mapping[str, str] | None = field(default=None, repr=False)
    packed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer of whatever status; names of headers ignore case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class _Session(requests.Session):
    """A session that does not even look where a redirect leads: that would read its whole body."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere."""


class Transport:
    """A session within a reach; for all threads of a process.

    `patience` is how many seconds a connection may take to come about, if not the usual ones.
    """

    def __init__(self, reach: Reach, patience: float | None = None) -> None:
        self._reach = reach
        self._patience = patience
        self._session = _Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter(reach)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def send(self, call: Call, deadline: Deadline) -> Answer:
        """The answer; raises `Closed` if the URL may not be called, and `Unanswered`.

        The deadline is for all of it: the connection, the request and the answer.
        """
        if said := why_not(call.url, self._reach):
            raise Closed(said)
        seconds = deadline.remaining()
        if seconds <= 0:
            raise TooLate("there was no time left")
        patience = min(seconds, self._patience or PATIENCE)
        with _Watch(seconds) as watch:
            try:
                answer = self._sent(call, (patience, seconds))
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                if watch.is_over.is_set() or deadline.expired:  # a socket may have noticed it first
                    raise TooLate("the answer took too long") from None
                raise _reason_of(error) from None
        if watch.is_over.is_set():  # what came until then could look like all there is
            raise TooLate("the answer took too long")
        return answer

    def _sent(self, call: Call, timeout: tuple[float, float]) -> Answer:
        unpacked = {} if call.packed else {"Accept-Encoding": "identity"}
        with self._session.request(
            "GET" if call.form is None else "POST",
            call.url,
            data=call.form,
            headers={**call.headers, **unpacked},
            timeout=timeout,
            allow_redirects=False,
            stream=True,
        ) as response:
            coding = response.headers.get("Content-Encoding", "identity")
            if not call.packed and coding.lower() != "identity":
                raise Unanswered("the answer was compressed")
            body = bytearray()
            for piece in response.iter_content(_PIECE):
                body += piece
                if len(body) > call.most_bytes:
                    raise TooLong(f"the answer was longer than {call.most_bytes} bytes")
            return Answer(status=response.status_code, headers=response.headers, body=bytes(body))


class _Watch:
    """Shuts down the connection of this thread's request when the time is over.

    It holds a handle of its own on the connection, so that it can act from another thread at any
    time, also in the middle of a TLS handshake, when the first handle changes hands.
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
            raise Unanswered("there was no thread to watch over the answer") from None
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
        """Watch over this connection from now on."""
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
    """A connection to an address that was checked, under the watch of whoever uses it."""

    reach: Reach

    def _new_conn(self) -> socket.socket:
        # The one method that urllib3 has for this; tests hold that the checked address is called.
        try:
            addresses = addresses_of(self.host, self.port, self.reach)
        except Closed as error:
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
    """A connection to the first address that takes it; all of them share the patience."""
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
    """Makes connections of ours; trusts the certificates that this machine and certifi trust."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        super().__init__(pool_maxsize=_POOL)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        context = ssl.create_default_context()
        context.hostname_checks_common_name = False  # RFC 9525, section 2: a subject is no name
        named["ssl_context"] = context
        super().init_poolmanager(*arguments, **named)

        class Plain(_Watched):
            reach = self._reach

        class Safe(_Watched, HTTPSConnection):
            reach = self._reach

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SafePool(HTTPSConnectionPool):
            ConnectionCls = Safe

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SafePool}


def _reason_of(error: Exception) -> Unanswered | Closed:
    """What went wrong, by the kind of error: its text may hold the URL, and so a patient."""
    found: BaseException | None = error
    seen: list[BaseException] = []
    while found is not None and found not in seen:
        if isinstance(found, Closed | Unanswered):
            return found
        seen.append(found)
        inner = found.args[0] if found.args and isinstance(found.args[0], BaseException) else None
        reason = getattr(found, "reason", None)
        found = (
            reason if isinstance(reason, BaseException) else inner or found.__cause__
        ) or found.__context__
    hopeless = any(isinstance(one, ssl.SSLCertVerificationError | ValueError) for one in seen)
    kind = Hopeless if hopeless else Unanswered
    return kind(f"the connection failed ({type(seen[-1]).__name__})")
