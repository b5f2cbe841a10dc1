# SPDX-License-Identifier: Apache-2.0
"""Answers that are remembered by the text that was sent, in memories of bounded size."""

from collections.abc import Callable
from functools import wraps
from typing import Any, AnyStr, Final, TypeVar

_Answer = TypeVar("_Answer")
_UNKNOWN: Final[Any] = object()
_MOST: Final = 4096  # answers; a laboratory has some hundred codes, and as many ranges and units

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedMemory(dict[Key, Value]):
    """At most so many answers; when it is full, it begins anew.

    To know which of them was asked for last costs more than to answer a few again.

    The caller sees to it that its key is short and is no element about a patient.
    """

    def keep(self, key: Key, value: Value, most: int = _MOST) -> Value:
        """Remember the answer, and give it back."""
        if len(self) >= most:
            self.clear()
        self[key] = value
        return value


def remember_short(
    *, longest: int, most: int, without: tuple[AnyStr, ...] = ()
) -> Callable[[Callable[[AnyStr], _Answer]], Callable[[AnyStr], _Answer]]:
    """Remember the answers to at most so many texts, each of at most `longest` signs or bytes.

    A longer text is answered anew each time, for a memory of such would have no bound in bytes; so
    is one that has any of `without` in it, which may be about a patient.

    >>> @remember_short(longest=3, most=2)
    ... def upper(text: str) -> str:
    ...     print("read", text)
    ...     return text.upper()
    >>> upper("a"), upper("a"), upper("long")
    read a
    read long
    ('A', 'A', 'LONG')
    """

    def decorate(function: Callable[[AnyStr], _Answer]) -> Callable[[AnyStr], _Answer]:
        known: BoundedMemory[AnyStr, Any] = BoundedMemory()

        @wraps(function)
        def answer(text: AnyStr) -> _Answer:
            remembered: _Answer = known.get(text, _UNKNOWN)
            if remembered is not _UNKNOWN:
                return remembered
            made = function(text)
            if len(text) <= longest and not any(part in text for part in without):
                known.keep(text, made, most)
            return made

        return answer

    return decorate
