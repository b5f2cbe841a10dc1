# SPDX-License-Identifier: Apache-2.0
"""Age and sex of the patient on the day of an evaluation, and conditions on them alone.

Age is in completed months; of a partial birth date it is a range. An unknown age leaves a
condition on age not known, which silences nothing.
"""

from datetime import date

from msgspec import Struct

from cds_service.amounts import Ternary
from cds_service.knowledge.model.conditions import (
    AllOf,
    AnyOf,
    Condition,
)
from cds_service.knowledge.model.leaves import (
    AgeCompare,
    Sex,
    SexIs,
)
from cds_service.labs.patient_record import Patient

MONTHS_A_YEAR = 12


class Person(Struct, frozen=True):
    """Least and greatest age in completed months (`None`: not known), and sex."""

    months: tuple[int, int] | None
    sex: Sex

    @property
    def is_of_one_age(self) -> bool:
        """Whether no more than one age is possible."""
        return self.months is None or self.months[0] == self.months[1]

    def possible_ages(self) -> "tuple[Person, ...]":
        """The same person with each age that is possible, or as they are if none is known."""
        if self.months is None or self.is_of_one_age:
            return (self,)
        least, most = self.months
        return tuple(Person((age, age), self.sex) for age in range(least, most + 1))

    @property
    def years(self) -> int | None:
        """The age in completed years if only one is possible."""
        if self.months is None:
            return None
        least, most = (months // MONTHS_A_YEAR for months in self.months)
        return least if least == most else None


def person_on(patient: Patient, today: date) -> Person:
    """The patient on that day; a birth date in the future is no birth date."""
    months: tuple[int, int] | None = None
    if patient.born is not None and patient.born[0] <= today:
        earliest, latest = patient.born
        least = completed_months(min(latest, today), today)
        months = (least, completed_months(earliest, today))
    return Person(months, patient.sex or "unknown")


def completed_months(born: date, today: date) -> int:
    """Whole months lived; born on the 31st, a month completes on the 1st after a shorter one."""
    months = (today.year - born.year) * MONTHS_A_YEAR + today.month - born.month
    return months if today.day >= born.day else months - 1


def age_is(condition: AgeCompare, person: Person) -> Ternary:
    """Whether the age stands so."""
    if person.months is None:
        return None
    least, most = person.months
    if most < condition.months:
        return condition.relation == "below"
    if least >= condition.months:
        return condition.relation == "at least"
    return None


def meets(condition: Condition | None, person: Person) -> Ternary:
    """Whether the person meets a condition on age and sex; `None` as condition is always met."""
    match condition:
        case None:
            return True
        case AgeCompare():
            return age_is(condition, person)
        case SexIs(sexes=sexes):
            return person.sex in sexes
        case AllOf(parts=parts):
            return all_known([meets(part, person) for part in parts])
        case AnyOf(parts=parts):
            return any_known([meets(part, person) for part in parts])
        case _:
            message = f"a limit depends on age and sex only, not on '{condition.in_words()}'"
            raise TypeError(message)


def all_known(answers: list[Ternary]) -> Ternary:
    """Kleene's `and`."""
    if False in answers:
        return False
    return None if None in answers else True


def any_known(answers: list[Ternary]) -> Ternary:
    """Kleene's `or`."""
    if True in answers:
        return True
    return None if None in answers else False
