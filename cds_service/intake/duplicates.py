# SPDX-License-Identifier: Apache-2.0
"""Several results of one marker at one time -> those that count, by `labs.same_time`.

Equal results count once, and so does one measurement that was sent in two units. A result of one
specimen that contradicts the one in use is set aside as conflicting; one that only says the same
more widely (`>200` beside 2350) is superseded by it.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from cds_service.labs.patient_record import LabResult, SetAside, set_aside
from cds_service.labs.same_time import precedence, same_by_rounding, status_rank
from cds_service.labs.set_aside_reasons import SetAsideReason


def settled(read: Iterable[LabResult]) -> tuple[tuple[LabResult, ...], tuple[SetAside, ...]]:
    """The results that count, in the order they came, and the others with their reason."""
    groups: defaultdict[tuple[str, datetime], list[LabResult]] = defaultdict(list)
    for entry in read:
        groups[entry.marker, entry.time].append(entry)
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
    named: dict[str, list[LabResult]] = {entry.specimen: [] for entry in group if entry.specimen}
    first = next(iter(named), "")
    for entry in group:
        named.setdefault(entry.specimen or first, []).append(entry)
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
    if result.value == winner.value or same_by_rounding(result, winner):
        return None
    return "superseded" if result.value.contains(winner.value) else "conflicting-duplicates"
