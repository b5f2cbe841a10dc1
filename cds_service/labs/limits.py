# SPDX-License-Identifier: Apache-2.0
"""The limit that a result is judged by: the first line of the marker's policy that applies.

A policy line is the laboratory's own limit, used only inside the stretch the pack believes, or a
stated amount. An unknown age counts as adult: a line that asks for an age range is skipped when
the age is not known. A birth date that is only partly known is tried with every age that it can
mean; where they do not agree, the limit is known no closer than from the lowest to the highest.
"""

from collections.abc import Iterable
from fractions import Fraction

from msgspec import Struct

from cds_service.amounts import Interval, exactly
from cds_service.knowledge.model.bounds import LimitKind
from cds_service.knowledge.model.pack import LimitChoice, Marker
from cds_service.labs.patient import Person, meets
from cds_service.labs.patient_record import LabResult, ReferenceRange, Sent

BY_AGE = "age"  # where a limit comes from that is known no closer


class Limit(Struct, frozen=True, gc=False):
    """An amount in the marker's unit and the name of where it came from.

    `up_to` is there if the age leaves the limit open: it is then between the two, ends included.
    """

    amount: Fraction
    named: str
    exclusive: bool = False  # a value equal to it is beyond it
    up_to: Fraction | None = None
    sent: Sent | None = None  # the laboratory's own, for display

    @property
    def exact(self) -> Fraction | None:
        """The amount if only one is possible."""
        return self.amount if self.up_to is None else None

    @property
    def interval(self) -> Interval:
        """The amounts that are possible."""
        return Interval(self.amount, self.amount if self.up_to is None else self.up_to)


class _Printed(Struct, frozen=True, gc=False):
    """An end of a reference range."""

    amount: Fraction
    sent: Sent | None
    exclusive: bool = False


def limit_of(marker: Marker, kind: LimitKind, result: LabResult, person: Person) -> Limit | None:
    """The limit for this result, or `None` if the policy finds none for every possible age."""
    choices = marker.limits.get(kind)
    if choices is None:
        return None
    if person.is_of_one_age:
        return _limit(choices, kind, result, person)
    found = [_limit(choices, kind, result, aged) for aged in person.possible_ages()]
    known = [limit for limit in found if limit is not None]
    if len(known) < len(found):
        return None
    lowest = min(known, key=lambda limit: limit.amount)
    highest = max(limit.amount for limit in known)
    return lowest if highest == lowest.amount else Limit(lowest.amount, BY_AGE, up_to=highest)


def _limit(
    choices: Iterable[LimitChoice], kind: LimitKind, result: LabResult, person: Person
) -> Limit | None:
    for choice in choices:
        if choice.applies is not None and meets(choice.applies, person) is not True:
            continue
        found = _chosen(choice, kind, result, person)
        if found is not None:
            named = choice.credited or choice.named
            return Limit(found.amount, named, exclusive=found.exclusive, sent=found.sent)
    return None


def _chosen(
    choice: LimitChoice, kind: LimitKind, result: LabResult, person: Person
) -> _Printed | None:
    if choice.amount is not None:
        return _Printed(choice.amount, None)
    printed = _printed(kind, result, person)
    if printed is None:
        return None
    if choice.believed is not None and not choice.believed.contains(exactly(printed.amount)):
        return None
    return printed


def lab_limit(kind: LimitKind, result: LabResult, person: Person) -> Fraction | None:
    """The limit that the laboratory printed for a person of this age and sex, if it is one."""
    printed = _printed(kind, result, person)
    return None if printed is None else printed.amount


def _printed(kind: LimitKind, result: LabResult, person: Person) -> _Printed | None:
    fitting = [
        (_detail(range_), end)
        for range_ in result.ranges
        if _fits(range_, person) and (end := _end(range_, kind)) is not None
    ]
    if not fitting:
        return None
    if len(fitting) == 1:
        return fitting[0][1]
    most = max(detail for detail, _ in fitting)
    ends = {end.amount: end for detail, end in fitting if detail == most}
    return ends.popitem()[1] if len(ends) == 1 else None  # two that differ: neither is believed


def _end(range_: ReferenceRange, kind: LimitKind) -> _Printed | None:
    if kind == "lower limit":
        if range_.low is None:
            return None
        return _Printed(range_.low, range_.sent_low, range_.low_exclusive)
    if range_.high is None or range_.high.numerator <= 0:  # 0 is no upper limit
        return None
    return _Printed(range_.high, range_.sent_high, range_.high_exclusive)


def _detail(range_: ReferenceRange) -> int:
    """How specific the range is about the people it applies to."""
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
