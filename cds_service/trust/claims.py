# SPDX-License-Identifier: Apache-2.0
"""The claims of a token against what is registered and the time.

CDS Hooks 2.0.1, "JSON Web Token (JWT)": `iss`, `aud`, `exp`, `iat` and `jti` are required, `tenant`
is optional. `nbf` counts where it is sent, as Epic does; `sub` and all others are not read.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from cds_service.trust.clients import SERVICE_URL, URL_CALLED, Client

Reason: TypeAlias = Literal[
    "no-token", "malformed", "header", "algorithm", "issuer-unknown", "jku", "key-unknown",
    "key-ambiguous", "key-unfit", "keys-unavailable", "signature", "claim-missing", "audience",
    "expired", "too-long", "issued-in-future", "issued-long-ago", "not-yet", "tenant", "replayed",
]  # fmt: skip

SKEW: Final = timedelta(seconds=60)  # how far two clocks may differ

# RFC 7519, section 2, NumericDate; within what a calendar holds.
_LAST: Final = datetime(9999, 12, 1, tzinfo=UTC).timestamp()
_Seconds: TypeAlias = Annotated[float, Meta(ge=0, lt=_LAST)]


class Claims(Struct, frozen=True, kw_only=True):
    """The claims that count, each of its type; `msgspec.convert` reads them."""

    aud: str | list[str]
    exp: _Seconds
    iat: _Seconds
    jti: Annotated[str, Meta(min_length=1)]
    nbf: _Seconds = 0
    tenant: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLimits:
    """What time allows: `longest` from now to the end of a token, unless its client has its own."""

    longest: timedelta = timedelta(minutes=5)
    skew: timedelta = SKEW
    development: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTarget:
    """The URL of a request, as clients know it, and that of the service it belongs to."""

    url: str
    service_url: str


def request_target(url: str) -> RequestTarget:
    """The URL, and the service that it calls or gives feedback to.

    >>> request_target("https://cds.example.org/cds-services/liver/feedback").service_url
    'https://cds.example.org/cds-services/liver'
    """
    return RequestTarget(url=url, service_url=url.removesuffix("/").removesuffix("/feedback"))


def claim_faults(
    claims: Claims, client: Client, target: RequestTarget, now: datetime, limits: TokenLimits
) -> Iterator[tuple[Reason, str]]:
    """Everything that keeps these claims from being accepted, in words for the administrator."""
    yield from _audience(claims.aud, client, target)
    longest = limits.longest if client.longest_token is None else client.longest_token
    yield from _times(claims, now.timestamp(), longest.total_seconds(), limits.skew.total_seconds())
    if client.tenants and claims.tenant not in client.tenants:
        yield "tenant", f"tenant must be one of {_listed(client.tenants)}"


def _audience(
    audience: str | list[str], client: Client, target: RequestTarget
) -> Iterator[tuple[Reason, str]]:
    urls = {URL_CALLED: target.url, SERVICE_URL: target.service_url}
    expected = {urls.get(name, name) for name in client.audiences}
    named = {audience} if isinstance(audience, str) else set(audience)
    if not expected & named:
        wanted = " or ".join(f"'{name}'" for name in sorted(expected))
        yield "audience", f"aud must hold {wanted}, and holds {_listed(named)}"


def _times(claims: Claims, now: float, longest: float, skew: float) -> Iterator[tuple[Reason, str]]:
    ends, issued, begins = claims.exp, claims.iat, claims.nbf
    if ends <= now - skew:  # RFC 7519, section 4.1.4: on or after this time it does not count
        yield "expired", f"it ended {now - ends:.0f} seconds ago (exp)"
    if ends > now + longest + skew:
        yield "too-long", f"it ends {ends - now:.0f} seconds from now (exp); {longest:.0f} is most"
    if issued > now + skew:
        yield "issued-in-future", f"it was made {issued - now:.0f} seconds from now (iat)"
    if issued < now - longest - skew:
        yield "issued-long-ago", f"it was made {now - issued:.0f} seconds ago (iat)"
    if begins > now + skew:
        yield "not-yet", f"it begins {begins - now:.0f} seconds from now (nbf)"


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(f"'{text}'" for text in sorted(texts)) or "nothing"
