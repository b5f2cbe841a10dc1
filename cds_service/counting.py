# SPDX-License-Identifier: Apache-2.0
"""A number with the noun that it counts."""


def counted(count: int, singular: str, plural: str = "") -> str:
    """How many there are, in words that agree; `plural` is needed where it is not `singular` + s.

    >>> counted(1, "line"), counted(1200, "line"), counted(2, "has", "have")
    ('1 line', '1,200 lines', '2 have')
    """
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
