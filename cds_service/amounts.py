# SPDX-License-Identifier: Apache-2.0
"""Exact amounts: a laboratory value is an interval of rational numbers.

`<3 U/L` is everything below 3, so "below 5" is known true of it and "below 2" is not known.
A plain number is an interval with equal ends. Nothing is rounded before display, so that
42 umol/L of bilirubin is exactly twice 21 umol/L after division by 17.104.

Comparisons answer `True`, `False` or `None` (not known), the three values of Kleene's logic.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Literal, TypeAlias

from msgspec import Struct

Ternary: TypeAlias = bool | None
Relation: TypeAlias = Literal["below", "at most", "above", "at least"]
Comparator: TypeAlias = Literal["<", "<=", ">", ">="]


class Interval(Struct, frozen=True, gc=False):
    """A range of possible values; an end of `None` is unbounded, an open end is not included."""

    low: Fraction | None
    high: Fraction | None
    low_open: bool = False
    high_open: bool = False

    @property
    def exact(self) -> Fraction | None:
        """The value itself if only one is possible, else `None`."""
        low, high = self.low, self.high
        return low if low is high or low == high else None

    def times(self, factor: Fraction) -> "Interval":
        """The interval multiplied by a positive factor."""
        return self._with_ends(lambda end: end * factor)

    def plus(self, amount: Fraction) -> "Interval":
        """The interval moved up by an amount."""
        return self._with_ends(lambda end: end + amount)

    def _with_ends(self, moved: Callable[[Fraction], Fraction]) -> "Interval":
        low = None if self.low is None else moved(self.low)
        if self.high is self.low:
            return Interval(low, low, self.low_open, self.high_open)
        high = None if self.high is None else moved(self.high)
        return Interval(low, high, self.low_open, self.high_open)

    def contains(self, other: "Interval") -> bool:
        """Whether every value of `other` lies in this interval."""
        return _lower_end_fits(self, other) and _upper_end_fits(self, other)


def exactly(value: Fraction | int) -> Interval:
    """The interval that holds one value only."""
    number = value if isinstance(value, Fraction) else Fraction(value)
    return Interval(number, number)


def interval_of(value: Fraction, comparator: Comparator | None) -> Interval:
    """The interval that a FHIR Quantity with this comparator stands for."""
    match comparator:
        case "<":
            return Interval(None, value, high_open=True)
        case "<=":
            return Interval(None, value)
        case ">":
            return Interval(value, None, low_open=True)
        case ">=":
            return Interval(value, None)
        case None:
            return exactly(value)


def compare(
    left: Interval, relation: Relation, right: Interval, times: tuple[int, int] = (1, 1)
) -> Ternary:
    """Whether `left RELATION right` holds for all (`True`), none (`False`) or some pairs.

    `times` multiplies the right side: numerator and denominator of a positive factor.

    >>> compare(exactly(7), "above", exactly(2), (3, 1)), compare(exactly(6), "above", exactly(6))
    (True, False)
    """
    return COMPARISONS[relation](left, right, times)


def _below(left: Interval, right: Interval, times: tuple[int, int] = (1, 1)) -> Ternary:
    return _is_less(left, right, times, 0)


def _at_most(left: Interval, right: Interval, times: tuple[int, int] = (1, 1)) -> Ternary:
    return _is_less(left, right, times, 1)


def _above(left: Interval, right: Interval, times: tuple[int, int] = (1, 1)) -> Ternary:
    known = _is_less(left, right, times, 1)
    return None if known is None else not known


def _at_least(left: Interval, right: Interval, times: tuple[int, int] = (1, 1)) -> Ternary:
    known = _is_less(left, right, times, 0)
    return None if known is None else not known


COMPARISONS: Mapping[Relation, Callable[..., Ternary]] = {
    "below": _below,
    "at most": _at_most,
    "above": _above,
    "at least": _at_least,
}
"""What `compare` does for each relation, for those who ask for one relation again and again."""


def rounded(value: Fraction, decimals: int) -> str:
    """The value with so many decimals, halves away from zero; for display only."""
    return _with_decimals(rounded_parts(value, decimals), decimals)


def rounded_parts(value: Fraction, decimals: int) -> int:
    """The value in parts of the last of so many decimals, halves away from zero.

    >>> rounded_parts(Fraction(5, 8), 2)
    63
    """
    return whole_parts(value.numerator, value.denominator, 10**decimals)


def whole_parts(top: int, bottom: int, parts: int) -> int:
    """How many of so many parts of one `top / bottom` is, halves away from zero.

    >>> whole_parts(10, 16, 100), whole_parts(-10, 16, 100)
    (63, -63)
    """
    found = (2 * abs(top) * parts + bottom) // (2 * bottom)
    return -found if top < 0 else found


def _with_decimals(parts: int, decimals: int) -> str:
    """So many parts of the last of these decimals as a number."""
    digits = str(abs(parts)).rjust(decimals + 1, "0")
    whole, part = digits[: len(digits) - decimals], digits[len(digits) - decimals :]
    sign = "-" if parts < 0 else ""
    return f"{sign}{whole}.{part}" if part else sign + whole


def significant(value: Fraction, digits: int) -> str:
    """The value with so many significant digits, without needless zeros; for display only.

    No digit before the decimal point is given up.

    >>> significant(Fraction(40, 60), 3), significant(Fraction(1234567, 1000), 3)
    ('0.667', '1235')
    """
    size = abs(value)
    decimals = digits
    while size >= 1 and decimals > 0:
        size, decimals = size / 10, decimals - 1
    while 0 < size < Fraction(1, 10):
        size, decimals = size * 10, decimals + 1
    return shortened(value, decimals)


def shortened(value: Fraction, decimals: int) -> str:
    """The value with at most so many decimals, without needless zeros; for display only.

    >>> shortened(Fraction(25, 2), 2), shortened(Fraction(4), 2)
    ('12.5', '4')
    """
    return without_zeros(rounded_parts(value, decimals), decimals)


def without_zeros(parts: int, decimals: int) -> str:
    """So many parts of the last of these decimals as a number without needless zeros.

    >>> without_zeros(1250, 2), without_zeros(400, 2), without_zeros(7, 0)
    ('12.5', '4', '7')
    """
    text = _with_decimals(parts, decimals)
    return text.rstrip("0").rstrip(".") if "." in text else text


def plain(value: Fraction) -> str:
    """The value without needless zeros, to at most six decimals; for display only."""
    return shortened(value, 6)


def _is_less(left: Interval, right: Interval, times: tuple[int, int], room: int) -> Ternary:
    """Whether every left value is below, or with a `room` of 1 at most, every right one."""
    least, most, low, high = left.low, left.high, right.low, right.high
    if most is not None and low is not None:
        order = _order(most, low, times)
        if most is least and low is high:  # two exact values, as most are
            return order < room
        if order < 0 or (order == 0 and (room or left.high_open or right.low_open)):
            return True
    if least is not None and high is not None:
        order = _order(least, high, times)
        if order > 0 or (order == 0 and (not room or left.low_open or right.high_open)):
            return False
    return None


def _order(left: Fraction, right: Fraction, times: tuple[int, int] = (1, 1)) -> int:
    """Below, at or above zero as `left` is below, equal to or above so many times `right`.

    In whole numbers: a rule compares a lot, and `Fraction` looks at the types of its operands.
    """
    up, down = times
    top, bottom = left.as_integer_ratio()
    over, under = right.as_integer_ratio()
    return top * under * down - over * up * bottom


def _lower_end_fits(outer: Interval, inner: Interval) -> bool:
    if outer.low is None:
        return True
    if inner.low is None:
        return False
    order = _order(inner.low, outer.low)
    return order > 0 or (order == 0 and (inner.low_open or not outer.low_open))


def _upper_end_fits(outer: Interval, inner: Interval) -> bool:
    if outer.high is None:
        return True
    if inner.high is None:
        return False
    order = _order(inner.high, outer.high)
    return order < 0 or (order == 0 and (inner.high_open or not outer.high_open))
