# SPDX-License-Identifier: Apache-2.0
"""What a clinician signs: one hash over everything that a pack's lock records of it now.

A text of evidence may be mended without a new signature; a number, a condition, an order or a
word of a card may not.
"""

from dataclasses import replace

from cds_service.knowledge.checking.lock import lock_of, meaning_hash
from cds_service.knowledge.model.pack import Pack


def signature_hash(pack: Pack) -> str:
    """A hash of the versions and meanings of the pack's shared parts and of all its rules."""
    lock = lock_of(pack)
    return meaning_hash({"id": pack.id, "pack": lock.pack, "rules": lock.rules})


def with_signature_checked(pack: Pack) -> Pack:
    """The pack with a signature that says whether it still holds."""
    signed = pack.signature
    if signed is None:
        return pack
    return replace(pack, signature=replace(signed, holds=signed.lock == signature_hash(pack)))
