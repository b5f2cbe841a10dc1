# SPDX-License-Identifier: Apache-2.0
"""Access tokens of the service's own (SMART App Launch 2.2, "Backend Services").

The FHIR server names its token endpoint. The service authenticates with a JWT that it signs for
this one request, and asks for no more scopes than the queries need. An error contains nothing that
another server sent.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Final, TypeAlias, get_args
from urllib.parse import urlsplit

from msgspec import DecodeError
from msgspec.json import decode

from cds_service.clock import Clock, Deadline
from cds_service.fhir_client.failures import QueryError
from cds_service.fhir_client.servers import Server
from cds_service.outgoing.address_policy import (
    AddressNotAllowed,
    AddressPolicy,
    is_this_machine,
    url_problem,
)
from cds_service.outgoing.messages import (
    DeadlineExceeded,
    HttpRequest,
    HttpResponse,
    TransportError,
)
from cds_service.smart.failures import OAuthError, TokenError, TokenFailure
from cds_service.smart.scopes import Style, missing, scopes_for
from cds_service.smart.signing_keys import SigningKeys

if TYPE_CHECKING:
    from cds_service.outgoing.transport import Transport

Transports: TypeAlias = Callable[[AddressPolicy], "Transport"]

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
    """What the service uses of a server's SMART configuration."""

    token_endpoint: str
    style: Style


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """An access token of the service; `scopes` are those granted of those `asked` for."""

    value: str = field(repr=False)
    asked: tuple[str, ...]
    scopes: frozenset[str]
    asked_at: datetime
    life: timedelta
    style: Style

    def is_fresh(self, now: datetime) -> bool:
        """Whether it is too early for the next: a fifth of its life remains, at most 30 seconds."""
        return now < self.asked_at + self.life - min(self.life / 5, timedelta(seconds=30))

    def is_valid(self, now: datetime) -> bool:
        """Whether it can still be used."""
        return now < self.asked_at + self.life


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenService:
    """Requests tokens; keeps no state."""

    keys: Callable[[], SigningKeys]
    transport: Transports
    clock: Clock

    def configuration(self, server: Server, deadline: Deadline) -> Configuration:
        """The checked `.well-known/smart-configuration` of a server; raises `QueryError`."""
        url = f"{server.base}/.well-known/smart-configuration"
        request = HttpRequest(url=url, headers=_HEADERS, most_bytes=_MOST_BYTES)
        response = _sent(self.transport(server.policy), request, deadline, "no-discovery")
        document = _object(response) if 200 <= response.status < 300 else None
        if document is None:
            raise TokenError("no-discovery")
        return _checked(document, server)

    def request_token(
        self, server: Server, types: Iterable[str], configuration: Configuration, deadline: Deadline
    ) -> AccessToken:
        """A token for these types of resources, or the scopes of the servers file.

        Where a server does not know the scopes of version 2, those of version 1 are asked for.
        Raises `QueryError`.
        """
        types = frozenset(types)
        try:
            return self._requested(server, types, configuration, configuration.style, deadline)
        except TokenError as error:
            if error.reason != "invalid_scope" or server.scopes or configuration.style == "v1":
                raise
        return self._requested(server, types, configuration, "v1", deadline)

    def _requested(
        self,
        server: Server,
        types: frozenset[str],
        configuration: Configuration,
        style: Style,
        deadline: Deadline,
    ) -> AccessToken:
        asked = server.scopes or scopes_for(types, style)
        now = self.clock()
        request = HttpRequest(
            url=configuration.token_endpoint,
            headers=_HEADERS,
            most_bytes=_MOST_BYTES,
            form={
                "grant_type": "client_credentials",
                "scope": " ".join(asked),
                "client_assertion_type": _ASSERTION_TYPE,
                "client_assertion": self._assertion(server, configuration.token_endpoint, now),
            },
        )
        response = _sent(self.transport(server.policy), request, deadline, "unanswered")
        token = _access_token(_token_of(response), asked, now, style)
        # A scope that was not granted is refused query by query; a token without any is of no use.
        if len(missing(asked, token.scopes)) == len(asked):
            raise TokenError("fewer-scopes", "fewer-scopes")
        return token

    def _assertion(self, server: Server, audience: str, now: datetime) -> str:
        """The client assertion of one request ("Authenticating to the Token Endpoint")."""
        keys = self.keys()
        key = keys.signing(server.algorithm, now)
        if key is None:
            raise TokenError("no-key" if keys.keys else "no-keys")
        claims = {
            "iss": server.client_id,
            "sub": server.client_id,
            "aud": audience,
            "exp": int((now + ASSERTION_LIFE).timestamp()),
            "jti": token_urlsafe(32),
        }
        return key.signed(claims)


