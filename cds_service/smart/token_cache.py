# SPDX-License-Identifier: Apache-2.0
"""The service's own access tokens, kept while they are valid: one request for all threads.

A token is asked for again a little before its time is over, and once when a server refuses it.
Whoever needs one while another thread asks for it waits for that answer, no longer than there is
time; whoever still has a valid one does not wait.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final, TypeAlias

from cds_service.clock import Clock, Deadline
from cds_service.fhir_client.failures import Failed, NoOwnToken
from cds_service.fhir_client.servers import Server
from cds_service.outgoing.transport import Transport
from cds_service.smart.scopes import missing, scopes_for, types_of
from cds_service.smart.signing_keys import KeyFile
from cds_service.smart.token_service import Configuration, Grant, TokenService

AFTER_FAILURE: Final = timedelta(seconds=5)  # before a token service that refused is asked again
CONFIGURATION_LIFE: Final = timedelta(hours=1)
_FAIR: Final = 1.0  # seconds in which a token service should answer
_LONGEST_WAIT: Final = 600.0  # seconds

_Types: TypeAlias = frozenset[str]


@dataclass(slots=True)
class _Place:
    """What is known of one server and one set of scopes; `lock` is held by whoever asks."""

    grant: Grant | None = None
    failure: NoOwnToken | None = None
    next_try: datetime | None = None
    lock: Lock = field(default_factory=Lock)


class Tokens:
    """Every token of the service; for all threads of a process."""

    def __init__(self, service: TokenService) -> None:
        self._service = service
        self._places: dict[tuple[Server, _Types], _Place] = {}
        self._configurations: dict[Server, tuple[Configuration, datetime]] = {}
        self._lock = Lock()

    def bearer(self, server: Server, queries: Iterable[str]) -> "BackendToken":
        """The tokens of a server with a `client_id`, for these queries.

        Calls that name the same types of resources share a token.
        """
        return BackendToken(server, frozenset() if server.scopes else types_of(queries), self)

    def grant(self, server: Server, types: _Types, deadline: Deadline) -> Grant:
        """A valid token for these types; raises `Failed`."""
        place = self._place(server, types)
        before, now = place.grant, self._service.clock()
        if before is not None and before.is_fresh(now):
            return before
        is_usable = before is not None and before.is_valid(now)
        try:
            return self._next(place, before, (server, types), deadline, waits=not is_usable)
        except Failed:
            if before is not None and is_usable:
                return before
            raise

    def renewed(
        self, server: Server, types: _Types, refused: str, deadline: Deadline
    ) -> Grant | None:
        """A token other than the one that was refused, if there is one; raises `Failed`."""
        place = self._place(server, types)
        grant = place.grant
        if grant is None or grant.token == refused:
            grant = self._next(place, grant, (server, types), deadline, waits=True)
        return None if grant.token == refused else grant

    def _place(self, server: Server, types: _Types) -> _Place:
        with self._lock:
            return self._places.setdefault((server, types), _Place())

    def _next(
        self,
        place: _Place,
        before: Grant | None,
        of: tuple[Server, _Types],
        deadline: Deadline,
        *,
        waits: bool,
    ) -> Grant:
        """The token after `before`, asked for by one thread; raises `Failed`."""
        patience = min(max(deadline.remaining(), 0.0), _LONGEST_WAIT) if waits else 0.0
        if not place.lock.acquire(timeout=patience):
            raise Failed("late")
        try:
            if place.grant is not None and place.grant is not before:
                return place.grant
            return self._new(place, of, deadline)
        finally:
            place.lock.release()

    def _new(self, place: _Place, of: tuple[Server, _Types], deadline: Deadline) -> Grant:
        """A new token, unless there was none a moment ago; raises `Failed`."""
        now, patience = self._service.clock(), deadline.remaining()
        if place.failure is not None and place.next_try is not None and now < place.next_try:
            raise NoOwnToken(place.failure.reason, place.failure.word)
        try:
            place.grant = self._asked(*of, deadline)
        except NoOwnToken as error:
            place.failure, place.next_try = error, now + AFTER_FAILURE
            raise
        except Failed as error:
            # One that hangs is not to cost every call its time; one that had no time is no proof.
            if patience >= _FAIR:
                place.failure = NoOwnToken("unanswered", error.word)
                place.next_try = self._service.clock() + AFTER_FAILURE
            raise
        place.failure = None
        return place.grant

    def _asked(self, server: Server, types: _Types, deadline: Deadline) -> Grant:
        """A new token; what the server says of its token service is asked when that is not known.

        It is asked again after a failure, as that may be because something moved.
        """
        now = self._service.clock()
        found, until = self._configurations.get(server, (None, now))
        if found is None or now >= until:
            found, until = self._service.configuration(server, deadline), now + CONFIGURATION_LIFE
        try:
            grant = self._service.grant(server, types, found, deadline)
        except Failed:
            self._configurations.pop(server, None)
            raise
        known = Configuration(token_endpoint=found.token_endpoint, style=grant.style)
        self._configurations[server] = (known, until)
        return grant


@dataclass(frozen=True, slots=True)
class BackendToken:
    """The service's own token for a server: a `client.Bearer`."""

    server: Server
    types: frozenset[str]
    tokens: Tokens

    def token(self, deadline: Deadline) -> str:
        """A valid token; raises `Failed`."""
        self._refuse_clear()
        return self.tokens.grant(self.server, self.types, deadline).token

    def renewed(self, refused: str, deadline: Deadline) -> str | None:
        """Another token in place of one that the server refused; raises `Failed`."""
        self._refuse_clear()
        grant = self.tokens.renewed(self.server, self.types, refused, deadline)
        return None if grant is None else grant.token

    def lacks(self, kind: str, deadline: Deadline) -> bool:
        """Whether the server granted no scope for this type of resource; raises `Failed`."""
        if self.server.scopes:  # the site's own words
            return False
        self._refuse_clear()
        grant = self.tokens.grant(self.server, self.types, deadline)
        return bool(missing(scopes_for([kind], grant.style), grant.scopes))

    def _refuse_clear(self) -> None:
        if not self.server.may_see_token:
            raise NoOwnToken("in-the-clear", "not-allowed")


def own_tokens(keys: KeyFile, clock: Clock) -> Tokens:
    """The tokens that these keys can get.

    Each request has a transport of its own: a kept connection may have ended by then, and an
    assertion is not sent twice.
    """
    return Tokens(TokenService(keys=keys.current, transport=Transport, clock=clock))
