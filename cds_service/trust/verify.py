# SPDX-License-Identifier: Apache-2.0
"""Whether a request comes from a registered client: its token, verified in one fixed order.

CDS Hooks 2.0.1, "Trusting CDS Clients". Nothing is fetched before issuer, algorithm and key URL
were found in the registrations, and no token is remembered as used before everything else held.
A `Fault` is for the administrator; the caller only learns that the token was refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol, TypeAlias

from msgspec import ValidationError, convert

from cds_service.trust.claims import Claims, Reason, RequestTarget, TokenLimits, claim_faults
from cds_service.trust.clients import Client, Registrations
from cds_service.trust.compromised_keys import COMPROMISED_THUMBPRINTS
from cds_service.trust.jwk import FITS, Key, read_key
from cds_service.trust.keysets import KeysUnavailable
from cds_service.trust.tokens import MalformedToken, Token, parse_jws
from cds_service.trust.used_tokens import ReplayStore

Verdict: TypeAlias = "Accepted | Fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a token is refused; `others` are further faults of its claims.

    A `message` may quote the token: it is shown to the administrator only. `client` is the one
    that the token names as its issuer, if that one is registered.
    """

    reason: Reason
    message: str
    client: Client | None = None
    others: tuple[tuple[Reason, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The client that made the request."""

    client: Client


class FindKeys(Protocol):
    """Where keys are fetched: `KeySets`."""

    def find(self, url: str, kid: str, now: datetime, *, private: bool) -> tuple[Key, ...]:
        """The keys of this name at the URL; raises `KeysUnavailable`."""


class _Refused(Exception):
    """Ends the checks."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Verifies tokens; `replay` is `None` only where no request is let in (`clients check`)."""

    keys: FindKeys
    replay: ReplayStore | None
    limits: TokenLimits

    def __post_init__(self) -> None:
        """Make the key that stands in for one that is not known, before a call needs it."""
        _stand_in()

    def verify(
        self, text: str, target: RequestTarget, registered: Registrations, now: datetime
    ) -> Verdict:
        """The client that sent the token, or why it is refused; raises what `replay` raises."""
        try:
            token = parse_jws(text)
        except MalformedToken as error:
            return Fault(reason="malformed", message=str(error))
        client: Client | None = None
        try:
            client = issuer_of(token, registered)
            key = self._key(token, client, now)
        except _Refused as refused:
            # About as much work as a signature, so that time does not tell who is registered.
            key, token_of_nobody = _stand_in()
            key.has_signed(token_of_nobody, "ES384")
            return Fault(reason=refused.reason, message=refused.message, client=client)
        if not key.has_signed(token, token.header["alg"]):
            message = f"the signature was not made with the key '{key.kid}' of the client"
            return Fault(reason="signature", message=message, client=client)
        return self._verify_claims(token, client, target, now)

    def _key(self, token: Token, client: Client, now: datetime) -> Key:
        """The one key that may have signed the token; raises `_Refused`."""
        algorithm, kid, url = _checked_header(token.header, client)
        if client.keys:
            named = tuple(key for key in client.keys if key.kid == kid)
        else:
            named = self._fetched(url, kid, client, now)
        if not named:
            raise _Refused("key-unknown", f"the client has no key named '{kid}'")
        if len(named) > 1:
            raise _Refused("key-ambiguous", f"several keys of the client are named '{kid}'")
        (key,) = named
        if not key.fits(algorithm):
            raise _Refused("key-unfit", f"the key '{kid}' is none for {algorithm}")
        if key.thumbprint in COMPROMISED_THUMBPRINTS and not self.limits.development:
            raise _Refused("key-unfit", f"anyone can sign with the key '{kid}': it was published")
        return key

    def _fetched(self, url: str | None, kid: str, client: Client, now: datetime) -> tuple[Key, ...]:
        if url is None:
            raise _Refused("jku", "the header has no jku, and the client's keys are found by it")
        try:
            return self.keys.find(url, kid, now, private=client.private_network)
        except KeysUnavailable as error:
            raise _Refused("keys-unavailable", f"{url}: {error}") from None

    def _verify_claims(
        self, token: Token, client: Client, target: RequestTarget, now: datetime
    ) -> Verdict:
        try:
            claims = convert(token.claims, Claims)
        except ValidationError as error:
            return Fault(reason="claim-missing", message=str(error), client=client)
        faults = list(claim_faults(claims, client, target, now, self.limits))
        if faults:
            (reason, message), *others = faults
            return Fault(reason=reason, message=message, client=client, others=tuple(others))
        return self._first_use(claims, client, now)

    def _first_use(self, claims: Claims, client: Client, now: datetime) -> Verdict:
        # Rounded up: a token is remembered for as long as its time would let it in.
        until = datetime.fromtimestamp(int(claims.exp) + 1, UTC) + self.limits.skew
        if self.replay is not None and not self.replay.first_use(
            client.issuer, claims.jti, until=until, now=now
        ):
            return Fault(reason="replayed", message="its jti was used before", client=client)
        return Accepted(client=client)


def issuer_of(token: Token, registered: Registrations) -> Client:
    """The client that the token names as its issuer; raises `_Refused`."""
    issuer = token.claims.get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise _Refused("claim-missing", "iss is missing")
    client = registered.by_issuer.get(issuer)
    if client is None:
        raise _Refused("issuer-unknown", f"no client has the issuer '{issuer}'")
    return client


def _checked_header(header: Mapping[str, Any], client: Client) -> tuple[str, str, str | None]:
    """Algorithm, key name and the URL of the keys if they are fetched; raises `_Refused`.

    `jwk`, `x5u`, `x5c` and any other member that could bring a key along is not read.
    """
    if "crit" in header:  # RFC 7515, section 4.1.11: none of these extensions is known here
        raise _Refused("header", "crit names what must be understood, and nothing is")
    if header.get("b64", True) is not True:  # RFC 7797: another text would be what was signed
        raise _Refused("header", "b64 counts only where crit names it")
    kind, algorithm, kid = (header.get(name) for name in ("typ", "alg", "kid"))
    if not isinstance(kind, str) or kind.upper() != "JWT":  # media types ignore case (RFC 7519)
        raise _Refused("header", "typ must be JWT")
    if not isinstance(algorithm, str) or algorithm not in client.algorithms:
        listed = ", ".join(client.algorithms)
        raise _Refused("algorithm", f"alg must be one of {listed}, and is '{algorithm}'")
    if algorithm not in FITS:  # whatever a registration says: none of these is symmetric or none
        raise _Refused("algorithm", f"alg '{algorithm}' is never accepted")
    if not isinstance(kid, str) or not kid:
        raise _Refused("header", "kid is missing")
    jku = header.get("jku")
    if jku is None:
        return algorithm, kid, client.jwks_url
    if not isinstance(jku, str) or jku not in {*client.jku, client.jwks_url}:
        raise _Refused("jku", f"jku is none of those registered for the client: '{jku}'")
    return algorithm, kid, jku


@cache
def _stand_in() -> tuple[Key, Token]:
    """A key of no client, and a token signed with it."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
    from jwt import encode
    from jwt.algorithms import ECAlgorithm

    private = generate_private_key(SECP384R1())
    public = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    return read_key({**public, "kid": "nobody"}), parse_jws(encode({}, private, "ES384"))
