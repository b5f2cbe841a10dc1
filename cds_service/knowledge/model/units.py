# SPDX-License-Identifier: Apache-2.0
"""A unit as laboratories write it -> how much it is of which dimension, exactly.

The grammar is UCUM's for multiplied and divided units with exponents; the pieces come from
`cards/spellings.yaml`. Text is bounded, powers of ten are bounded, and every step takes time in
proportion to the text. What cannot be read is `None`, never a guess.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple, TypeAlias
from unicodedata import normalize

Dimension: TypeAlias = tuple[tuple[str, int], ...]  # name and exponent, sorted by name

LONGEST = 48  # characters of a unit
_LARGEST_POWER = 24
_REMEMBERED = 2048

_RAISED_POWER = re.compile("10(?=[⁰¹²³⁴⁵⁶⁷⁸⁹⁻])")
_ALIKE = str.maketrans("μ×·⋅∙•∕⁄−–", "ux....//--")
_PER = re.compile(r"\s+per\s+", re.IGNORECASE)
# 10*9, 10^9, 10**9, 10E9, 10x9, x10(9), E9
_POWER = re.compile(r"(?:[xX*]?10(?:\*\*|[*^eExX])?\((-?[0-9]{1,2})\)"
                    r"|[xX*]?10(?:\*\*|[*^xX]|[eE]\+?)(-?[0-9]{1,2})"
                    r"|[eE]\+?([0-9]{1,2}))(?![0-9])")  # fmt: skip
_TEN = re.compile(r"[xX*]?(10{0,6})(?![0-9*^])")
_EXPONENT = re.compile(r"(.*[^\d+*^-])[*^]?([+-]?[1-9])")
_DIVISORS = re.compile(r"(.*)/\(([^()/]+)\)")  # umol/(min.L): the dots after a slash divide too


class Size(NamedTuple):
    """How much a unit is of the base units of its dimension."""

    amount: Fraction
    dimension: Dimension

    def times(self, other: "Size", exponent: int = 1) -> "Size":
        """This multiplied by a power of another.

        >>> metre = Size(Fraction(1), (("length", 1),))
        >>> metre.times(metre, -1) == ONE
        True
        """
        powers = dict(self.dimension)
        for name, power in other.dimension:
            powers[name] = powers.get(name, 0) + exponent * power
        left = tuple(sorted((name, power) for name, power in powers.items() if power))
        return Size(self.amount * other.amount**exponent, left)


ONE = Size(Fraction(1), ())


@dataclass(frozen=True, slots=True, eq=False)
class UnitPieces:
    """What the pieces of a unit stand for.

    `exact` holds them as they are written, `any_case` in small letters, `capitals` as they are
    written in a unit that has no small letter.
    """

    exact: Mapping[str, Size]
    any_case: Mapping[str, Size]
    capitals: Mapping[str, Size]

    def size_of(self, text: str) -> Size | None:
        """The size of a unit, or `None` if any piece of it is unknown."""
        return _size_of(text, self) if len(text) <= LONGEST else None


NO_PIECES = UnitPieces({}, {}, {})


@lru_cache(maxsize=_REMEMBERED)
def _size_of(text: str, pieces: UnitPieces) -> Size | None:
    folded = _folded(text)
    if not folded or len(folded) > LONGEST:
        return None
    size = _whole(folded, pieces.exact, pieces.any_case)
    if size is None and folded == folded.upper():
        size = _whole(folded, pieces.capitals, pieces.any_case)
    return size


def _folded(text: str) -> str:
    """The text in ASCII where a character only looks otherwise, without blanks."""
    text = _RAISED_POWER.sub("10*", text)
    text = normalize("NFKC", text).translate(_ALIKE)
    return "".join(_PER.sub("/", text).split())


def _whole(text: str, exact: Mapping[str, Size], any_case: Mapping[str, Size]) -> Size | None:
    if text in exact:
        return exact[text]
    if match := _DIVISORS.fullmatch(text):
        text = f"{match[1]}/{match[2].replace('.', '/')}"
    first, *others = text.split("/")
    size: Size | None = _product(first, exact, any_case) if first else ONE
    if not first and not others:
        return None
    for divisor in others:
        # In UCUM a dot after a slash multiplies again: umol/s.L is umol/s times a litre.
        divided, *multiplied = divisor.split(".")
        for piece, exponent in ((divided, -1), *((piece, 1) for piece in multiplied)):
            part = _piece(piece, exact, any_case)
            size = None if size is None or part is None else size.times(part, exponent)
    return size


def _product(text: str, exact: Mapping[str, Size], any_case: Mapping[str, Size]) -> Size | None:
    size = ONE
    for piece in text.split("."):
        part = _piece(piece, exact, any_case)
        if part is None:
            return None
        size = size.times(part)
    return size


def _piece(text: str, exact: Mapping[str, Size], any_case: Mapping[str, Size]) -> Size | None:
    """The size of a number, a unit, a unit with an exponent, or a number and a unit."""
    if text in exact:
        return exact[text]
    number, rest = _number(text)
    if number is not None and not rest:
        return Size(number, ())
    part = exact.get(rest) or any_case.get(rest.lower())
    if part is None and (match := _EXPONENT.fullmatch(rest)):
        base = exact.get(match[1])
        part = ONE.times(base, int(match[2])) if base else None
    if part is None or number is None:
        return part
    return Size(number * part.amount, part.dimension)


def _number(text: str) -> tuple[Fraction | None, str]:
    """The power of ten that the text begins with, if any, and what follows it."""
    if match := _POWER.match(text):
        power = int(match[1] or match[2] or match[3])
        if abs(power) <= _LARGEST_POWER:
            return Fraction(10) ** power, text[match.end() :]
    elif match := _TEN.match(text):
        return Fraction(match[1]), text[match.end() :]
    return None, text
