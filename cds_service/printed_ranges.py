# SPDX-License-Identifier: Apache-2.0
"""Reference ranges as laboratories write them, in a report or in the text of a resource."""

import re
from typing import Final

_AT_MOST: Final = r"up to|bis|jusqu['’]?\s?[àa]|hasta|fino a|até|ate|max\.?"
_BELOW: Final = (
    r"less than|below|under|unter|kleiner(?: als)?|inf[eé]rieure? [àa]|menor (?:de|que|a)|"
    r"inf\. [àa]|inferiore? a|inferior [aà]|moins de|menos de|minore di|meno di"
)
_AT_LEAST: Final = r"from|at least|ab|mind\.?|mindestens|[àa] partir de|desde|da|min\.?"
_ABOVE: Final = (
    r"more than|above|over|greater than|über|größer(?: als)?|sup[eé]rieure? [àa]|"
    r"sup\. [àa]|mayor (?:de|que|a)|superiore? a|superior [aà]|plus de|m[áa]s de|maggiore di|"
    r"maior (?:que|de)|mais de"
)
_SIGNED: Final = tuple(
    (re.compile(rf"(?:{words})\s*(?=\d)", re.IGNORECASE), sign)
    for words, sign in ((_AT_MOST, "<="), (_BELOW, "<"), (_AT_LEAST, ">="), (_ABOVE, ">"))
)
_FROM_TO: Final = re.compile(
    r"(?:von|from|de|da|entre|between|zwischen)?\s*([\d.,]+)\s*"
    r"(?:-|–|—|−|\.\.\.?|to|bis|à|a|ate|até|al|y|et|and|und|;)\s*([\d.,]+)(.*)",
    re.IGNORECASE,
)
_ONE_SIDED: Final = re.compile(r"([<>≤≥⩽⩾=]+\s*[\d.,]+)(.*)")
_BRACKETS: Final = re.compile(r"^[(\[]([^()\[\]]*)[)\]]\s*([^\s()\[\]]+)$")  # and a unit behind

LONGEST: Final = 200
"""No range is as long; some of these patterns take long for a text of many blanks."""


def in_signs(text: str) -> tuple[str, str]:
    """A range without brackets and with signs for words, and what stands behind its numbers.

    Any other text is returned as it is, with nothing behind it.

    >>> in_signs("[de 7 à 40] U/L"), in_signs("bis 40"), in_signs("see report")
    (('7 - 40', 'U/L'), ('<=40', ''), ('see report', ''))
    """
    plain = text.strip()
    if len(plain) > LONGEST:
        return plain, ""
    plain = _BRACKETS.sub(r"\1 \2", plain)
    while plain[:1] + plain[-1:] in {"()", "[]"}:
        plain = plain[1:-1].strip()
    if between := _FROM_TO.fullmatch(plain):
        return f"{between[1]} - {between[2]}", between[3].strip()
    for words, sign in _SIGNED:
        if match := words.match(plain):
            plain = f"{sign}{plain[match.end() :]}"
            break
    one_sided = _ONE_SIDED.fullmatch(plain)
    return (one_sided[1], one_sided[2].strip()) if one_sided else (plain, "")
