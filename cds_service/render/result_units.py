# SPDX-License-Identifier: Apache-2.0
"""Amounts of a marker in the unit in which the laboratory sent a result, to be read beside it."""

from dataclasses import dataclass
from fractions import Fraction

from cds_service.amounts import plain, rounded, shortened, significant
from cds_service.knowledge.model.messages import Messages
from cds_service.knowledge.model.pack import Marker
from cds_service.labs.limits import Limit
from cds_service.labs.patient_record import LabResult
from cds_service.labs.result_selection import Reading
from cds_service.render.sanitize import sanitize

_ONE = Fraction(1)
_DIGITS = 3  # significant digits of an amount of the pack in another unit


@dataclass(frozen=True, slots=True)
class ResultUnit:
    """A unit, its factor to the unit of the marker, and how many decimals are shown in it.

    In the unit of the marker itself nothing is rounded (`None`): its amounts are the pack's. With
    `digits` an amount has so many significant ones instead.
    """

    text: str
    factor: Fraction = _ONE
    decimals: int | None = None
    digits: int | None = None

    def number(self, amount: Fraction) -> str:
        """An amount of the marker as a number of this unit, without needless zeros."""
        if self.digits is not None:
            return significant(amount / self.factor, self.digits)
        if self.decimals is None:
            return plain(amount / self.factor)
        return shortened(amount / self.factor, self.decimals)


def unit_of_marker(marker: Marker) -> ResultUnit:
    """The unit in which the pack has the amounts of a marker."""
    return ResultUnit(marker.unit)


def unit_of_system(marker: Marker, system: str) -> ResultUnit | None:
    """The unit in which pages show the marker in this system, US or SI, if it has one."""
    text = marker.shown_in.get(system)
    if text is None:
        return None
    if text == marker.unit:
        return unit_of_marker(marker)
    return ResultUnit(text, marker.factors[text], digits=_DIGITS)


def unit_of_result(result: LabResult, marker: Marker) -> ResultUnit:
    """The unit in which a result was sent, with one decimal more than the result has."""
    if result.factor == _ONE:
        return unit_of_marker(marker)
    return ResultUnit(sanitize(result.sent.unit), result.factor, _decimals(result.sent.number) + 1)


def unit_of_scale(reading: Reading, marker: Marker) -> ResultUnit:
    """The unit of the result, with no fewer decimals than the laboratory gave its limit."""
    unit, upper = unit_of_result(reading.result, marker), reading.upper
    if unit.decimals is None or upper is None or upper.sent is None:
        return unit
    return ResultUnit(unit.text, unit.factor, max(unit.decimals, _decimals(upper.sent.number)))


def limit_amount(
    limit: Limit | None,
    marker: Marker,
    result: LabResult,
    messages: Messages,
    shown: ResultUnit | None = None,
) -> str | None:
    """The limit in the unit of its result: the laboratory's own figure if it was sent in that unit.

    One that was sent in another unit is rounded to the decimals of the result. With `shown` the
    limit is in that unit, unless the result was sent in it.
    """
    if limit is None:
        return None
    unit = unit_of_result(result, marker)
    if shown is not None and shown.factor != result.factor:
        if limit.up_to is None:
            return f"{shown.number(limit.amount)} {shown.text}".strip()
        unit = shown
    if limit.up_to is not None:
        low, high = unit.number(limit.amount), unit.number(limit.up_to)
        return f"{messages.text('value.between', low=low, high=high)} {unit.text}".strip()
    if limit.sent is None:
        return f"{unit.number(limit.amount)} {unit.text}".strip()
    if _is_as_sent(limit.amount, limit.sent.number, result.factor):
        sent_in = sanitize(limit.sent.unit or result.sent.unit) if marker.unit else ""
        return f"{sanitize(limit.sent.number)} {sent_in}".strip()
    number = rounded(limit.amount / result.factor, _decimals(result.sent.number))
    return f"{number} {unit.text}".strip()


def _is_as_sent(amount: Fraction, number: str, factor: Fraction) -> bool:
    """Whether the amount of the marker is the number as it was sent, in a unit of this factor."""
    whole, _, part = number.partition(".")
    top, bottom = amount.as_integer_ratio()
    times, parts = factor.as_integer_ratio()
    scale: int = 10 ** len(part)
    return int(whole + part) * times * bottom == top * parts * scale


def _decimals(number: str) -> int:
    return len(number.partition(".")[2])
