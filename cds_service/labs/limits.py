# SPDX-License-Identifier: Apache-2.0
"""The limit that a result is judged by: the first line of the marker's policy that applies.

A policy line is the laboratory's own limit, used only inside the stretch the pack believes, or a
stated amount. An unknown age counts as adult: a line that asks for an age range is skipped when
the age is not known.
"""

from dataclasses import dataclass
from fractions import Fraction

from cds_service.amounts import exactly
from cds_service.knowledge.model.conditions import LimitKind
from cds_service.knowledge.model.pack import LimitChoice, Marker
from cds_service.labs.patient import Person, meets
from cds_service.labs.patient_record import LabResult, ReferenceRange


@dataclass(frozen=True, slots=True)
class Limit:
    """An amount in the marker's unit and the name of where it came from."""

    amount: Fraction
    named: str
    exclusive: bool = False  # a value equal to it is beyond it


def limit_of(marker: Marker, kind: LimitKind, result: LabResult, person: Person) -> Limit | None:
    """The limit for this result, or `None` if the policy finds none."""
    for choice in marker.limits.get(kind, ()):
        if meets(choice.applies, person) is not True:
            continue
        amount = _amount(choice, kind, result, person)
        if amount is not None:
            exclusive = choice.amount is None and _is_exclusive(kind, result, person)
            return Limit(amount, choice.credited or choice.named, exclusive)
    return None


def _amount(
    choice: LimitChoice, kind: LimitKind, result: LabResult, person: Person
) -> Fraction | None:
    if choice.amount is not None:
        return choice.amount
    printed = lab_limit(kind, result, person)
    if printed is None:
        return None
    if choice.believed is not None and not choice.believed.contains(exactly(printed)):
        return None
    return printed


def lab_limit(kind: LimitKind, result: LabResult, person: Person) -> Fraction | None:
    """The limit that the laboratory printed for a person of this age and sex, if it is one."""
    fitting = [
        range_
        for range_ in result.ranges
        if _fits(range_, person) and _end(range_, kind) is not None
    ]
    if not fitting:
        return None
    most = max(_detail(one) for one in fitting)
    ends = {_end(one, kind) for one in fitting if _detail(one) == most}
    return ends.pop() if len(ends) == 1 else None  # two that differ: neither is believed


def _is_exclusive(kind: LimitKind, result: LabResult, person: Person) -> bool:
    """Whether the laboratory says that its limit is the first value outside."""
    fitting = [range_ for range_ in result.ranges if _fits(range_, person)]
    if kind == "lower limit":
        return any(range_.low_exclusive for range_ in fitting)
    return any(range_.high_exclusive for range_ in fitting)


def _end(range_: ReferenceRange, kind: LimitKind) -> Fraction | None:
    if kind == "lower limit":
        return range_.low
    return (
        range_.high if range_.high is not None and range_.high > 0 else None
    )  # 0 is no upper limit


def _detail(range_: ReferenceRange) -> int:
    """How much the range says about whom it is for."""
    return (range_.sex is not None) + (range_.age_from is not None or range_.age_below is not None)


def _fits(range_: ReferenceRange, person: Person) -> bool:
    if range_.sex is not None and range_.sex != person.sex:
        return False
    if range_.age_from is None and range_.age_below is None:
        return True
    if person.months is None:
        return False
    least, most = person.months
    old_enough = range_.age_from is None or least >= range_.age_from
    young_enough = range_.age_below is None or most < range_.age_below
    return old_enough and young_enough
