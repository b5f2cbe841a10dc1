# SPDX-License-Identifier: Apache-2.0
"""The Patient resource -> who the results are about."""

from datetime import date
from typing import Literal

from cds_service.amounts import Ternary
from cds_service.fhir.elements import plain_code
from cds_service.fhir.resources import Patient as Resource
from cds_service.intake.times import Times, span_of
from cds_service.labs.patient_record import Patient

_DATE_LENGTH = len("2026-01-31")
_SEXES: dict[str | None, Literal["male", "female"]] = {"male": "male", "female": "female"}


def person_of(resource: Resource | None, patient_id: str, times: Times) -> Patient:
    """The patient; without a Patient resource nothing but the reference is known."""
    reference = f"Patient/{patient_id}" if patient_id else ""
    if resource is None:
        return Patient(reference=reference)
    return Patient(
        reference=reference,
        born=_born(resource.birth_date, times),
        sex=_SEXES.get(plain_code(resource.gender)),
        deceased=_deceased(resource, times),
    )


def _born(text: str | None, times: Times) -> tuple[date, date] | None:
    """The days that a birth date can mean; one that cannot be read or is to come is not known."""
    today = times.now.astimezone(times.zone).date()
    try:
        first, last = _days((text or "").strip(), times)
    except ValueError:
        return None
    return None if first > today else (first, min(last, today))


def _days(text: str, times: Times) -> tuple[date, date]:
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
