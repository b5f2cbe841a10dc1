# SPDX-License-Identifier: Apache-2.0
"""Whether a call comes from a registered client: its token, checked in one fixed order.

CDS Hooks 2.0.1, "Trusting CDS Clients". Nothing is fetched before issuer, algorithm and key URL
were found in the registrations, and no token is remembered as used before everything else held.
A `Fault` is for the administrator; a caller is only ever told no.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeAlias

from cds_service.trust.claims import Called, Limits, Reason, claim_faults
from cds_service.trust.clients import Client, Registrations
from cds_service.trust.jwk import FITS, Key, read_key
from cds_service.trust.keysets import KeysUnavailable
from cds_service.trust.known import KNOWN_TO_ALL
from cds_service.trust.replay import ReplayStore
from cds_service.trust.tokens import NotAToken, Token, take_apart

Verdict: TypeAlias = "Accepted | Fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a token is refused. `said` may quote the token: it is shown to the administrator only.

    `client` is the one that the token says it is from, once that one is known to exist.
    """

    reason: Reason
    said: str
    client: Client | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Whose call it is."""

    client: Client
    tenant: str | None = None


class FindKeys(Protocol):
    """Where keys are fetched: `KeySets`."""

    def find(self, url: str, kid: str, now: datetime, *, private: bool) -> tuple[Key, ...]:
        """The keys of this name at the URL; raises `KeysUnavailable`."""


class _Refused(Exception):
    """Ends the checks."""

    def __init__(self, reason: Reason, said: str) -> None:
        super().__init__(said)
        self.reason: Reason = reason
        self.said = said


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Verifies tokens; `replay` is `None` only where nothing is let in (`clients check`)."""

    keys: FindKeys
    replay: ReplayStore | None
    limits: Limits

    def verify(
        self, text: str, called: Called, registered: Registrations, now: datetime
    ) -> Verdict:
        """Whose call it is, or why nobody's; raises what the replay store raises."""
        try:
            token = take_apart(text)
        except NotAToken as error:
            return Fault(reason="malformed", said=str(error))
        client: Client | None = None
        try:
            client = issuer_of(token, registered)
            key = self._key(token, client, now)
        except _Refused as refused:
            # About as much work as a signature, so that time does not tell who is registered.
            _STAND_IN.signed("ES384", token.signed, token.signature[:96].ljust(96, b"\x01"))
            return Fault(reason=refused.reason, said=refused.said, client=client)
        if not key.signed(token.header["alg"], token.signed, token.signature):
            said = f"the signature was not made with the key '{key.kid}' of the client"
            return Fault(reason="signature", said=said, client=client)
        for reason, said in claim_faults(token.claims, client, called, now, self.limits):
            return Fault(reason=reason, said=said, client=client)
        return self._first_use(token.claims, client, now)

    def _key(self, token: Token, client: Client, now: datetime) -> Key:
        """The one key that may have signed the token; raises `_Refused`."""
        algorithm, kid, url = _checked_header(token.header, client)
        if client.keys:
            found = tuple(key for key in client.keys if key.kid == kid)
        else:
            found = self._fetched(url, kid, client, now)
        if not found:
            raise _Refused("key-unknown", f"the client has no key named '{kid}'")
        if len(found) > 1:
            raise _Refused("key-ambiguous", f"several keys of the client are named '{kid}'")
        if not found[0].fits(algorithm):
            raise _Refused("key-unfit", f"the key '{kid}' is none for {algorithm}")
        if found[0].thumbprint in KNOWN_TO_ALL and not self.limits.development:
            raise _Refused("key-unfit", f"anyone can sign with the key '{kid}': it was published")
        return found[0]

    def _fetched(self, url: str | None, kid: str, client: Client, now: datetime) -> tuple[Key, ...]:
        if url is None:
            raise _Refused("jku", "the header has no jku, and the client's keys are found by it")
        try:
            return self.keys.find(url, kid, now, private=client.private_network)
        except KeysUnavailable as error:
            raise _Refused("keys-unavailable", f"{url}: {error}") from None

    def _first_use(self, claims: Mapping[str, Any], client: Client, now: datetime) -> Verdict:
        # Rounded up: a token is remembered for as long as its time would let it in.
        until = datetime.fromtimestamp(int(claims["exp"]) + 1, UTC) + self.limits.skew
        if self.replay is not None and not self.replay.first_use(
            client.issuer, claims["jti"], until=until, now=now
        ):
            return Fault(reason="replayed", said="its jti was used before", client=client)
        return Accepted(client=client, tenant=claims.get("tenant"))


def issuer_of(token: Token, registered: Registrations) -> Client:
    """The client that the token says it is from; raises `_Refused`."""
    issuer = token.claims.get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise _Refused("claim-missing", "iss is missing")
    client = registered.by_issuer.get(issuer)
    if client is None:
        raise _Refused("issuer-unknown", f"no client has the issuer '{issuer}'")
    return client


def _checked_header(header: Mapping[str, Any], client: Client) -> tuple[str, str, str | None]:
    """Algorithm, key name and the URL of the keys if they are fetched; raises `_Refused`.

    `jwk`, `x5u`, `x5c` and whatever else could bring a key along is not read.
    """
    if "crit" in header:  # RFC 7515, section 4.1.11: none of these extensions is known here
        raise _Refused("header", "crit names what must be understood, and nothing is")
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


def _stand_in() -> Key:
    """A key of nobody."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
    from jwt.algorithms import ECAlgorithm

    public = generate_private_key(SECP384R1()).public_key()
    return read_key({**ECAlgorithm.to_jwk(public, as_dict=True), "kid": "nobody"})


_STAND_IN: Final = _stand_in()
