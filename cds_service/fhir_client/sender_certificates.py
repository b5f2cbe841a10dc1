# SPDX-License-Identifier: Apache-2.0
"""The certificates by which senders of messages are known: by a fingerprint or a subject."""

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:  # 8 MB, and a service to which nobody sends messages needs none of it
    from cryptography.x509 import Name

_FINGERPRINT: Final = re.compile(r"(?:[0-9A-F]{2}:?){32}", re.IGNORECASE)

SenderCertificate: TypeAlias = "str | Name"
"""The SHA-256 of a certificate in hexadecimal digits, or its subject."""


def read_sender_certificate(text: str) -> "SenderCertificate | None":
    """A fingerprint (SHA-256) or a subject (RFC 4514) as a person writes it, `None` if neither.

    >>> read_sender_certificate(":".join(["AB"] * 32)) == "ab" * 32
    True
    >>> read_sender_certificate("CN=lab.example.org,O=Hospital")
    <Name(CN=lab.example.org,O=Hospital)>
    >>> read_sender_certificate("lab.example.org")
    """
    if _FINGERPRINT.fullmatch(text):
        return text.replace(":", "").lower()
    from cryptography.x509 import Name

    try:
        return Name.from_rfc4514_string(text) if text else None
    except ValueError:
        return None


def is_certificate_of(certificate: bytes, sender: SenderCertificate) -> bool:
    """Whether a certificate (DER) is the one that is known so."""
    if isinstance(sender, str):
        return sha256(certificate).hexdigest() == sender
    from cryptography.x509 import load_der_x509_certificate

    try:
        return load_der_x509_certificate(certificate).subject == sender
    except ValueError:  # TLS took it, and it cannot be read here
        return False
