# SPDX-License-Identifier: Apache-2.0
"""Public keys: JSON Web Key -> `Key`, and signatures verified with one.

RFC 7517 and 7518, read and computed by PyJWT. A key is taken only if it can sign for exactly the
algorithms listed here: no symmetric key, no private key, no key whose `use` or `key_ops` is for
something else (decision record 0010 says what PyJWT leaves to us).
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from cds_service.trust.tokens import Token

if TYPE_CHECKING:
    from jwt import PyJWS

# Algorithm -> the type and curve of its key (RFC 7518, section 3.1; RFC 8037, section 3.1).
FITS: Final[Mapping[str, tuple[str, str]]] = {
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
    "PS256": ("RSA", ""),
    "PS384": ("RSA", ""),
    "PS512": ("RSA", ""),
    "RS256": ("RSA", ""),
    "RS384": ("RSA", ""),
    "RS512": ("RSA", ""),
}
MOST_KEYS: Final = 100  # of one set that was fetched

_TYPES: Final = ("EC", "OKP", "RSA")
_SMALLEST_RSA, _LARGEST_RSA = 2048, 8192  # bits; RFC 7518, section 3.3, and an end to the work


class UnusableKey(ValueError):
    """A JSON Web Key that verifies no signature here; says why, without the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A public key.

    `members` are the members that make the key (RFC 7638, section 3.2), each in its one spelling;
    `thumbprint` is computed from them, so the same key has the same thumbprint everywhere.
    """

    kid: str
    kind: str
    curve: str
    algorithm: str | None
    thumbprint: str
    members: Mapping[str, str] = field(repr=False, compare=False)
    public: Any = field(repr=False, compare=False)

    def fits(self, algorithm: str) -> bool:
        """Whether the key is one for this algorithm."""
        if self.algorithm is not None and self.algorithm != algorithm:
            return False
        return FITS.get(algorithm) == (self.kind, self.curve)

    def has_signed(self, token: Token, algorithm: str) -> bool:
        """Whether the token was signed with this key and algorithm.

        False too if the key is none for the algorithm, or the token names another algorithm.
        """
        from jwt import PyJWTError

        if not self.fits(algorithm) or token.header.get("alg") != algorithm:
            return False
        try:
            verifier = _jws().get_algorithm_by_name(algorithm)
            key = verifier.prepare_key(self.public)
            if verifier.check_key_length(key) is not None:
                return False
            return verifier.verify(token.signed, key, token.signature)
        except PyJWTError:
            return False


@cache
def _jws() -> "PyJWS":
    from jwt import PyJWS  # which brings cryptography: without clients nothing needs it

    return PyJWS(algorithms=list(FITS))


def read_key(jwk: Mapping[str, object]) -> Key:
    """The key; raises `UnusableKey`."""
    kind = jwk.get("kty")
    if kind not in _TYPES:
        raise UnusableKey("kty must be EC, RSA or OKP")
    if any(name in jwk for name in ("d", "k", "p", "q")):
        raise UnusableKey("it holds private parts; only public keys belong here")
    kid, algorithm = jwk.get("kid"), jwk.get("alg")
    if not isinstance(kid, str) or not kid:
        raise UnusableKey("kid is missing, and a token names its key by it")
    if jwk.get("use", "sig") != "sig":
        raise UnusableKey("use is not sig")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKey("key_ops does not hold verify")
    if algorithm is not None and (not isinstance(algorithm, str) or algorithm not in FITS):
        raise UnusableKey(f"alg must be one of {', '.join(FITS)}")
    public, members = _public(jwk)
    return Key(
        kid=kid,
        kind=members["kty"],
        curve=members.get("crv", ""),
        algorithm=algorithm,
        thumbprint=_thumbprint(members),
        members=members,
        public=public,
    )


def read_key_set(text: bytes) -> tuple[Key, ...]:
    """The keys of a JSON Web Key Set that can be used; the others are left out (RFC 7517, 5).

    Raises `UnusableKey` if the text is no set.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise UnusableKey("it is not JSON") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise UnusableKey("it is no JSON Web Key Set: an object with the member keys")
    if len(entries) > MOST_KEYS:
        raise UnusableKey(f"it holds more than {MOST_KEYS} keys")
    keys = []
    for entry in entries:
        try:
            keys.append(read_key(entry))
        except (UnusableKey, AttributeError):
            continue
    return tuple(keys)


def _public(jwk: Mapping[str, object]) -> tuple[Any, dict[str, str]]:
    """The key for `cryptography`, and the members that make it."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from jwt import PyJWK, PyJWTError

    # Without alg: which algorithms a key is for is ours to say, and one RSA key fits several.
    described = {name: value for name, value in jwk.items() if name != "alg"}
    try:
        parsed = PyJWK(described)
        members: dict[str, Any] = parsed.Algorithm.to_jwk(parsed.key, as_dict=True)
    except (PyJWTError, UnsupportedAlgorithm):
        raise UnusableKey("it is no key of its type and curve") from None
    members.pop("key_ops", None)
    if members["kty"] == "RSA" and not _SMALLEST_RSA <= parsed.key.key_size <= _LARGEST_RSA:
        raise UnusableKey(f"an RSA key has {_SMALLEST_RSA} to {_LARGEST_RSA} bits")
    return parsed.key, members


def _thumbprint(members: Mapping[str, str]) -> str:
    """RFC 7638, section 3."""
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
