# SPDX-License-Identifier: Apache-2.0
"""The answer to a CDS Hooks call, as it goes out.

CDS Hooks 2.0.1, "CDS Service Response". Members without a value are left out: nothing is ever
null, and no text, list or object is empty but `cards` itself ("Null and empty").
"""

from msgspec import Struct
from msgspec.json import Encoder

from cds_service.render.card import Card, Extension

# Names are in reverse-domain style so that they clash with no one else's ("Extensions").
EXPLANATION_EXTENSION = "org.cds-service.explanation"
REQUEST_EXTENSION = "org.cds-service.request"


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A part of a message; a member that has its default is not written."""


class HookResponse(Message, frozen=True, kw_only=True):
    """Every card of one call; no guidance is an empty list."""

    cards: tuple[Card, ...]
    extension: Extension | None = None


_ENCODER = Encoder()


def write_response(response: HookResponse) -> bytes:
    """The response as JSON."""
    return _ENCODER.encode(response)
