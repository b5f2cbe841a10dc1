# SPDX-License-Identifier: Apache-2.0
"""Whether two names, or two numbers, can be those of one patient."""

import re
from typing import Final

from cds_service.plain_words import plain_words
from cds_service.reports.vocabulary import Words

_END: Final = re.compile(r"[\d(*\n]")  # of a name


def is_one_name(name: str, other: str) -> bool:
    """Whether the words of the shorter name, or their first letters, are in the other one.

    What says no name is no other name.

    >>> is_one_name("Anna Maria Muster", "MUSTER, A.")
    True
    >>> is_one_name("Anna Muster", "Hans Muster")
    False
    """
    shorter, longer = sorted((_words(name), _words(other)), key=len)
    return all(any(_is_word(word, known) for known in longer) for word in shorter)


def is_one_number(number: str, other: str) -> bool:
    """Whether two numbers of a patient differ in nothing but blanks and signs.

    >>> is_one_number("47-11", "4711")
    True
    """
    return "".join(plain_words(number)) == "".join(plain_words(other))


def _words(name: str) -> Words:
    return plain_words(_END.split(name, maxsplit=1)[0])


def _is_word(word: str, other: str) -> bool:
    shorter, longer = sorted((word, other), key=len)
    return longer.startswith(shorter) if len(shorter) == 1 else shorter == longer
