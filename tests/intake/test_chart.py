# SPDX-License-Identifier: Apache-2.0
"""The patient, medicines, conditions and orders."""

from datetime import UTC, date, datetime

import pytest

from cds_service.fhir.tags import PROPOSAL_CODE, PROPOSAL_SYSTEM
from cds_service.labs.patient_record import Incomplete, Recorded
from cds_service.prefetch_keys import Kind
from tests.intake.intake_fixtures import NOW, Json, coded, record_of

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SNOMED = "http://snomed.info/sct"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def patient(**other: object) -> Json:
    return {"resourceType": "Patient", "id": "p1", **other}


def prescription(**other: object) -> Json:
    made: Json = {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept": coded("6038", system=RXNORM, text="isoniazid 300 mg"),
        "dosageInstruction": "as directed",
        "category": {"text": "an object, as the sandbox sends it"},
        **other,
    }
    return {name: value for name, value in made.items() if value is not None}


def statement(**other: object) -> Json:
    return prescription(resourceType="MedicationStatement", intent=None, **other)


def condition(**other: object) -> Json:
    return {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/p1"},
        "code": coded("19943007", system=SNOMED, text="cirrhosis"),
        **other,
    }


def order(**other: object) -> Json:
    return {
        "resourceType": "ServiceRequest",
        "id": "o",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "code": coded("1742-6"),
        "authoredOn": "2026-06-10T08:00:00Z",
        **other,
    }


@pytest.mark.parametrize(
    ("sent", "born"),
    [
        ("1976-05-03", (date(1976, 5, 3), date(1976, 5, 3))),
        ("1976-02", (date(1976, 2, 1), date(1976, 2, 29))),
        ("1976", (date(1976, 1, 1), date(1976, 12, 31))),
        ("2026", (date(2026, 1, 1), date(2026, 6, 15))),
        ("2026-06-15", (date(2026, 6, 15), date(2026, 6, 15))),
        ("2026-06-16", None),
        ("1976-13", None),
        ("unknown", None),
        ("1900-01-01", None),
        ("1900-01-01T00:00:00Z", None),
        ("1899-12-30", None),
        ("1900-01-02", (date(1900, 1, 2), date(1900, 1, 2))),
        ("1900", (date(1900, 1, 1), date(1900, 12, 31))),
        ("1976-05-03T00:00:00", (date(1976, 5, 3), date(1976, 5, 3))),
        ("1976-05-03T08:00:00", (date(1976, 5, 3), date(1976, 5, 3))),
        ("1976-05-03T00:00:00Z", (date(1976, 5, 3), date(1976, 5, 3))),
        ("1976-05-03T00:00:00.000+05:30", (date(1976, 5, 3), date(1976, 5, 3))),
        ("1976-05-03 00:00:00", (date(1976, 5, 3), date(1976, 5, 3))),
        (" 1976-05-03 ", (date(1976, 5, 3), date(1976, 5, 3))),
        # midnight of another clock, written in UTC: either of the two days
        ("1976-05-02T22:30:00-05:00", (date(1976, 5, 2), date(1976, 5, 3))),
        ("2026-06-16T00:00:00Z", None),
        ("1976-05-03T", None),
        ("1976-05-03Tmorning", None),
        ("1976-05-32T00:00:00", None),
        ("", None),
        (None, None),
    ],
)
def test_a_birth_date_is_the_days_it_can_mean(
    sent: str | None, born: tuple[date, date] | None
) -> None:
    assert record_of(patient(birthDate=sent)).patient.born == born


@pytest.mark.parametrize(
    ("gender", "sex"),
    [("male", "male"), ("female", "female"), ("other", None), ("unknown", None), (None, None)],
)
def test_gender_tells_the_sex_only_where_it_does(gender: str | None, sex: str | None) -> None:
    assert record_of(patient(gender=gender)).patient.sex == sex


@pytest.mark.parametrize(
    ("other", "deceased"),
    [
        ({}, False),
        ({"deceasedBoolean": False}, False),
        ({"deceasedBoolean": True}, True),
        ({"deceasedDateTime": "2026-01"}, True),
        ({"deceasedDateTime": "2026-06-15"}, True),
        ({"deceasedDateTime": "2026-06-15T08:00:00Z"}, True),
        ({"deceasedDateTime": ""}, False),
        ({"deceasedDateTime": "2026-06-16"}, None),
        ({"deceasedDateTime": "2126-06-15T08:00:00Z"}, None),
        ({"deceasedDateTime": "no"}, None),
        ({"deceasedDateTime": "no", "deceasedBoolean": True}, True),
        ({"deceasedDateTime": "no", "deceasedBoolean": False}, None),
    ],
)
def test_who_has_died_is_known(other: Json, deceased: bool | None) -> None:
    record = record_of(patient(**other))

    assert (record.patient.deceased, record.patient.reference) == (deceased, "Patient/p1")


