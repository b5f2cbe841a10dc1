# SPDX-License-Identifier: Apache-2.0
"""Public keys: JSON Web Key -> `Key`, and signatures checked with one.

RFC 7517 and 7518. A key is taken only if it can sign for exactly the algorithms listed here: no
symmetric key, no private key, no key whose `use` or `key_ops` is for something else.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from jwt.algorithms import (
    Algorithm,
    ECAlgorithm,
    OKPAlgorithm,
    RSAAlgorithm,
    get_default_algorithms,
)
from jwt.exceptions import InvalidKeyError

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

_SMALLEST_RSA, _LARGEST_RSA = 2048, 8192  # bits; RFC 7518, section 3.3, and an end to the work
# The members that make a key what it is (RFC 7638, section 3.2)
_MADE_OF = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("e", "n")}
_READERS: dict[str, type[ECAlgorithm | OKPAlgorithm | RSAAlgorithm]] = {
    "EC": ECAlgorithm,
    "OKP": OKPAlgorithm,
    "RSA": RSAAlgorithm,
}
_ALGORITHMS: dict[str, Algorithm] = {
    name: algorithm for name, algorithm in get_default_algorithms().items() if name in FITS
}


class UnusableKey(ValueError):
    """A JSON Web Key that signs nothing here; says why, without the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A public key. `thumbprint` is that of RFC 7638: the same key has the same everywhere."""

    kid: str
    kind: str
    curve: str
    algorithm: str | None
    thumbprint: str
    public: Any = field(repr=False, compare=False)

    def fits(self, algorithm: str) -> bool:
        """Whether the key is one for this algorithm."""
        if self.algorithm is not None and self.algorithm != algorithm:
            return False
        return FITS.get(algorithm) == (self.kind, self.curve)

    def signed(self, algorithm: str, text: bytes, signature: bytes) -> bool:
        """Whether the signature over the text was made with this key; only for a fitting one."""
        return self.fits(algorithm) and _ALGORITHMS[algorithm].verify(text, self.public, signature)


def read_key(jwk: Mapping[str, object]) -> Key:
    """The key; raises `UnusableKey`."""
    kind = jwk.get("kty")
    if not isinstance(kind, str) or kind not in _MADE_OF:
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
    made_of = {name: jwk.get(name) for name in _MADE_OF[kind]}
    if not all(isinstance(value, str) and value.isascii() for value in made_of.values()):
        raise UnusableKey(f"{', '.join(made_of)} must be texts")
    public = _public(kind, made_of)
    return Key(
        kid=kid,
        kind=kind,
        curve=str(jwk["crv"]) if "crv" in made_of else "",
        algorithm=algorithm,
        thumbprint=_thumbprint(kind, public),
        public=public,
    )


def read_key_set(text: bytes) -> tuple[Key, ...]:
    """The keys of a JSON Web Key Set that can be used; the others are left out (RFC 7517, 5).

    Raises `UnusableKey` if the text is no set.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise UnusableKey("it is not JSON") from None
    entries = found.get("keys") if isinstance(found, dict) else None
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


def _public(kind: str, made_of: Mapping[str, object]) -> Any:
    try:
        public: Any = _READERS[kind].from_jwk({"kty": kind, **made_of})
    except (InvalidKeyError, ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey("it is no key of its type and curve") from None
    if kind == "RSA" and not _SMALLEST_RSA <= public.key_size <= _LARGEST_RSA:
        raise UnusableKey(f"an RSA key has {_SMALLEST_RSA} to {_LARGEST_RSA} bits")
    return public


def _thumbprint(kind: str, public: Any) -> str:
    """RFC 7638 over the members as the key itself gives them, however its JWK spells them."""
    members = _READERS[kind].to_jwk(public, as_dict=True)
    made_of = {name: members[name] for name in ("kty", *_MADE_OF[kind])}
    text = json.dumps(made_of, sort_keys=True, separators=(",", ":"))
    return urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
