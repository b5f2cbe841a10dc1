# SPDX-License-Identifier: Apache-2.0
"""What stands for a patient in what is written: a keyed hash, or the id if it was asked for."""

import hmac
from hashlib import sha256
from secrets import token_hex
from typing import Final

_LENGTH: Final = 32  # hexadecimal digits: 128 bits, so that no two patients share one


def new_key() -> str:
    """A key that nobody can guess."""
    return token_hex(32)


def name_of(patient: str, key: str | None) -> str:
    """The keyed hash of a patient's id; without a key the id itself.

    >>> name_of("p1", None), len(name_of("p1", "key")), name_of("p1", "key") == name_of("p2", "key")
    ('p1', 32, False)
    """
    if key is None:
        return patient
    return hmac.new(key.encode(), patient.encode(), sha256).hexdigest()[:_LENGTH]
