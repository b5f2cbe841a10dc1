# SPDX-License-Identifier: Apache-2.0
"""Results of one marker at one time -> those that count.

Equal ones count once. A corrected or amended result replaces a final one, and any of these a
preliminary one. Of two that still differ in one specimen the higher is used, for missing a high
value is the worse mistake.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction

from cds_service.amounts import Interval
from cds_service.intake.results import Read
from cds_service.labs.patient_record import LabResult, ResultStatus, SetAside
from cds_service.labs.set_aside_reasons import SetAsideReason

_RANK: dict[ResultStatus, int] = {"preliminary": 0, "final": 1, "amended": 2, "corrected": 2}


def settled(read: Iterable[Read]) -> tuple[tuple[LabResult, ...], tuple[SetAside, ...]]:
    """The results that count, in the order they came, and the others with their reason."""
    groups: defaultdict[tuple[str, datetime], list[Read]] = defaultdict(list)
    for one in read:
        groups[one.result.marker, one.result.time].append(one)
    results: list[LabResult] = []
    aside: list[SetAside] = []
    for group in groups.values():
        if len(group) == 1:
            results.append(group[0].result)
        else:
            results.extend(_winner(same, aside) for same in _by_specimen(group))
    return tuple(results), tuple(aside)


def _by_specimen(group: list[Read]) -> list[list[LabResult]]:
    """The results of each specimen; those that name none belong to the first."""
    named: dict[str, list[LabResult]] = {one.specimen: [] for one in group if one.specimen}
    first = next(iter(named), "")
    for one in group:
        named.setdefault(one.specimen or first, []).append(one.result)
    return list(named.values())


def _winner(same: list[LabResult], aside: list[SetAside]) -> LabResult:
    rank = max(_RANK[one.status] for one in same)
    best = [one for one in same if _RANK[one.status] == rank]
    winner = max(best, key=lambda one: _height(one.value))  # of equals the first
    for one in same:
        if _RANK[one.status] < rank:
            aside.append(_set_aside(one, "superseded"))
        elif one.value != winner.value:
            aside.append(_set_aside(one, "conflicting-duplicates"))
    return winner


def _height(value: Interval) -> tuple[bool, Fraction, bool, Fraction]:
    """Orders intervals by their upper, then their lower end; no upper end is the highest."""
    zero = Fraction(0)
    return (
        value.high is None,
        zero if value.high is None else value.high,
        value.low is not None,
        zero if value.low is None else value.low,
    )


def _set_aside(one: LabResult, reason: SetAsideReason) -> SetAside:
    return SetAside(
        reason=reason,
        marker=one.marker,
        code=one.code,
        reference=one.reference,
        time=one.time,
        number=f"{one.sent.comparator or ''}{one.sent.number}",
        unit=one.sent.unit,
    )
