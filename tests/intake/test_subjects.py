# SPDX-License-Identifier: Apache-2.0
"""Nothing of another patient is ever used."""

from zoneinfo import ZoneInfo

import pytest

from cds_service.copying import replace
from cds_service.errors import RequestError
from cds_service.intake.pack_reader import PackReader
from cds_service.intake.read_record import read_record
from cds_service.labs.patient_record import PatientRecord
from tests.intake.intake_fixtures import NOW, PACK, Json, input_of, observation, record_of

SERVER = "https://fhir.example/r4"
UUID = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"


def subject(reference: str | None) -> Json:
    return observation(subject=None if reference is None else {"reference": reference})


READER = PackReader(PACK, names_fallback=False)


def asked_about(patient: str, *resources: Json, server: str | None = None) -> PatientRecord:
    given = replace(input_of(*resources), patient_id=patient, fhir_server=server)
    return read_record(READER, given, now=NOW, zone=ZoneInfo("UTC"))


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/p1",
        "Patient/p1/_history/2",
        f"{SERVER}/Patient/p1",
        f"{SERVER}/Patient/p1/_history/2",
        "http://FHIR.example/r4/Patient/p1",
        "https://fhir.example:443/r4/Patient/p1",
        "http://fhir.example:80/r4/Patient/p1",
        "https://fhir.example:/r4//Patient/p1",
        "p1",
        "#p1",
        None,
    ],
)
def test_the_patients_results_are_known_by_any_reference(reference: str | None) -> None:
    assert len(asked_about("p1", subject(reference), server=SERVER).results) == 1


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/p2",
        "Patient/p1x",
        "Group/p1",
        "https://other.example/r4/Patient/p1",
        "https://fhir.example:8443/r4/Patient/p1",
        "http://fhir.example:443/r4/Patient/p1",
        "https://user@fhir.example/r4/Patient/p1",
        "https://fhir.example/r5/../r4/Patient/p1",
        f"urn:uuid:{UUID}",
        "p2",
    ],
)
def test_results_of_another_patient_alone_are_refused(reference: str) -> None:
    with pytest.raises(RequestError, match="all of another"):
        asked_about("p1", subject(reference), server=SERVER)


def test_results_of_another_patient_are_set_aside() -> None:
    other = observation(id="r2", subject={"reference": "Patient/p2"})
    record = asked_about("p1", observation(), other)

    assert [result.reference for result in record.results] == ["Observation/r1"]
    assert [(result.reason, result.reference) for result in record.set_aside] == [
        ("other-patient", "Observation/r2")
    ]


@pytest.mark.parametrize(
    ("focus", "used"),
    [
        ([{"reference": "RelatedPerson/mother"}], False),
        ([{"reference": "Patient/p2"}], False),
        ({"reference": "https://other.example/r4/RelatedPerson/fetus/_history/1"}, False),
        ([{"reference": "Device/meter"}, {"reference": "Patient/donor"}], False),
        ([{"reference": "Patient/p1"}], True),
        ([{"reference": "Device/meter"}], True),
        ([{"reference": "Specimen/s"}, {"display": "blood"}], True),
        ([], True),
        (None, True),
    ],
)
def test_a_result_about_another_person_is_not_the_subjects(focus: object, used: bool) -> None:
    about = {**subject("Patient/p1"), "id": "r2", "focus": focus}
    record = asked_about("p1", observation(effectiveDateTime="2026-06-01"), about)

    assert ("Observation/r2" in [result.reference for result in record.results]) is used
    assert [result.reason for result in record.set_aside] == ([] if used else ["other-patient"])


@pytest.mark.parametrize("kind", ["MedicationRequest", "Condition", "ServiceRequest"])
def test_nothing_else_of_another_patient_is_used(kind: str) -> None:
    other: Json = {
        "resourceType": kind,
        "id": "x",
        "status": "active",
        "intent": "order",
        "code": {"text": "x"},
        "subject": {"reference": "Patient/p2"},
    }
    record = asked_about("p1", observation(), other)

    found = [record.medicines, record.conditions, record.orders]

    assert not any(found)
    assert [result.reason for result in record.set_aside] == ["other-patient"]


def test_a_result_without_subject_is_not_used_beside_anothers() -> None:
    record = asked_about(
        "p1",
        observation(),
        observation(id="r2", subject=None, effectiveDateTime="2026-06-01"),
        observation(id="r3", subject={"reference": "Patient/p2"}),
    )

    assert [result.reference for result in record.results] == ["Observation/r1"]
    assert [result.reason for result in record.set_aside] == ["no-subject", "other-patient"]


