# SPDX-License-Identifier: Apache-2.0
"""The service's own access tokens, kept while they are valid: one request for all threads.

A token is requested again shortly before it expires, and once when a server refuses it. Only one
thread refreshes a token. Threads without a valid token block until it arrives or their deadline
passes; threads that still hold a valid token continue with it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Final, TypeAlias

from cds_service.clock import Clock, Deadline
from cds_service.fhir_client.failures import QueryError
from cds_service.fhir_client.servers import Server
from cds_service.smart.failures import TokenError
from cds_service.smart.scopes import missing, scopes_for, to_write, types_of
from cds_service.smart.signing_keys import KeyFile
from cds_service.smart.token_service import AccessToken, Configuration, TokenService

AFTER_FAILURE: Final = timedelta(seconds=5)  # before the next request after a refusal
CONFIGURATION_LIFE: Final = timedelta(hours=1)
_FAIR: Final = 1.0  # seconds in which an authorization server should answer
_LONGEST_WAIT: Final = 600.0  # seconds

_Types: TypeAlias = frozenset[str]


@dataclass(slots=True)
class _Slot:
    """The state of one server and one set of scopes; the thread that refreshes holds `lock`."""

    token: AccessToken | None = None
    failure: TokenError | None = None
    next_try: datetime | None = None
    lock: Lock = field(default_factory=Lock)


class TokenCache:
    """All access tokens of the service. Thread-safe."""

    def __init__(self, service: TokenService) -> None:
        self._service = service
        self._slots: dict[tuple[Server, _Types], _Slot] = {}
        self._configurations: dict[Server, tuple[Configuration, datetime]] = {}
        self._lock = Lock()

    def bearer(
        self, server: Server, queries: Iterable[str], writes: Iterable[str] = ()
    ) -> "BackendToken":
        """The tokens of a server with a `client_id`, for these queries and types that are written.

        Calls that name the same resource types share a token.
        """
        types = frozenset[str]() if server.scopes else types_of(queries) | to_write(writes)
        return BackendToken(server, types, self)

    def token(self, server: Server, types: _Types, deadline: Deadline) -> AccessToken:
        """A valid token for these resource types; raises `QueryError`."""
        slot = self._slot(server, types)
        before, now = slot.token, self._service.clock()
        if before is not None and before.is_fresh(now):
            return before
        is_usable = before is not None and before.is_valid(now)
        try:
            return self._next(slot, before, (server, types), deadline, waits=not is_usable)
        except QueryError:
            if before is not None and is_usable:
                return before
            raise

    def renewed(
        self, server: Server, types: _Types, refused: str, deadline: Deadline
    ) -> AccessToken | None:
        """A token other than the refused one, or `None`; raises `QueryError`."""
        slot = self._slot(server, types)
        token = slot.token
        if token is None or token.value == refused:
            token = self._next(slot, token, (server, types), deadline, waits=True)
        return None if token.value == refused else token

    def _slot(self, server: Server, types: _Types) -> _Slot:
        with self._lock:
            return self._slots.setdefault((server, types), _Slot())

    def _next(
        self,
        slot: _Slot,
        before: AccessToken | None,
        of: tuple[Server, _Types],
        deadline: Deadline,
        *,
        waits: bool,
    ) -> AccessToken:
        """The token after `before`, requested by one thread only; raises `QueryError`."""
        patience = min(max(deadline.remaining(), 0.0), _LONGEST_WAIT) if waits else 0.0
        if not slot.lock.acquire(timeout=patience):
            raise QueryError("late")
        try:
            if slot.token is not None and slot.token is not before:
                return slot.token
            return self._new(slot, of, deadline)
        finally:
            slot.lock.release()

    def _new(self, slot: _Slot, of: tuple[Server, _Types], deadline: Deadline) -> AccessToken:
        """A new token, unless a request failed a moment ago; raises `QueryError`."""
        now, patience = self._service.clock(), deadline.remaining()
        if slot.failure is not None and slot.next_try is not None and now < slot.next_try:
            raise TokenError(slot.failure.reason, slot.failure.code)
        try:
            slot.token = self._asked(*of, deadline)
        except TokenError as error:
            slot.failure, slot.next_try = error, now + AFTER_FAILURE
            raise
        except QueryError as error:
            # A server that hangs must not use up the time of every call; a request that had hardly
            # any time proves nothing.
            if patience >= _FAIR:
                slot.failure = TokenError("unanswered", error.code)
                slot.next_try = self._service.clock() + AFTER_FAILURE
            raise
        slot.failure = None
        return slot.token

    def _asked(self, server: Server, types: _Types, deadline: Deadline) -> AccessToken:
        """A new token from the server's token endpoint; raises `QueryError`.

        The SMART configuration is cached, and dropped after a failure: the endpoint may have moved.
        """
        now = self._service.clock()
        configuration, until = self._configurations.get(server, (None, now))
        if configuration is None or now >= until:
            configuration = self._service.configuration(server, deadline)
            until = now + CONFIGURATION_LIFE
        try:
            token = self._service.request_token(server, types, configuration, deadline)
        except QueryError:
            self._configurations.pop(server, None)
            raise
        # The server may have refused the style that its configuration names.
        self._configurations[server] = (replace(configuration, style=token.style), until)
        return token


@dataclass(frozen=True, slots=True)
class BackendToken:
    """The service's own token for a server: a `client.Bearer`."""

    server: Server
    types: frozenset[str]
    tokens: TokenCache

    def token(self, deadline: Deadline) -> str:
        """A valid token; raises `QueryError`."""
        self._refuse_clear()
        return self.tokens.token(self.server, self.types, deadline).value

    def renewed(self, refused: str, deadline: Deadline) -> str | None:
        """A replacement for a token that the server refused; raises `QueryError`."""
        self._refuse_clear()
        token = self.tokens.renewed(self.server, self.types, refused, deadline)
        return None if token is None else token.value

    def lacks(self, kind: str, deadline: Deadline) -> bool:
        """Whether the server granted no scope for this resource type; raises `QueryError`."""
        if self.server.scopes:  # the site chose the scopes
            return False
        self._refuse_clear()
        token = self.tokens.token(self.server, self.types, deadline)
        return bool(missing(scopes_for([kind], token.style), token.scopes))

    def _refuse_clear(self) -> None:
        if not self.server.may_see_token:
            raise TokenError("in-the-clear", "not-allowed")


def open_token_cache(keys: KeyFile, clock: Clock) -> TokenCache:
    """The cache of tokens that are requested with these keys.

    Each request has a transport of its own: a kept connection may be closed by then, and an
    assertion is not sent twice.
    """
    from cds_service.outgoing.transport import Transport  # it imports requests

    return TokenCache(TokenService(keys=keys.current, transport=Transport, clock=clock))
