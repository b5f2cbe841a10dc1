# SPDX-License-Identifier: Apache-2.0
"""Fetch a key set from a registered URL, within bounds of size and time."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from cds_service.clock import Deadline
from cds_service.outgoing.address_policy import AddressNotAllowed, AddressPolicy
from cds_service.outgoing.messages import HttpRequest, TransportError

MOST_BYTES: Final = 256 * 1024  # a key is about one kilobyte
MOST_SECONDS: Final = 5.0


class FetchError(Exception):
    """A key set could not be fetched; the text says why, for the administrator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JwksResponse:
    """The body of a response, and its Cache-Control header (empty if it has none)."""

    body: bytes
    cache_control: str


class Fetch(Protocol):
    """How a key set is fetched: `fetch`, or a stand-in in a test."""

    def __call__(self, url: str, policy: AddressPolicy) -> JwksResponse:
        """The response with status 200; raises `FetchError`."""


def fetch(url: str, policy: AddressPolicy) -> JwksResponse:
    """The response with status 200; raises `FetchError` for any other, and for none in time.

    Redirects are not followed. The address is vetted by `policy` before a connection is made.
    """
    from cds_service.outgoing.transport import Transport  # it imports requests

    headers = {"Accept": "application/json", "Connection": "close"}
    call = HttpRequest(url=url, headers=headers, most_bytes=MOST_BYTES, allow_compression=False)
    try:
        answer = Transport(policy).send(call, Deadline(MOST_SECONDS))
    except (AddressNotAllowed, TransportError) as error:
        raise FetchError(str(error)) from None
    if answer.status != HTTPStatus.OK:  # a redirect as well: it is not followed
        raise FetchError(f"the answer was {answer.status}, not 200")
    return JwksResponse(body=answer.body, cache_control=answer.headers.get("Cache-Control", ""))
