# SPDX-License-Identifier: Apache-2.0
"""What a notification proves its origin by: the path of its endpoint, a secret, an HMAC key.

Of a secret only the SHA-256 is kept: it is random and long, so no salt is needed. An HMAC key must
be known to check a signature, so it is kept encrypted (AES-256-GCM) under a key that is derived
from the setting CDS_SUBSCRIPTION_KEY, and bound to the path of its Subscription.
"""

from base64 import urlsafe_b64encode
from hashlib import sha256
from hmac import compare_digest
from secrets import token_bytes, token_urlsafe
from typing import Final

_PATH_BYTES: Final = 24  # 192 bits; at least 128 cannot be guessed
_SECRET_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # NIST SP 800-38D, 5.2.1.1
_USE: Final = b"cds-service subscription hmac keys v1"


class SealedKeyError(Exception):
    """An HMAC key cannot be opened: CDS_SUBSCRIPTION_KEY is another than when it was kept."""


def new_path() -> str:
    """The unguessable end of an endpoint."""
    return token_urlsafe(_PATH_BYTES)


def new_secret() -> str:
    """A bearer secret, or an HMAC key; it is shown once, to the FHIR server."""
    return urlsafe_b64encode(token_bytes(_SECRET_BYTES)).decode().rstrip("=")


def hashed(secret: str) -> bytes:
    """The SHA-256 of a secret, which is all that is kept of it."""
    return sha256(secret.encode()).digest()


def is_secret(secret: str, *kept: bytes | None) -> bool:
    """Whether the secret is one of those that are kept, in constant time."""
    found = hashed(secret)
    matches = [compare_digest(found, digest) for digest in kept if digest is not None]
    return any(matches)


def seal(key: str, path: str, setting: str) -> bytes:
    """An HMAC key of the Subscription at this path, encrypted under the setting."""
    nonce = token_bytes(_NONCE_BYTES)
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return nonce + AESGCM(_derived(setting)).encrypt(nonce, key.encode(), path.encode())


def unseal(sealed: bytes, path: str, setting: str) -> str:
    """The HMAC key again; raises `SealedKeyError`."""
    nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(_derived(setting)).decrypt(nonce, rest, path.encode()).decode()
    except (InvalidTag, ValueError):
        raise SealedKeyError("CDS_SUBSCRIPTION_KEY does not open the HMAC key") from None


def _derived(setting: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_USE).derive(setting.encode())
