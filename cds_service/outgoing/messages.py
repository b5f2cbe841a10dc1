# SPDX-License-Identifier: Apache-2.0
"""What is asked of another server and what comes back, or why nothing does.

Apart from the transport, which imports `requests`: a service that asks no other server does
without that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


class TransportError(Exception):
    """There is no whole response; the text holds nothing that was received or sent."""


class DeadlineExceeded(TransportError):
    """The deadline passed before the whole response arrived."""


class PermanentTransportError(TransportError):
    """Repeating the request cannot help: a certificate is refused, or it cannot be sent."""


class UntrustedCertificate(PermanentTransportError):
    """The server's certificate is of an authority that is not trusted here, or of another name."""


class ResponseTooLarge(TransportError):
    """The response is longer than the request allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A GET request, a POST of a `form`, or a `method` with a `body`.

    At most `most_bytes` of the response are read, counted after decompression.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    most_bytes: int
    form: Mapping[str, str] | None = field(default=None, repr=False)
    method: Literal["GET", "POST", "PUT", "DELETE"] | None = None
    body: bytes | None = field(default=None, repr=False)
    allow_compression: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A whole response of any status; header names are case-insensitive."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
