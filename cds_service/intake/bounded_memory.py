# SPDX-License-Identifier: Apache-2.0
"""A bounded cache of answers, keyed by the text that was sent."""

from typing import TypeVar

_MOST = 4096  # answers; a laboratory has some hundred codes, and as many ranges and units

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedMemory(dict[Key, Value]):
    """At most so many answers; when it is full, it begins anew.

    The caller sees to it that its key is short and is no element about a patient.
    """

    def keep(self, key: Key, value: Value) -> Value:
        """Remember the answer, and give it back."""
        if len(self) >= _MOST:
            self.clear()
        self[key] = value
        return value
