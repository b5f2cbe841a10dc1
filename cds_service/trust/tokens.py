# SPDX-License-Identifier: Apache-2.0
"""A JSON Web Token taken apart, strictly: one spelling, no member twice, nothing trusted yet.

RFC 7515 (JWS compact serialization), RFC 7519 (JWT).
"""

import binascii
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

LONGEST: Final = 8192  # characters; a signed token with the claims of CDS Hooks has under 2,000

_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")


class NotAToken(ValueError):
    """The text is no signed token; says why, without the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The parts of a token. No representation shows them."""

    header: Mapping[str, Any] = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def take_apart(text: str) -> Token:
    """The token; raises `NotAToken`."""
    if len(text) > LONGEST:
        raise NotAToken(f"it is longer than {LONGEST} characters")
    form = _FORM.fullmatch(text)
    if form is None:
        raise NotAToken("it has not the form header.claims.signature, each in base64url")
    header, claims, signature = form.groups()
    return Token(
        header=_object(header, "the header"),
        claims=_object(claims, "the claims"),
        signed=f"{header}.{claims}".encode(),
        signature=_bytes(signature, "the signature"),
    )


def _bytes(text: str, what: str) -> bytes:
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise NotAToken(f"{what} is not base64url") from None
    # Bits that say nothing must be zero (RFC 4648, section 3.5): one token has one spelling.
    if urlsafe_b64encode(data).rstrip(b"=") != text.encode():
        raise NotAToken(f"{what} is not base64url as it is written once and for all")
    return data


def _object(text: str, what: str) -> dict[str, Any]:
    data = _bytes(text, what)
    try:
        found = json.loads(data.decode(), object_pairs_hook=_members, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise NotAToken(f"{what} is not JSON whose members stand once") from None
    if not isinstance(found, dict):
        raise NotAToken(f"{what} is no JSON object")
    return found


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 7515, section 4: names stand once; what two readers could read two ways is refused."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_constant(_name: str) -> None:
    raise ValueError
