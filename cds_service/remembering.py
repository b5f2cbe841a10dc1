# SPDX-License-Identifier: Apache-2.0
"""Answers that are remembered by the text that was sent, if it is short."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import AnyStr, TypeVar

_Answer = TypeVar("_Answer")


def remember_short(
    *, longest: int, most: int, without: tuple[AnyStr, ...] = ()
) -> Callable[[Callable[[AnyStr], _Answer]], Callable[[AnyStr], _Answer]]:
    """Remember the answers to the last `most` texts, each of at most `longest` signs or bytes.

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
        known = lru_cache(maxsize=most)(function)

        @wraps(function)
        def answer(text: AnyStr) -> _Answer:
            return known(text) if len(text) <= longest else function(text)

        @wraps(function)
        def answer_without(text: AnyStr) -> _Answer:
            for part in without:
                if part in text:
                    return function(text)
            return answer(text)

        return answer_without if without else answer

    return decorate
