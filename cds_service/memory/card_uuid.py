# SPDX-License-Identifier: Apache-2.0
"""The uuid of a card, which says what the card was about: no row has to be kept for each card.

RFC 9562, section 5.8 (version 8); the fields are those of the RFC:

    custom_a  48 bits  the subject: a keyed hash of whom and what the card is about
    version    4 bits  8
    custom_b  12 bits  the rule and its version: one of those known, or the seal does not fit
    variant    2 bits  10
    custom_c   2 bits  the indicator
              24 bits  the call: two views give two uuids, a call that is repeated gives the same
              36 bits  the seal: a keyed hash of all that, of the client and of the rule in full

Feedback that comes back is attributed by the seal. Another client's uuid, one that was changed and
one that somebody else made fit no seal, but for one in 2^36.
"""

import hmac
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from uuid import RFC_4122, UUID

from msgspec.json import encode

from cds_service.knowledge.model.pack import INDICATORS
from cds_service.store.store import SUBJECT_BYTES, CardOrigin, RuleVersion

_VERSION = 8
_SEAL_BITS = 36
_CALL_BYTES = 3


class CardUuids:
    """Makes the uuids of cards and reads them.

    `key` seals them; `is_keyed` says whether subjects are keyed hashes, so that they may be kept.
    """

    def __init__(self, key: bytes, *, is_keyed: bool) -> None:
        self._key = key
        self._is_keyed = is_keyed

    def make(self, origin: CardOrigin, client: str, call_id: str) -> UUID:
        """The uuid of a card of this call."""
        subject, indicator = origin.subject, INDICATORS.index(origin.indicator)
        call = int.from_bytes(sha256(call_id.encode()).digest()[:_CALL_BYTES])
        about = (indicator << 24) | call
        seal = self._seal(client, origin.rule, subject, about)
        return _uuid8(int.from_bytes(subject), _code(origin.rule), (about << _SEAL_BITS) | seal)

    def read(self, card: str, client: str, rules: Iterable[RuleVersion]) -> CardOrigin | None:
        """What a card of the client was about; `None` if no rule among these fits its seal."""
        try:
            uuid = UUID(card)
        except ValueError:
            return None
        if uuid.variant != RFC_4122 or uuid.version != _VERSION:
            return None
        subject = uuid.bytes[:SUBJECT_BYTES]
        code = (uuid.int >> 64) & 0xFFF
        last = uuid.int & ((1 << 62) - 1)
        about, seal = last >> _SEAL_BITS, last & ((1 << _SEAL_BITS) - 1)
        indicator = about >> 24
        if indicator >= len(INDICATORS):
            return None
        for rule in rules:
            if _code(rule) == code and self._seal(client, rule, subject, about) == seal:
                known = subject if self._is_keyed else b""
                return CardOrigin(rule=rule, indicator=INDICATORS[indicator], subject=known)
        return None

    def _seal(self, client: str, rule: RuleVersion, subject: bytes, about: int) -> int:
        sealed = encode((client, rule, subject, about))
        return int.from_bytes(hmac.digest(self._key, sealed, "sha256")[:5]) >> (40 - _SEAL_BITS)


@lru_cache(maxsize=10_000)
def _code(rule: RuleVersion) -> int:
    """12 bits that stand for a rule and its version; several may share them."""
    return int.from_bytes(sha256(encode(rule)).digest()[:2]) >> 4


def _uuid8(custom_a: int, custom_b: int, custom_c: int) -> UUID:
    return UUID(int=custom_a << 80 | _VERSION << 76 | custom_b << 64 | 0b10 << 62 | custom_c)
