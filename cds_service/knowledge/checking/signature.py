# SPDX-License-Identifier: Apache-2.0
"""What a clinician signs: one hash over what the pack's lock records of it now, and its words.

A number, a condition, an order, a word of a card or an override reason may not change under a
signature. `SIGNED` and `NOT_SIGNED` say of every part of a pack which it is;
`docs/how-to/sign-a-pack.md` says the same.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from cds_service.knowledge.checking.lock import lock_of, meaning_hash
from cds_service.knowledge.model.pack import Pack

# Parts that the lock does not record, or not whole: they decide little, but people read them.
_WORDS = ("title", "usage", "services", "patterns", "override_reasons", "messages", "titles")
SIGNED: Final[Mapping[str, str]] = {
    "id": "the id of the pack",
    "version": "its version",
    "title": "its title",
    "usage": "what it is for",
    "rules": "rules",
    "patterns": "patterns",
    "facts": "facts",
    "markers": "markers",
    "measures": "measures",
    "orders": "orders",
    "order_groups": "order groups",
    "precedence": "precedence",
    "scope": "scope",
    "cards": "the limit of cards",
    "services": "services",
    "remarks": "remarks",
    "override_reasons": "override reasons",
    "messages": "the sentences that all cards share",
    "titles": "titles in other languages",
}
"""The parts of a pack that are signed, in words; what follows from them is signed with them."""
NOT_SIGNED: Final[Mapping[str, str]] = {
    "sources": "sources",
    "history": "history",
    "explainers": "explainers",
    "examples": "examples",
    "notices": "notices",
    "publisher": "publisher",
    "url": "address",
    "units": "spellings of units",
    "unit_pieces": "spellings of units",
    "marker_codes": "",  # from markers
    "names": "",  # from markers
    "signature": "",
    "site": "",  # of a site file, that comes later
}


def signature_hash(pack: Pack) -> str:
    """A hash of the versions and meanings of the rules, of what they share and of its words."""
    lock = lock_of(pack)
    words = {part: getattr(pack, part) for part in _WORDS}
    return meaning_hash({"id": pack.id, "pack": lock.pack, "rules": lock.rules, "words": words})


def with_signature_checked(pack: Pack) -> Pack:
    """The pack with a signature that says whether it still holds."""
    signed = pack.signature
    if signed is None:
        return pack
    return replace(pack, signature=replace(signed, holds=signed.lock == signature_hash(pack)))
