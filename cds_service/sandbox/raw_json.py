# SPDX-License-Identifier: Apache-2.0
"""JSON that is handed on as it came: numbers keep every digit, and nothing is judged."""

from decimal import Decimal
from typing import Any, TypeAlias

from msgspec import DecodeError
from msgspec.json import Decoder, Encoder, format  # noqa: A004 - the name is msgspec's

from cds_service.errors import RequestError

# Any as in JSON: what comes from elsewhere has whatever shape it has.
Json: TypeAlias = dict[str, Any]

_DECODER: Decoder[Any] = Decoder(float_hook=Decimal)
_ENCODER = Encoder(decimal_format="number")


def decoded(data: bytes | str) -> Any:
    """The value that the JSON is; raises `RequestError`."""
    try:
        return _DECODER.decode(data)
    except (DecodeError, RecursionError):
        raise RequestError("Expected valid JSON.") from None


def encoded(value: object) -> bytes:
    """The value as JSON."""
    return _ENCODER.encode(value)


def pretty(data: bytes) -> str:
    """The JSON in lines that people can read; what is no JSON stays as it is."""
    try:
        return format(data, indent=2).decode()
    except (DecodeError, RecursionError):
        return data.decode(errors="replace")


def items(value: object) -> list[Any]:
    """The elements of an array; a single one that was sent without its array is one."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def resource_in(value: object) -> Json | None:
    """The value if it is a resource."""
    if isinstance(value, dict) and isinstance(value.get("resourceType"), str):
        return value
    return None
