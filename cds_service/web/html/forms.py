# SPDX-License-Identifier: Apache-2.0
"""Forms of our own pages: read in memory within a limit, and never taken from another site.

A form may hold data of a patient: no part of it is written to a disk, and none stands in a URL.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Final
from urllib.parse import urlsplit

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from cds_service.errors import Forbidden, PayloadTooLarge, RequestError, UnsupportedMediaType

_FORMS: Final = frozenset(("multipart/form-data", "application/x-www-form-urlencoded"))
_MOST_PARTS: Final = 40
# What a browser says of a request of our own page, and of an address that was typed.
_OF_US: Final = frozenset(("same-origin", "none"))


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, and the bytes of its files; an absent field is empty."""

    fields: Mapping[str, str]
    files: Mapping[str, bytes]

    def field(self, name: str) -> str:
        """The text of a field without blanks around it."""
        return self.fields.get(name, "").strip()


def refuse_cross_site(request: Request) -> None:
    """Raise `Forbidden` for a form that a page of another site sends.

    Every browser of today says so itself (Fetch Metadata); an older one names the origin. What is
    no browser sends neither, and nobody is signed in whose rights could be used.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        ours = site in _OF_US
    else:
        ours = origin is None or _host_in(origin) == request.host.lower()
    if not ours:
        raise Forbidden("This form is taken from the page of this service only.")


def read_form(request: Request, most_bytes: int, *, most_parts: int = _MOST_PARTS) -> Form:
    """The form that was sent; raises `UnsupportedMediaType`, `PayloadTooLarge`, `RequestError`."""
    if request.mimetype not in _FORMS:
        raise UnsupportedMediaType("Expected a form.")
    request.max_content_length = most_bytes
    parser = FormDataParser(
        stream_factory=_in_memory,
        max_form_memory_size=most_bytes,
        max_content_length=most_bytes,
        max_form_parts=most_parts,
        silent=False,
    )
    try:
        _, fields, files = parser.parse(
            request.stream, request.mimetype, request.content_length, request.mimetype_params
        )
        held = {name: file.stream.read() for name, file in files.items()}
    except RequestEntityTooLarge:
        raise PayloadTooLarge(f"The form is longer than {most_bytes} bytes.") from None
    except ValueError:
        raise RequestError("This is no form that can be read.") from None
    if None in (*fields, *held):  # werkzeug's name of a part whose name it cannot read
        raise RequestError("Expected a name for each part of the form.")
    return Form(fields=fields.to_dict(), files=held)


def _in_memory(
    total_content_length: int | None,  # noqa: ARG001 - the signature is werkzeug's
    content_type: str | None,  # noqa: ARG001
    filename: str | None,  # noqa: ARG001
    content_length: int | None = None,  # noqa: ARG001
) -> IO[bytes]:
    return BytesIO()


def _host_in(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
