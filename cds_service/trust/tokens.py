# SPDX-License-Identifier: Apache-2.0
"""A JSON Web Token -> its header and claims, before a key is known; nothing is verified yet.

RFC 7515 (JWS compact serialization), RFC 7519 (JWT). Strict: one spelling, no padding, no member
twice, no NaN. Nothing else reads a token: its signature is verified over the very text that was
read here (`Key.has_signed`).
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


class MalformedToken(ValueError):
    """The text is no signed token; says why, without the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token that is not verified; `signed` is what its signature is of. No `repr` shows it."""

    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    header: Mapping[str, Any] = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)


def parse_jws(text: str) -> Token:
    """The token; raises `MalformedToken`."""
    if len(text) > LONGEST:
        raise MalformedToken(f"it is longer than {LONGEST} characters")
    form = _FORM.fullmatch(text)
    if form is None:
        raise MalformedToken("it has not the form header.claims.signature, each in base64url")
    header = _object(_decoded(form[1], "the header"), "the header")
    claims = _object(_decoded(form[2], "the claims"), "the claims")
    signature = _decoded(form[3], "the signature")
    signed = text[: form.end(2)].encode()
    return Token(signed=signed, signature=signature, header=header, claims=claims)


def _decoded(segment: str, name: str) -> bytes:
    try:
        data = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        data = b""
    # Bits that say nothing must be zero (RFC 4648, section 3.5): one token has one spelling.
    if urlsafe_b64encode(data).rstrip(b"=") != segment.encode():
        raise MalformedToken(f"{name} is not base64url in its one spelling")
    return data


def _object(data: bytes, name: str) -> dict[str, Any]:
    try:
        value = _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        raise MalformedToken(f"{name} is not JSON with each member once") from None
    if not isinstance(value, dict):
        raise MalformedToken(f"{name} is no JSON object")
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 7515, section 4: two parsers may read a repeated member differently."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _no_constant(_name: str) -> None:
    """NaN and Infinity are not JSON (RFC 8259, section 6), though Python reads them."""
    raise ValueError


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_no_constant)
