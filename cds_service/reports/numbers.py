# SPDX-License-Identifier: Apache-2.0
"""Numbers, values and ranges as laboratories print them -> decimal texts with a point.

Whether a comma stands before decimals or between thousands is decided once for a document, from
those of its numbers that can be read in one way only. What stays open is not read: `1,234` is two
different numbers on two sides of a border.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Comparator: TypeAlias = Literal["<", "<=", ">", ">="]
DecimalMark: TypeAlias = Literal[".", ","]

_NUMBER = r"[+-]?\d+(?:[.,]\d+)*"
_NUMBERS = re.compile(rf"(?<![\w.,])(?:{_NUMBER})(?![\w.,]*\d)")
_ONE_MARK = re.compile(r"([+-]?)(\d+)([.,])(\d+)")
# Thousands apart by the same mark twice, or by one mark and decimals by the other.
_GROUPED = re.compile(
    r"[+-]?[1-9]\d{0,2}(?:(?P<many>[.,])\d{3}(?:(?P=many)\d{3})+(?:(?!(?P=many))[.,]\d+)?"
    r"|(?P<one>[.,])\d{3}(?!(?P=one))[.,]\d+)"
)
_MARKS: dict[str, DecimalMark] = {".": ".", ",": ","}
_OTHER: dict[str, DecimalMark] = {".": ",", ",": "."}
_COMPARATORS: dict[str, Comparator] = {
    "<": "<",
    "<=": "<=",
    "=<": "<=",
    "≤": "<=",
    "⩽": "<=",
    ">": ">",
    ">=": ">=",
    "=>": ">=",
    "≥": ">=",
    "⩾": ">=",
}
_COMPARED = "|".join(sorted(_COMPARATORS, key=len, reverse=True))
_VALUE = re.compile(rf"({_COMPARED})?\s*({_NUMBER})(.*)", re.DOTALL)
_BETWEEN = re.compile(rf"({_NUMBER})\s*(?:-|–|—|−|\bto\b|\bbis\b|\ba\b|\bà\b)\s*({_NUMBER})(.*)")
_ONE_SIDED = re.compile(rf"({_COMPARED})\s*({_NUMBER})(.*)")
_BRACKETS = {"(": ")", "[": "]"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedValue:
    """A number with its comparator; `rest` is what was printed after it."""

    number: str
    comparator: Comparator | None = None
    rest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedRange:
    """A range of healthy people; an end that is exclusive does not belong to it."""

    low: str | None = None
    high: str | None = None
    low_is_exclusive: bool = False
    high_is_exclusive: bool = False


class OpenMark(ValueError):
    """Whether a comma or point stands before decimals is open."""


def decimal_mark(texts: Iterable[str]) -> DecimalMark | None:
    """The mark before decimals in a document with these values and ranges, if they show one.

    >>> decimal_mark(["14,2", "1,234"])
    ','
    >>> decimal_mark(["1,234"]) is None
    True
    >>> decimal_mark(["14,2", "0.5"]) is None
    True
    """
    shown = {
        mark
        for text in texts
        for number in _NUMBERS.findall(text)
        if (mark := _certain_mark(number))
    }
    return shown.pop() if len(shown) == 1 else None


def _certain_mark(number: str) -> DecimalMark | None:
    """The decimal mark of a number that can be read in one way only."""
    match = _ONE_MARK.fullmatch(number)
    if match is not None:
        whole, mark, part = match[2], match[3], match[4]
        # One mark before three digits is the one as often as the other.
        may_be_grouped = len(part) == 3 and whole[0] != "0" and len(whole) <= 3
        return None if may_be_grouped else _MARKS[mark]
    grouped = _GROUPED.fullmatch(number)
    return _OTHER[grouped["many"] or grouped["one"]] if grouped else None


def read_number(text: str, mark: DecimalMark | None) -> str:
    """The number as decimal text with a point; raises `OpenMark` if that is not certain.

    >>> read_number("0,45", ",")
    '0.45'
    >>> read_number("1.234.567,8", None)
    '1234567.8'
    """
    plain = text.removeprefix("+")
    if plain.removeprefix("-").isdigit():
        return plain
    shown = _certain_mark(plain)
    if shown is None and _ONE_MARK.fullmatch(plain) and mark is not None and mark in plain:
        shown = mark
    if shown is None or mark not in {None, shown}:
        raise OpenMark
    return plain.replace(_OTHER[shown], "").replace(shown, ".")


def read_value(text: str, mark: DecimalMark | None) -> PrintedValue | None:
    """The value at the beginning of a text, `None` if there stands no number.

    >>> read_value("<= 0,2 *", ",")
    PrintedValue(number='0.2', comparator='<=', rest='*')

    Raises `OpenMark`.
    """
    match = _VALUE.fullmatch(text.strip())
    if match is None:
        return None
    comparator = _COMPARATORS[match[1]] if match[1] else None
    return PrintedValue(
        number=read_number(match[2], mark), comparator=comparator, rest=match[3].strip()
    )


def read_range(text: str, mark: DecimalMark | None) -> PrintedRange | None:
    """The range that the text is, `None` if it is anything else; a unit may follow it.

    >>> read_range("7-40", None)
    PrintedRange(low='7', high='40', low_is_exclusive=False, high_is_exclusive=False)
    >>> read_range("> 5", None)
    PrintedRange(low='5', high=None, low_is_exclusive=True, high_is_exclusive=False)
    """
    plain = text.strip()
    if plain[:1] in _BRACKETS and plain.endswith(_BRACKETS[plain[0]]):
        plain = plain[1:-1].strip()
    try:
        return _between(plain, mark) or _one_sided(plain, mark)
    except OpenMark:
        return None


def _between(text: str, mark: DecimalMark | None) -> PrintedRange | None:
    match = _BETWEEN.fullmatch(text)
    if match is None or not _is_unit_at_most(match[3]):
        return None
    return PrintedRange(low=read_number(match[1], mark), high=read_number(match[2], mark))


def _one_sided(text: str, mark: DecimalMark | None) -> PrintedRange | None:
    match = _ONE_SIDED.fullmatch(text)
    if match is None or not _is_unit_at_most(match[3]):
        return None
    comparator, number = _COMPARATORS[match[1]], read_number(match[2], mark)
    if comparator[0] == "<":
        return PrintedRange(high=number, high_is_exclusive=comparator == "<")
    return PrintedRange(low=number, low_is_exclusive=comparator == ">")


def _is_unit_at_most(rest: str) -> bool:
    """Whether nothing follows a range but a unit: no other range, no words about someone."""
    words = rest.split()
    return len(words) <= 1 and not any(sign in rest for sign in "<>≤≥:;–") and "-" not in rest
