# SPDX-License-Identifier: Apache-2.0
"""The Patient resource -> who the results are about."""

from datetime import date

from cds_service.fhir.resources import Patient as Resource
from cds_service.intake.times import span_of
from cds_service.labs.patient_record import Patient


def person_of(resource: Resource | None, patient_id: str, today: date) -> Patient:
    """The patient; without a Patient resource nothing but the reference is known."""
    reference = f"Patient/{patient_id}" if patient_id else ""
    if resource is None:
        return Patient(reference=reference)
    return Patient(
        reference=reference,
        born=_born(resource.birth_date, today),
        sex="male"
        if resource.gender == "male"
        else "female"
        if resource.gender == "female"
        else None,
        deceased=bool(resource.deceased_boolean or resource.deceased_date_time),
    )


def _born(text: str | None, today: date) -> tuple[date, date] | None:
    """The days that a birth date can mean; one that cannot be read or is to come is not known."""
    try:
        first, last, _ = span_of(text or "")
    except ValueError:
        return None
    return None if first > today else (first, min(last, today))
