# SPDX-License-Identifier: Apache-2.0
"""Which of several results of one marker and time count: the only order of them that there is.

Equal results count once, and so does one measurement that was sent in two units. A result of one
specimen that contradicts the one in use is set aside as conflicting; one that only says the same
more widely (`>200` beside 2350) is superseded by it.

First the status decides: a corrected or amended result replaces a final one, and any of these a
preliminary one. Then the value: a result that lies within another says the same more narrowly and
is used; of two that contradict each other the higher is used, for missing a high value is the
worse mistake.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import TypeAlias

from cds_service.amounts import Interval
from cds_service.labs.patient_record import LabResult, ResultStatus, SetAside, set_aside
from cds_service.labs.set_aside_reasons import SetAsideReason

ValueOrder: TypeAlias = tuple[bool, Fraction, bool, bool, Fraction, bool]

_STATUS_RANK: Mapping[ResultStatus, int] = {
    "preliminary": 0,
    "final": 1,
    "amended": 2,
    "corrected": 2,
}
_ZERO = Fraction(0)


def settled(read: Iterable[LabResult]) -> tuple[tuple[LabResult, ...], tuple[SetAside, ...]]:
    """The results that count, in the order they came, and the others with their reason."""
    groups: defaultdict[tuple[str, datetime], list[LabResult]] = defaultdict(list)
    for result in read:
        groups[result.marker, result.time].append(result)
    results: list[LabResult] = []
    aside: list[SetAside] = []
    for group in groups.values():
        if len(group) == 1:
            results.append(group[0])
        else:
            results.extend(_winner(same, aside) for same in _by_specimen(group))
    return tuple(results), tuple(aside)


def _by_specimen(group: list[LabResult]) -> list[list[LabResult]]:
    """The results of each specimen; those that name none belong to the first."""
    named: dict[str, list[LabResult]] = {result.specimen: [] for result in group if result.specimen}
    first = next(iter(named), "")
    for result in group:
        named.setdefault(result.specimen or first, []).append(result)
    return list(named.values())


def _winner(same: list[LabResult], aside: list[SetAside]) -> LabResult:
    winner = max(same, key=precedence)  # of equals the first
    for result in same:
        reason = _reason_to_set_aside(result, winner)
        if reason is not None:
            aside.append(set_aside(result, reason))
    return winner


def _reason_to_set_aside(result: LabResult, winner: LabResult) -> SetAsideReason | None:
    """Why the result gives way to the winner of its specimen; `None` if both say the same."""
    if status_rank(result) < status_rank(winner):
        return "superseded"
    if result.value == winner.value or _same_by_rounding(result, winner):
        return None
    return "superseded" if result.value.contains(winner.value) else "conflicting-duplicates"


def status_rank(result: LabResult) -> int:
    """The rank of the result's status; a result of a higher rank replaces one of a lower."""
    return _STATUS_RANK[result.status]


def precedence(result: LabResult) -> tuple[int, ValueOrder]:
    """The sort key of results of one time: the one that counts has the greatest."""
    return status_rank(result), value_order(result.value)


def _same_by_rounding(result: LabResult, other: LabResult) -> bool:
    """Whether both can be one measurement in two units, within the rounding of the digits sent.

    41 U/L stands for 40.5 to 41.5, 0.68 ukat/L for 40.5 to 41.1 U/L: the same. In one unit two
    numbers are two results.
    """
    if result.sent.comparator != other.sent.comparator or _factor(result) == _factor(other):
        return False
    return abs(_end(result) - _end(other)) <= _half_step(result) + _half_step(other)


def _factor(result: LabResult) -> Fraction:
    """How many of the marker's unit the sent unit is; 0 of a result that is 0."""
    sent = Fraction(result.sent.number)
    return _end(result) / sent if sent else _ZERO


def _end(result: LabResult) -> Fraction:
    """The number that was sent, in the marker's unit."""
    value = result.value
    return value.low if value.low is not None else value.high or _ZERO


def _half_step(result: LabResult) -> Fraction:
    """Half of the last digit that was sent, in the marker's unit."""
    _, _, decimals = result.sent.number.partition(".")
    return _factor(result) * Fraction(1, 2 * 10 ** len(decimals))


def value_order(value: Interval) -> ValueOrder:
    """The sort key of values: by the lower end, then the narrower above the wider.

    A value within another never has the lower lower end, and of two values of which neither lies
    within the other the higher has the higher lower end. So one order serves both cases.

    >>> from cds_service.amounts import exactly, interval_of
    >>> over_range, diluted = interval_of(Fraction(200), ">"), exactly(2350)
    >>> value_order(diluted) > value_order(over_range) > value_order(exactly(150))
    True
    >>> value_order(exactly(3)) > value_order(interval_of(Fraction(5), "<"))
    True
    """
    return (
        value.low is not None,
        _ZERO if value.low is None else value.low,
        value.low_open,
        value.high is not None,
        _ZERO if value.high is None else -value.high,
        value.high_open,
    )