def test_a_medicine_keeps_all_codes_and_names() -> None:
    concept = {
        "coding": [
            {"system": f"{RXNORM}/", "code": "6038", "display": "isoniazid"},
            {"system": "urn:site", "code": "x"},
        ],
        "text": "INH",
    }
    record = record_of(prescription(medicationCodeableConcept=concept))

    assert record.medicines == (
        Recorded(
            codes=((RXNORM, "6038"), ("urn:site", "x")),
            texts=("INH", "isoniazid"),
            reference="MedicationRequest/m",
        ),
    )


@pytest.mark.parametrize(
    "made",
    [
        prescription(),
        prescription(intent="instance-order"),
        prescription(intent=None),
        statement(),
        prescription(doNotPerform=False),
    ],
)
def test_an_active_medicine_counts(made: Json) -> None:
    assert len(record_of(made).medicines or ()) == 1


@pytest.mark.parametrize(
    "made",
    [
        prescription(intent="proposal"),
        prescription(intent="plan"),
        prescription(intent="option"),
        prescription(status="completed"),
        prescription(status="on-hold"),
        prescription(status="draft"),
        prescription(status=None),
        prescription(doNotPerform=True),
        statement(status="intended"),
        statement(status="stopped"),
        statement(status="not-taken"),
    ],
)
def test_another_medicine_does_not_count(made: Json) -> None:
    assert record_of(made).medicines == ()


@pytest.mark.parametrize(
    "reference",
    [
        "Medication/x",
        "https://fhir.example/Medication/x",
        "https://fhir.example/Medication/x/_history/3",
        "#x",
    ],
)
def test_a_product_is_followed_to_its_codes_and_ingredients(reference: str) -> None:
    product: Json = {
        "resourceType": "Medication",
        "id": "x",
        "code": coded("197832", system=RXNORM),
        "ingredient": [{"itemCodeableConcept": coded("6038", system=RXNORM, text="isoniazid")}],
    }
    made = prescription(
        medicationCodeableConcept=None,
        medicationReference={"reference": reference, "display": "a tablet"},
    )
    sent = [prescription(**made, contained=[product])] if reference == "#x" else [made, product]
    if reference == "#x":
        sent[0].pop("medicationCodeableConcept")
    (found,) = record_of(*sent).medicines or ()

    assert found.codes == ((RXNORM, "197832"), (RXNORM, "6038"))
    assert found.texts == ("isoniazid", "a tablet")


def test_a_medicine_without_code_or_name_makes_the_record_incomplete() -> None:
    made = prescription(
        medicationCodeableConcept=None, medicationReference={"reference": "Medication/elsewhere"}
    )

    assert record_of(made).incomplete == (Incomplete("medicines", "unnamed"),)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"clinicalStatus": coded("active", system=CLINICAL)},
        {"clinicalStatus": coded("recurrence", system=CLINICAL)},
        {"clinicalStatus": coded("relapse", system=CLINICAL)},
        {"clinicalStatus": "active"},
        {"verificationStatus": coded("provisional")},
        {"clinicalStatus": coded("active"), "abatementDateTime": "2020"},
        {"abatementDateTime": "2027-01-01"},
        {"category": "problem-list-item"},
    ],
)
def test_a_condition_in_force_counts(other: Json) -> None:
    (found,) = record_of(condition(**other)).conditions or ()

    assert (found.codes, found.texts) == (((SNOMED, "19943007"),), ("cirrhosis",))


@pytest.mark.parametrize(
    "other",
    [
        {"clinicalStatus": coded("inactive")},
        {"clinicalStatus": coded("resolved")},
        {"clinicalStatus": coded("remission")},
        {"clinicalStatus": "resolved"},
        {"verificationStatus": coded("refuted")},
        {"verificationStatus": coded("entered-in-error")},
        {"verificationStatus": "refuted"},
        {"abatementDateTime": "2020-01-01"},
    ],
)
def test_another_condition_does_not_count(other: Json) -> None:
    assert record_of(condition(**other)).conditions == ()


