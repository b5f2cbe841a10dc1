# SPDX-License-Identifier: Apache-2.0
"""The claims of a token against what is registered and the time.

CDS Hooks 2.0.1, "JSON Web Token (JWT)": `iss`, `aud`, `exp`, `iat` and `jti` are required, `tenant`
is optional. `nbf` counts where it is sent, as Epic does; `sub` and all others are not read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, Final, Literal, TypeAlias

from cds_service.trust.clients import SERVICE_URL, URL_CALLED, Client

Reason: TypeAlias = Literal[
    "no-token", "malformed", "header", "algorithm", "issuer-unknown", "jku", "key-unknown",
    "key-ambiguous", "key-unfit", "keys-unavailable", "signature", "claim-missing", "audience",
    "expired", "too-long", "issued-in-future", "issued-long-ago", "not-yet", "tenant", "replayed",
]  # fmt: skip

SKEW: Final = timedelta(seconds=60)  # how far two clocks may differ

_LAST = datetime(9999, 12, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What time allows: `longest` from now to the end of a token."""

    longest: timedelta = timedelta(minutes=5)
    skew: timedelta = SKEW
    development: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """The address that was called, as clients know it, and that of the service it belongs to."""

    url: str
    service_url: str


def called_at(url: str) -> Called:
    """The address, and the service that it calls or gives feedback to."""
    return Called(url=url, service_url=url.removesuffix("/").removesuffix("/feedback"))


def claim_faults(
    claims: Mapping[str, Any], client: Client, called: Called, now: datetime, limits: Limits
) -> Iterator[tuple[Reason, str]]:
    """Everything that keeps these claims from being accepted, in words for the administrator."""
    missing = list(_missing(claims))
    for name, expected in missing:
        yield "claim-missing", f"{name} must be {expected}"
    if missing:
        return
    yield from _audience(claims["aud"], client, called)
    yield from _times(claims, now.timestamp(), limits)
    if client.tenants and claims.get("tenant") not in client.tenants:
        yield "tenant", f"tenant must be one of {_listed(client.tenants)}"


def _missing(claims: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    audience = claims.get("aud")
    several = isinstance(audience, list) and all(isinstance(one, str) for one in audience)
    if not several and not isinstance(audience, str):
        yield "aud", "a text or a list of texts"
    for name in ("exp", "iat", "nbf"):
        if not _is_time(claims.get(name)) and (name != "nbf" or name in claims):
            yield name, "a time in seconds"
    if not isinstance(claims.get("jti"), str) or not claims["jti"]:
        yield "jti", "a text"
    if not isinstance(claims.get("tenant", ""), str):
        yield "tenant", "a text"


def _is_time(value: object) -> bool:
    """RFC 7519, section 2, NumericDate; within what a calendar holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < _LAST and isfinite(value)


def _audience(
    audience: str | list[str], client: Client, called: Called
) -> Iterator[tuple[Reason, str]]:
    words = {URL_CALLED: called.url, SERVICE_URL: called.service_url}
    expected = {words.get(one, one) for one in client.audiences}
    named = {audience} if isinstance(audience, str) else set(audience)
    if not expected & named:
        wanted = " or ".join(f"'{one}'" for one in sorted(expected))
        yield "audience", f"aud must hold {wanted}, and holds {_listed(named)}"


def _times(claims: Mapping[str, Any], now: float, limits: Limits) -> Iterator[tuple[Reason, str]]:
    skew = limits.skew.total_seconds()
    longest = limits.longest.total_seconds()
    ends, issued = claims["exp"], claims["iat"]
    if ends <= now - skew:  # RFC 7519, section 4.1.4: on or after this time it does not count
        yield "expired", f"it ended {now - ends:.0f} seconds ago (exp)"
    if ends > now + longest + skew:
        yield "too-long", f"it ends {ends - now:.0f} seconds from now (exp); {longest:.0f} is most"
    if issued > now + skew:
        yield "issued-in-future", f"it was made {issued - now:.0f} seconds from now (iat)"
    if issued < now - longest - skew:
        yield "issued-long-ago", f"it was made {now - issued:.0f} seconds ago (iat)"
    if claims.get("nbf", 0) > now + skew:
        yield "not-yet", f"it begins {claims['nbf'] - now:.0f} seconds from now (nbf)"


def _listed(texts: Any) -> str:
    return ", ".join(f"'{text}'" for text in sorted(texts)) or "nothing"