def test_another_patient_resource_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        asked_about("p1", {"resourceType": "Patient", "id": "p2"}, observation())

    assert caught.value.where == "$.prefetch"
    assert "p2" not in str(caught.value)


def test_an_equal_id_on_the_server_of_the_patient_counts() -> None:
    patient: Json = {"resourceType": "Patient", "id": "p1"}
    elsewhere = subject("https://elsewhere.example/Patient/p1")

    with pytest.raises(RequestError):
        asked_about("p1", patient, elsewhere)


def test_a_patient_of_a_collection_is_known_by_its_address() -> None:
    given = input_of(subject(f"urn:uuid:{UUID}"))
    patient = input_of({"resourceType": "Patient", "id": "p1"}).entries[0]
    address = f"urn:uuid:{UUID}"
    entries = (*given.entries, type(patient)(full_url=address, resource=patient.resource))
    record = read_record(READER, replace(given, entries=entries), now=NOW, zone=ZoneInfo("UTC"))

    assert (len(record.results), record.patient.reference) == (1, "Patient/p1")


def test_a_file_is_about_its_one_subject() -> None:
    assert record_of(observation()).patient.reference == "Patient/p1"
    assert record_of(subject(None)).patient.reference == ""


def test_a_file_about_two_patients_is_refused() -> None:
    with pytest.raises(RequestError, match="one patient"):
        record_of(observation(), observation(id="r2", subject={"reference": "Patient/p2"}))
    with pytest.raises(RequestError, match="one patient"):
        record_of({"resourceType": "Patient", "id": "a"}, {"resourceType": "Patient", "id": "b"})


HOSPITAL, OTHER_HOSPITAL = "https://hospital.example/numbers", "https://clinic.example/numbers"
NUMBERED: Json = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [
        {"system": HOSPITAL, "value": "100"},
        {"system": HOSPITAL, "value": "7", "use": "old"},
        {"value": "999"},
    ],
}


def numbered(system: str | None, value: object, reference: str | None = None) -> Json:
    named = {"reference": reference} if reference else {}
    identifier = {"system": system, "value": value} if system else {"value": value}
    return observation(subject={**named, "identifier": identifier})


@pytest.mark.parametrize("reference", [None, "Patient/p1"])
@pytest.mark.parametrize(
    ("system", "value"),
    [
        (HOSPITAL, "100"),
        (HOSPITAL, " 100 "),
        (HOSPITAL, 7),
        (HOSPITAL, "7 "),
        (OTHER_HOSPITAL, "555"),
        (HOSPITAL, ""),
        (HOSPITAL, {"odd": True}),
        (None, "555"),
    ],
)
def test_a_number_of_the_patient_or_of_an_unknown_system_is_no_obstacle(
    system: str | None, value: object, reference: str | None
) -> None:
    assert len(asked_about("p1", NUMBERED, numbered(system, value, reference)).results) == 1


@pytest.mark.parametrize("reference", [None, "Patient/p1", f"{SERVER}/Patient/p1", "#p1"])
def test_another_number_of_a_system_of_the_patient_is_another_patient(
    reference: str | None,
) -> None:
    other = numbered(HOSPITAL, "101", reference)
    with pytest.raises(RequestError, match="all of another"):
        asked_about("p1", NUMBERED, other)

    record = asked_about("p1", NUMBERED, observation(id="r2"), other)

    assert [result.reference for result in record.results] == ["Observation/r2"]
    assert [result.reason for result in record.set_aside] == ["other-patient"]


def test_a_number_names_the_patient_beside_anothers_results() -> None:
    other = observation(id="r2", subject={"reference": "Patient/p2"})

    record = asked_about("p1", NUMBERED, numbered(HOSPITAL, "100"), other)

    assert [result.reference for result in record.results] == ["Observation/r1"]


def test_two_numbers_of_one_system_are_two_patients() -> None:
    second = {**numbered(HOSPITAL, "8"), "id": "r2"}
    with pytest.raises(RequestError, match="none of these"):
        asked_about("p1", numbered(HOSPITAL, "7"), second)

    record = asked_about("p1", numbered(HOSPITAL, "7"), second, observation(id="r3"))

    assert [result.reference for result in record.results] == ["Observation/r3"]
    assert [result.reason for result in record.set_aside] == ["no-subject", "no-subject"]


def test_a_patient_whose_numbers_cannot_be_read_has_none() -> None:
    odd = {**NUMBERED, "identifier": "100"}

    assert len(asked_about("p1", odd, numbered(HOSPITAL, "101")).results) == 1
