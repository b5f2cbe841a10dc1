# SPDX-License-Identifier: Apache-2.0
"""The body of a request: refused by type and length before it is read, then read once."""

from functools import lru_cache

from flask import Request
from werkzeug.http import parse_options_header

from cds_service.errors import (
    Busy,
    CdsServiceError,
    PayloadTooLarge,
    RequestError,
    TooSlow,
    UnsupportedMediaType,
)
from cds_service.fhir.depth import is_deeper
from cds_service.web.server.request_parts import REFUSED, Refusal


def is_shed(request: Request) -> bool:
    """Whether the request is one more than the process takes in."""
    return request.environ.get(REFUSED) == "overloaded"


def refuse_unread(request: Request) -> None:
    """Raise the refusal of a request whose body the bridge did not read to its end."""
    refused: Refusal | None = request.environ.get(REFUSED)
    if refused is not None:
        raise refusal_of(refused)


def refusal_of(refused: Refusal) -> CdsServiceError:
    """The error that a body which was not read to its end is answered with."""
    match refused:
        case "overloaded":
            return Busy("Too many requests are in progress; send it again later.")
        case "too-slow":
            return TooSlow("The body did not arrive in time.")
        case "too-long":
            return PayloadTooLarge("The body is longer than this service reads.")
        case "cut-off":
            return RequestError("The body ended before the length that its head gives.", None)


def read_body(request: Request, most_bytes: int, most_levels: int) -> bytes:
    """The bytes of a JSON body.

    Raises `UnsupportedMediaType` or `PayloadTooLarge`, both before anything is read where the
    headers tell. A body in chunks, which has no length in advance, is read no further than the
    limit. How deep it is nested is looked at before anything decodes it.
    """
    check_type(request.content_type, request.headers.get("Content-Encoding"))
    body = taken(request, most_bytes)
    check_depth(body, most_levels)
    return body


def check_depth(body: bytes, most_levels: int) -> None:
    """Raise `PayloadTooLarge` if the JSON is nested deeper."""
    if is_deeper(body, most_levels):
        raise PayloadTooLarge(f"Expected JSON of at most {most_levels} levels.")


def read_any(request: Request, most_bytes: int) -> bytes:
    """The bytes of a body of any type, which may be empty; raises as `read_body` does."""
    _check_coding(request.headers.get("Content-Encoding"))
    return taken(request, most_bytes)


def taken(request: Request, most_bytes: int) -> bytes:
    """The bytes of a body; raises `PayloadTooLarge`."""
    length = request.content_length
    if length is not None and length > most_bytes:
        raise _too_long(most_bytes)
    if length is None or request.environ.get("wsgi.input_terminated"):
        body: bytes = request.stream.read(most_bytes + 1)
        if len(body) > most_bytes:
            raise _too_long(most_bytes)
        return body
    # One read of the known length: werkzeug's own stream copies in chunks.
    raw: bytes = request.environ["wsgi.input"].read(length)
    return raw


def check_type(content_type: str | None, coding: str | None) -> None:
    """Raise `UnsupportedMediaType` unless the headers promise plain JSON.

    A missing type is refused too: a web page can send such a body without asking (CORS).
    """
    if not _is_json(content_type or ""):
        raise UnsupportedMediaType("Expected Content-Type: application/json.")
    _check_coding(coding)


@lru_cache(maxsize=256)  # clients send the same header again and again
def _is_json(content_type: str) -> bool:
    kind = parse_options_header(content_type)[0].lower()
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def _check_coding(coding: str | None) -> None:
    if coding is not None and coding.strip().lower() not in {"", "identity"}:
        # A small compressed body can unfold to any size; no EHR is known to compress.
        raise UnsupportedMediaType("Expected a body that is not compressed.")


def _too_long(most_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is longer than {most_bytes} bytes.")
