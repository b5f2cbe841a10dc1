# SPDX-License-Identifier: Apache-2.0
"""Key sets over the network: from where the registrations say, and never more than a little."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from cds_service.clock import Deadline
from cds_service.outgoing.address_policy import AddressNotAllowed, AddressPolicy

MOST_BYTES: Final = 256 * 1024  # a key is about one kilobyte
MOST_SECONDS: Final = 5.0


class FetchError(Exception):
    """A key set could not be had; says why, for the administrator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A document and what was said about keeping it."""

    body: bytes
    cache_control: str


class Fetch(Protocol):
    """How a document is had: `fetch`, or something else in a test."""

    def __call__(self, url: str, policy: AddressPolicy) -> Fetched:
        """The document at the URL; raises `FetchError`."""


def fetch(url: str, policy: AddressPolicy) -> Fetched:
    """The document at the URL; raises `FetchError`."""
    from cds_service.outgoing.transport import (
        HttpRequest,
        Transport,
        TransportError,
    )  # it imports requests

    headers = {"Accept": "application/json", "Connection": "close"}
    call = HttpRequest(url=url, headers=headers, most_bytes=MOST_BYTES, allow_compression=False)
    try:
        answer = Transport(policy).send(call, Deadline(MOST_SECONDS))
    except (AddressNotAllowed, TransportError) as error:
        raise FetchError(str(error)) from None
    if answer.status != HTTPStatus.OK:  # a redirect as well: it is not followed
        raise FetchError(f"the answer was {answer.status}, not 200")
    return Fetched(body=answer.body, cache_control=answer.headers.get("Cache-Control", ""))
