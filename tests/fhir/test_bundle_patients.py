# SPDX-License-Identifier: Apache-2.0
"""References to the patients of a Bundle, by the rules of FHIR for Bundles."""

import pytest

from cds_service.fhir.bundle_patients import BundlePatients

UUID = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
ONE, OTHER = "https://one.example/r4", "https://other.example/r4"
PATIENTS: list[tuple[str | None, str | None]] = [
    (UUID, "girl"),
    (f"{ONE}/Patient/7", "7"),
    (f"{OTHER}/Patient/7", "7"),
    (None, "bare"),
    ("urn:uuid:9", None),
]


@pytest.mark.parametrize(
    ("reference", "at", "patient"),
    [
        (UUID, None, 0),
        ("Patient/girl", UUID.replace("0c", "1c"), 0),
        ("Patient/girl/_history/2", None, 0),
        (f"{ONE}/Patient/7", None, 1),
        (f"{OTHER}/Patient/7/_history/1", None, 2),
        ("Patient/7", f"{ONE}/Observation/1", 1),
        ("Patient/7", f"{OTHER}/Observation/1", 2),
        ("Patient/bare", f"{ONE}/Observation/1", 3),
        (f"{ONE}/Patient/bare", None, 3),
        ("urn:uuid:9", None, 4),
    ],
)
def test_a_reference_leads_to_the_patient_that_it_means(
    reference: str, at: str | None, patient: int
) -> None:
    patients = BundlePatients(PATIENTS)

    assert patients.owner(reference, at) == patients.key(*PATIENTS[patient])


def test_a_patient_goes_by_the_id_of_the_resource() -> None:
    patients = BundlePatients(PATIENTS)

    ids = [patients.id_of(patients.key(*patient)) for patient in PATIENTS]

    assert ids == ["girl", "7", "7", "bare", "9"]
    assert patients.id_of(patients.owner("Patient/p2", None)) == "p2"


def test_equal_ids_on_two_servers_are_two_patients() -> None:
    patients = BundlePatients([(f"{ONE}/Patient/7", "7")])

    assert patients.owner(f"{OTHER}/Patient/7", None) != patients.key(f"{ONE}/Patient/7", "7")


def test_of_one_who_is_not_in_the_bundle_type_and_id_decide() -> None:
    patients = BundlePatients([])

    assert patients.owner("Patient/p1", None) == patients.owner(f"{ONE}/Patient/p1", None)
