# SPDX-License-Identifier: Apache-2.0
"""A number with the noun that it counts."""


def counted(count: int, one: str, more: str = "") -> str:
    """How many there are, in words that agree; `more` is the plural where it is not `one` + s.

    >>> counted(1, "line"), counted(1200, "line"), counted(2, "has", "have")
    ('1 line', '1,200 lines', '2 have')
    """
    return f"{count:,} {one if count == 1 else more or one + 's'}"
