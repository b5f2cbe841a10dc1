# SPDX-License-Identifier: Apache-2.0
"""Access tokens of the service's own (SMART App Launch 2.2, "Backend Services").

Where tokens are given is asked of the FHIR server. The service proves who it is with a token that
it signs for this one request, and asks for no more than the queries need. Nothing that another
server sent stands in an error.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_urlsafe
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from msgspec import DecodeError
from msgspec.json import decode

from cds_service.clock import Clock, Deadline
from cds_service.fhir_client.failures import REASONS, Failed, NoOwnToken
from cds_service.fhir_client.servers import Server
from cds_service.outgoing.address_policy import Closed, Reach, is_this_machine, why_not
from cds_service.outgoing.transport import Answer, Call, TooLate, Transport, Unanswered
from cds_service.smart.scopes import Style, missing, scopes_for
from cds_service.smart.signing_keys import SigningKeys

Transports: TypeAlias = Callable[[Reach], Transport]

# Five minutes are allowed; a minute is left for a server whose clock is behind.
ASSERTION_LIFE: Final = timedelta(minutes=4)
USUAL_LIFE: Final = timedelta(minutes=1)  # of a token that does not say how long it lives
LONGEST_LIFE: Final = timedelta(hours=24)
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523
_MOST_BYTES: Final = 256 * 1024
_HEADERS: Final = {"Accept": "application/json", "Connection": "close"}
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What a FHIR server says of its tokens."""

    token_endpoint: str
    style: Style


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An access token of the service; `scopes` are those that were granted of those `asked` for."""

    token: str = field(repr=False)
    asked: tuple[str, ...]
    scopes: frozenset[str]
    asked_at: datetime
    life: timedelta
    style: Style

    def is_fresh(self, now: datetime) -> bool:
        """Whether it is too early to ask for the next: a fifth of its life is left, or 30 s."""
        return now < self.asked_at + self.life - min(self.life / 5, timedelta(seconds=30))

    def is_valid(self, now: datetime) -> bool:
        """Whether it can still be used."""
        return now < self.asked_at + self.life


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenService:
    """Asks servers for tokens; remembers nothing."""

    keys: Callable[[], SigningKeys]
    transport: Transports
    clock: Clock

    def configuration(self, server: Server, deadline: Deadline) -> Configuration:
        """What `.well-known/smart-configuration` says, checked; raises `Failed`."""
        url = f"{server.base}/.well-known/smart-configuration"
        call = Call(url=url, headers=_HEADERS, most_bytes=_MOST_BYTES)
        answer = _sent(self.transport(server.reach), call, deadline, "no-discovery")
        said = _object(answer) if 200 <= answer.status < 300 else None
        if said is None:
            raise NoOwnToken("no-discovery")
        return _checked(said, server)

    def grant(
        self, server: Server, types: Iterable[str], found: Configuration, deadline: Deadline
    ) -> Grant:
        """A token for these types of resources, or the scopes of the servers file.

        Where a server does not know the scopes of version 2, those of version 1 are asked for.
        Raises `Failed`.
        """
        types = frozenset(types)
        try:
            return self._granted(server, types, found, found.style, deadline)
        except NoOwnToken as error:
            if error.reason != "invalid_scope" or server.scopes or found.style == "v1":
                raise
        return self._granted(server, types, found, "v1", deadline)

    def _granted(
        self,
        server: Server,
        types: frozenset[str],
        found: Configuration,
        style: Style,
        deadline: Deadline,
    ) -> Grant:
        asked = server.scopes or scopes_for(types, style)
        now = self.clock()
        call = Call(
            url=found.token_endpoint,
            headers=_HEADERS,
            most_bytes=_MOST_BYTES,
            form={
                "grant_type": "client_credentials",
                "scope": " ".join(asked),
                "client_assertion_type": _ASSERTION_TYPE,
                "client_assertion": self._assertion(server, found.token_endpoint, now),
            },
        )
        answer = _sent(self.transport(server.reach), call, deadline, "unanswered")
        grant = _grant(_token_of(answer), asked, now, style)
        # What was left out is refused query by query; a token for nothing would be of no use.
        if len(missing(asked, grant.scopes)) == len(asked):
            raise NoOwnToken("fewer-scopes", "fewer-scopes")
        return grant

    def _assertion(self, server: Server, audience: str, now: datetime) -> str:
        """Who the service is, for one request ("Authenticating to the Token Endpoint")."""
        keys = self.keys()
        key = keys.signing(server.algorithm, now)
        if key is None:
            raise NoOwnToken("no-key" if keys.keys else "no-keys")
        claims = {
            "iss": server.client_id,
            "sub": server.client_id,
            "aud": audience,
            "exp": int((now + ASSERTION_LIFE).timestamp()),
            "jti": token_urlsafe(32),
        }
        return key.signed(claims)


def _checked(said: Mapping[str, Any], server: Server) -> Configuration:
    """What the document says, if the service can have a token by it; raises `NoOwnToken`.

    What a server leaves out is not held against it.
    """
    endpoint = said.get("token_endpoint")
    if not isinstance(endpoint, str) or not endpoint:
        raise NoOwnToken("no-endpoint")
    is_safe = urlsplit(endpoint).scheme == "https" or is_this_machine(endpoint)
    if why_not(endpoint, server.reach) is not None or not is_safe:
        raise NoOwnToken("endpoint-closed", "not-allowed")
    methods = said.get("token_endpoint_auth_methods_supported")
    if isinstance(methods, list) and "private_key_jwt" not in methods:
        raise NoOwnToken("no-method")
    algorithms = said.get("token_endpoint_auth_signing_alg_values_supported")
    if isinstance(algorithms, list) and server.algorithm not in algorithms:
        raise NoOwnToken("no-algorithm")
    can = said.get("capabilities")
    only_v1 = isinstance(can, list) and "permission-v1" in can and "permission-v2" not in can
    return Configuration(token_endpoint=endpoint, style="v1" if only_v1 else "v2")


def _token_of(answer: Answer) -> Mapping[str, Any]:
    """The members of a token response; raises `NoOwnToken` for every other answer."""
    said = _object(answer)
    if 200 <= answer.status < 300:
        if said is None:
            raise NoOwnToken("no-token")
        return said
    if 300 <= answer.status < 400:
        raise NoOwnToken("redirected")
    code = said.get("error") if said is not None else None
    if isinstance(code, str) and code in _OAUTH_ERRORS:
        raise NoOwnToken(code)
    raise NoOwnToken("failed" if answer.status >= 500 else "refused")


_OAUTH_ERRORS: Final = frozenset(name for name in REASONS if "_" in name)  # RFC 6749, section 5.2


def _grant(said: Mapping[str, Any], asked: tuple[str, ...], now: datetime, style: Style) -> Grant:
    """The token that was sent (RFC 6749, section 5.1); raises `NoOwnToken`."""
    token, kind, scope = said.get("access_token"), said.get("token_type"), said.get("scope")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise NoOwnToken("no-token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise NoOwnToken("not-bearer")
    # Scopes that are not named are those that were asked for.
    granted = scope.split() if isinstance(scope, str) else asked
    return Grant(
        token=token,
        asked=asked,
        scopes=frozenset(granted),
        asked_at=now,
        life=_life(said.get("expires_in")),
        style=style,
    )


def _life(expires_in: object) -> timedelta:
    """How long a token lives from when it was asked for."""
    if isinstance(expires_in, str) and re.fullmatch(r"[0-9]{1,9}", expires_in):
        expires_in = int(expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return USUAL_LIFE
    longest = LONGEST_LIFE.total_seconds()
    return timedelta(seconds=min(max(expires_in, 0), longest))


def _sent(transport: Transport, call: Call, deadline: Deadline, reason: str) -> Answer:
    try:
        return transport.send(call, deadline)
    except Closed:
        raise NoOwnToken("endpoint-closed", "not-allowed") from None
    except TooLate:
        raise Failed("late") from None
    except Unanswered:
        raise NoOwnToken(reason) from None


def _object(answer: Answer) -> Mapping[str, Any] | None:
    try:
        found = decode(answer.body)
    except (DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None
