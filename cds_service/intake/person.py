# SPDX-License-Identifier: Apache-2.0
"""The Patient resources -> who the results are about."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from itertools import combinations
from typing import Literal, NamedTuple, TypeAlias

from cds_service.amounts import Ternary
from cds_service.fhir.elements import plain_code
from cds_service.fhir.resources import Patient as Resource
from cds_service.intake.subjects import numbers_in
from cds_service.intake.times import Times, span_of
from cds_service.labs.patient_record import Patient

Days: TypeAlias = tuple[date, date]  # the first and the last that a date can mean

# What programs write where no date is known. 1970-01-01 is one too, but may be a birthday.
_NO_BIRTH_DATES = {date(1899, 12, 30), date(1899, 12, 31), date(1900, 1, 1)}
_DATE_LENGTH = len("2026-01-31")
_GENDERS = {"male", "female", "other"}  # of FHIR, without the one for not known
_SEXES: dict[str | None, Literal["male", "female"]] = {"male": "male", "female": "female"}


class PersonRead(NamedTuple):
    """The patient, and whether several Patients were sent that contradict each other."""

    patient: Patient
    is_contradictory: bool = False


def person_of(
    resources: Sequence[Resource], patient_id: str, times: Times, *, is_whole: bool = True
) -> PersonRead:
    """The patient of all Patients that were sent; without one, only the reference is known.

    What one leaves out another supplies. In what they contradict each other nothing is believed:
    the birth date may be any day from the first to the last, and sex and death are not known.
    Nor is death if one of them, which may deny it, could not be read (`is_whole`).
    """
    reference = f"Patient/{patient_id}" if patient_id else ""
    births = [born for resource in resources if (born := _born(resource.birth_date, times))]
    sexes = {plain_code(resource.gender) for resource in resources} & _GENDERS
    deaths = {_deceased(resource, times) for resource in resources} or {False}
    patient = Patient(
        reference=reference,
        born=_joined(births) if births else None,
        sex=_SEXES.get(next(iter(sexes))) if len(sexes) == 1 else None,
        deceased=next(iter(deaths)) if len(deaths) == 1 and (is_whole or False in deaths) else None,
    )
    is_contradictory = (
        len(sexes) > 1 or len(deaths) > 1 or not _overlap(births) or _have_other_numbers(resources)
    )
    return PersonRead(patient, is_contradictory)


def _joined(births: Sequence[Days]) -> Days:
    """The days that all of them can mean, or from the first to the last if there is none."""
    firsts, lasts = zip(*births, strict=True)
    if _overlap(births):
        return max(firsts), min(lasts)
    return min(firsts), max(lasts)


def _overlap(births: Sequence[Days]) -> bool:
    return not births or max(first for first, _ in births) <= min(last for _, last in births)


def _have_other_numbers(resources: Sequence[Resource]) -> bool:
    """Whether two of them have numbers of one system, and not one in common."""
    by_system: defaultdict[str, set[frozenset[str]]] = defaultdict(set)
    for resource in resources:
        for system, numbers in numbers_in([resource.identifier]).items():
            by_system[system].add(frozenset(numbers))
    return any(
        not frozenset.intersection(*sent)  # most have one number in common
        and any(here.isdisjoint(there) for here, there in combinations(sent, 2))
        for sent in by_system.values()
    )


def _born(text: str | None, times: Times) -> Days | None:
    """The days that a birth date can mean; one that is none, or is to come, is not known."""
    today = times.now.astimezone(times.zone).date()
    try:
        first, last = _days((text or "").strip(), times)
    except ValueError:
        return None
    is_none = first == last and first in _NO_BIRTH_DATES
    return None if is_none or first > today else (first, min(last, today))


def _days(text: str, times: Times) -> Days:
    """The first and the last day; raises `ValueError` for what is no date.

    R4 allows no time in a birth date. One that was sent says nothing, unless it has a time zone:
    then it may be the midnight of another clock, and the day that of the site.
    """
    if len(text) <= _DATE_LENGTH:
        first, last, _ = span_of(text)
        return first, last
    day, time = text[:_DATE_LENGTH], text[_DATE_LENGTH + 1 :]
    moment = times.moment(f"{day}T{time}")
    if text[_DATE_LENGTH] not in "Tt " or moment is None:
        raise ValueError
    first, _, _ = span_of(day)
    if time.startswith("00:00"):
        return first, first
    here = moment.time.astimezone(times.zone).date()
    return min(first, here), max(first, here)


def _deceased(resource: Resource, times: Times) -> Ternary:
    """Whether the patient has died; a time that is no date, or is to come, does not tell."""
    if resource.deceased_boolean:
        return True
    if not resource.deceased_date_time:
        return False
    moment = times.moment(resource.deceased_date_time.strip())
    return True if moment is not None and moment.begins <= times.now else None
