# SPDX-License-Identifier: Apache-2.0
"""Whose the results of a message of HL7 v2 are: the identifier that a FHIR server knows."""

from typing import NamedTuple
from urllib.parse import quote

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder

from cds_service.fhir_client.servers import MessageSettings
from cds_service.reports.report import ReportPatient
from cds_service.subscriptions.notified_resource import NotifiedResource


class PatientIdentifier(NamedTuple):
    """An identifier as FHIR has it."""

    system: str
    value: str

    @property
    def query(self) -> str:
        """The search for the patient."""
        return f"Patient?identifier={quote(f'{self.system}|{self.value}', safe='')}"


class _Identifier(Struct):
    system: str | None = None
    value: str | None = None


class _Patient(Struct, rename="camel"):
    identifier: list[_Identifier] | None = None
    birth_date: str | None = None


_PATIENT = Decoder(_Patient)


def patient_identifiers(
    patient: ReportPatient, settings: MessageSettings
) -> tuple[PatientIdentifier, ...]:
    """The identifiers in PID-3 of known assigning authorities, those of the first setting first.

    An authority goes by its name or its OID. The order of PID-3 does not count: by it a correction
    could be of another identifier than its result, and would not find it.
    """
    found: dict[PatientIdentifier, None] = {}
    for known, system in settings.patients.items():
        for value, authority in sorted(patient.identifiers):
            if value and known in (name.strip() for name in authority.split("&")[:2]):
                found[PatientIdentifier(system, value)] = None
    return tuple(found)


def is_patient_of(resource: NotifiedResource, identifier: PatientIdentifier) -> bool:
    """Whether it is a patient with this identifier: a server may ignore what it was asked."""
    known = _read(resource).identifier or ()
    return resource.type == "Patient" and any(
        (own_identifier.system, own_identifier.value) == tuple(identifier)
        for own_identifier in known
    )


def is_contradicted(resource: NotifiedResource, born: str | None) -> bool:
    """Whether the patient has another date of birth than this, as far as both say it."""
    known = _read(resource).birth_date
    if not known or not born:
        return False
    length = min(len(known), len(born))
    return known[:length] != born[:length]


def _read(resource: NotifiedResource) -> _Patient:
    try:
        return _PATIENT.decode(resource.body or b"{}")
    except (ValidationError, DecodeError):
        return _Patient()