@pytest.mark.parametrize("status", ["draft", "active", "on-hold"])
def test_an_open_order_counts(status: str) -> None:
    (found,) = record_of(order(status=status, priority="urgent")).orders or ()

    assert (found.codes, found.priority, found.reference) == (
        (("http://loinc.org", "1742-6"),),
        "urgent",
        "ServiceRequest/o",
    )
    assert found.authored == datetime(2026, 6, 10, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "other",
    [
        {"status": "completed"},
        {"status": "revoked"},
        {"status": "entered-in-error"},
        {"status": None},
        {"intent": "proposal"},
        {"doNotPerform": True},
        {"code": None},
        {"meta": {"tag": [{"system": PROPOSAL_SYSTEM, "code": PROPOSAL_CODE}]}},
        {"meta": {"tag": {"system": PROPOSAL_SYSTEM, "code": PROPOSAL_CODE}}},
        {"modifierExtension": [{"url": "https://x.example"}]},
    ],
)
def test_another_order_does_not_count(other: Json) -> None:
    assert record_of(order(**other)).orders == ()


@pytest.mark.parametrize("priority", [None, "routine", "whenever"])
def test_an_order_is_routine_unless_it_says_more(priority: str | None) -> None:
    (found,) = record_of(order(priority=priority)).orders or ()

    assert found.priority == "routine"


@pytest.mark.parametrize(
    ("authored", "expected"), [(None, None), ("soon", None), ("2026-06", NOW), ("2026-06-15", NOW)]
)
def test_the_time_of_an_order_may_be_partial_or_missing(
    authored: str | None, expected: datetime | None
) -> None:
    (found,) = record_of(order(authoredOn=authored)).orders or ()

    assert found.authored == expected


def test_what_was_never_asked_for_is_not_known() -> None:
    record = record_of(patient())

    assert (record.medicines, record.conditions, record.orders) == (None, None, None)


def test_what_was_asked_for_in_vain_is_empty() -> None:
    kinds: frozenset[Kind] = frozenset({"MedicationStatement", "Condition", "ServiceRequest"})
    record = record_of(patient(), available=kinds)

    assert (record.medicines, record.conditions, record.orders) == ((), (), ())


@pytest.mark.parametrize("status", ["Active", " active", "ACTIVE "])
def test_a_status_in_another_spelling_is_read(status: str) -> None:
    assert len(record_of(prescription(status=status)).medicines or ()) == 1


@pytest.mark.parametrize("other", [{"status": None}, {"status": "activ"}, {"intent": "ordered"}])
def test_a_medicine_that_may_be_in_force_makes_the_list_incomplete(other: Json) -> None:
    record = record_of(prescription(**other))

    assert record.medicines == ()
    assert record.incomplete == (Incomplete("medicines", "not usable"),)
    assert not record.is_whole("medicines")


def test_a_condition_of_an_unknown_clinical_status_makes_the_list_incomplete() -> None:
    record = record_of(condition(clinicalStatus={"coding": [{"code": "activ"}]}))

    assert record.incomplete == (Incomplete("conditions", "not usable"),)


@pytest.mark.parametrize(
    "coding", [{"code": "6038"}, {"system": "http://www.nlm.nih.gov/research/umls/rxnorm/x"}]
)
def test_a_medicine_that_only_a_code_of_no_system_names_is_not_known(coding: Json) -> None:
    record = record_of(prescription(medicationCodeableConcept={"coding": [coding]}))

    assert record.incomplete == (Incomplete("medicines", "unnamed"),)


@pytest.mark.parametrize(
    "coding",
    [
        {"system": SNOMED, "code": "387472004"},
        {"system": ICD_10_CM, "code": "Z79.2"},
        {"system": "http://www.whocc.no/atc", "code": "J04AC01"},
        {"system": RXNORM, "code": "06038"},
    ],
)
def test_a_medicine_under_a_code_that_no_fact_can_read_is_not_known(coding: Json) -> None:
    record = record_of(prescription(medicationCodeableConcept={"coding": [coding]}))

    assert record.incomplete == (Incomplete("medicines", "unnamed"),)


@pytest.mark.parametrize(
    "coding",
    [
        {"system": RXNORM, "code": "5712"},
        {"system": "http://hl7.org/fhir/sid/icd-9-cm", "code": "571.2"},
        {"system": SNOMED, "code": "019943007"},
    ],
)
def test_a_condition_under_a_code_that_no_fact_can_read_is_not_known(coding: Json) -> None:
    record = record_of(condition(code={"coding": [coding]}))

    assert record.incomplete == (Incomplete("conditions", "unnamed"),)


@pytest.mark.parametrize("code", ["K74.60", "K7460", "k74.60", " k7460 "])
def test_a_code_of_icd_10_cm_counts_however_it_is_written(code: str) -> None:
    coding = {"system": ICD_10_CM, "code": code}
    (found,) = record_of(condition(code={"coding": [coding]})).conditions or ()

    assert found.codes == ((ICD_10_CM, "K74.60"),)


def test_a_condition_without_code_or_name_makes_the_list_incomplete() -> None:
    record = record_of(condition(code=None))

    assert record.incomplete == (Incomplete("conditions", "unnamed"),)