def _checked(document: Mapping[str, Any], server: Server) -> Configuration:
    """The configuration, if the service can request a token with it; raises `TokenError`.

    Members that a server leaves out are not required.
    """
    endpoint = document.get("token_endpoint")
    if not isinstance(endpoint, str) or not endpoint:
        raise TokenError("no-endpoint")
    is_safe = urlsplit(endpoint).scheme == "https" or is_this_machine(endpoint)
    if url_problem(endpoint, server.policy) is not None or not is_safe:
        raise TokenError("endpoint-closed", "not-allowed")
    methods = document.get("token_endpoint_auth_methods_supported")
    if isinstance(methods, list) and "private_key_jwt" not in methods:
        raise TokenError("no-method")
    algorithms = document.get("token_endpoint_auth_signing_alg_values_supported")
    if isinstance(algorithms, list) and server.algorithm not in algorithms:
        raise TokenError("no-algorithm")
    capabilities = document.get("capabilities")
    only_v1 = (
        isinstance(capabilities, list)
        and "permission-v1" in capabilities
        and "permission-v2" not in capabilities
    )
    return Configuration(token_endpoint=endpoint, style="v1" if only_v1 else "v2")


def _token_of(response: HttpResponse) -> Mapping[str, Any]:
    """The members of a token response; raises `TokenError` for every other response."""
    document = _object(response)
    if 200 <= response.status < 300:
        if document is None:
            raise TokenError("no-token")
        return document
    if 300 <= response.status < 400:
        raise TokenError("redirected")
    code = None if document is None else document.get("error")
    for error in get_args(OAuthError):
        if code == error:
            raise TokenError(error)
    raise TokenError("failed" if response.status >= 500 else "refused")


def _access_token(
    document: Mapping[str, Any], asked: tuple[str, ...], now: datetime, style: Style
) -> AccessToken:
    """The token of a response (RFC 6749, section 5.1); raises `TokenError`."""
    token, kind = document.get("access_token"), document.get("token_type")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise TokenError("no-token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenError("not-bearer")
    # Scopes that are not named are those that were asked for.
    scope = document.get("scope")
    granted = scope.split() if isinstance(scope, str) else asked
    return AccessToken(
        value=token,
        asked=asked,
        scopes=frozenset(granted),
        asked_at=now,
        life=_life(document.get("expires_in")),
        style=style,
    )


def _life(expires_in: object) -> timedelta:
    """The life of a token, counted from its request."""
    if isinstance(expires_in, str) and re.fullmatch(r"[0-9]{1,9}", expires_in):
        expires_in = int(expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return USUAL_LIFE
    longest = LONGEST_LIFE.total_seconds()
    return timedelta(seconds=min(max(expires_in, 0), longest))


def _sent(
    transport: "Transport", request: HttpRequest, deadline: Deadline, reason: TokenFailure
) -> HttpResponse:
    try:
        return transport.send(request, deadline)
    except AddressNotAllowed:
        raise TokenError("endpoint-closed", "not-allowed") from None
    except DeadlineExceeded:
        raise QueryError("late") from None
    except TransportError:
        raise TokenError(reason) from None


def _object(response: HttpResponse) -> Mapping[str, Any] | None:
    try:
        document = decode(response.body)
    except (DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return document if isinstance(document, dict) else None
