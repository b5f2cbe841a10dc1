# SPDX-License-Identifier: Apache-2.0
"""The body of a request: refused by type and length before it is read, then read once."""

import re

from flask import Request

from cds_service.errors import Busy, PayloadTooLarge, TooSlow, UnsupportedMediaType
from cds_service.fhir.depth import is_deeper
from cds_service.web.server.rsgi import REFUSED

# RFC 6838, section 4.2: the signs that a subtype may have
_JSON = re.compile(r"application/([a-z0-9!#$&^_.-]+\+)?json")


def is_shed(request: Request) -> bool:
    """Whether the request is one more than the process takes in."""
    return request.environ.get(REFUSED) == "overloaded"


def refuse_unread(request: Request) -> None:
    """Raise the refusal of a request whose body the bridge did not read to its end."""
    match request.environ.get(REFUSED):
        case "overloaded":
            raise Busy("Too many requests are in progress; send it again later.")
        case "too-slow":
            raise TooSlow("The body did not arrive in time.")
        case "too-long":
            raise PayloadTooLarge("The body is longer than this service reads.")


def read_body(request: Request, most_bytes: int, most_levels: int) -> bytes:
    """The bytes of a JSON body.

    Raises `UnsupportedMediaType` or `PayloadTooLarge`, both before anything is read where the
    headers tell. A body in chunks, which has no length in advance, is read no further than the
    limit. How deep it is nested is looked at before anything decodes it.
    """
    check_type(request)
    body = _taken(request, most_bytes)
    if is_deeper(body, most_levels):
        raise PayloadTooLarge(f"Expected JSON of at most {most_levels} levels.")
    return body


def read_any(request: Request, most_bytes: int) -> bytes:
    """The bytes of a body of any type, which may be empty; raises as `read_body` does."""
    _check_coding(request)
    return _taken(request, most_bytes)


def _taken(request: Request, most_bytes: int) -> bytes:
    length = request.content_length
    if length is not None and length > most_bytes:
        raise _too_long(most_bytes)
    if length is None or request.environ.get("wsgi.input_terminated"):
        body: bytes = request.stream.read(most_bytes + 1)
        if len(body) > most_bytes:
            raise _too_long(most_bytes)
        return body
    # One read of the known length: werkzeug's own stream copies in chunks (docs/performance.md).
    raw: bytes = request.environ["wsgi.input"].read(length)
    return raw


def check_type(request: Request) -> None:
    """Raise `UnsupportedMediaType` unless the headers promise plain JSON.

    A missing type is refused too: a web page can send such a body without asking (CORS).
    """
    kind = request.mimetype
    if not (
        kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    ):
        raise UnsupportedMediaType("Expected Content-Type: application/json.")
    _check_coding(request)


def _check_coding(request: Request) -> None:
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        # A small compressed body can unfold to any size; no EHR is known to compress.
        raise UnsupportedMediaType("Expected a body that is not compressed.")


def _too_long(most_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is longer than {most_bytes} bytes.")
