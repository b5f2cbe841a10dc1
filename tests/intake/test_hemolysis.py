# SPDX-License-Identifier: Apache-2.0
"""Hemolysed specimens."""

import pytest

from cds_service.intake.hemolysis import text_says_so
from tests.call_counts import ended_after
from tests.intake.intake_fixtures import Json, observation, record_of, result_of

V2 = "http://terminology.hl7.org/CodeSystem/v2-0493"


def specimen(*conditions: Json, **other: object) -> Json:
    return {"resourceType": "Specimen", "id": "s", "condition": list(conditions), **other}


@pytest.mark.parametrize(
    "condition",
    [
        {"coding": [{"system": V2, "code": "HEM"}]},
        {"text": "Hemolyzed"},
        {"text": "haemolysed sample"},
        {"coding": [{"system": "urn:site", "code": "7", "display": "grossly haemolyzed"}]},
    ],
)
def test_the_condition_of_the_specimen_tells(condition: Json) -> None:
    sent = observation(specimen={"reference": "Specimen/s"})
    held = observation(specimen={"reference": "#s"}, contained=[specimen(condition)])

    (result,) = record_of(sent, specimen(condition)).results
    assert result.hemolysed
    assert result_of(held).hemolysed


@pytest.mark.parametrize(
    "reference", ["https://fhir.example/Specimen/s", "Specimen/s/_history/1", "urn:uuid:1"]
)
def test_other_forms_of_reference_reach_the_specimen(reference: str) -> None:
    made = specimen({"text": "hemolyzed"}, id="1" if reference.startswith("urn") else "s")
    if reference.startswith("urn"):
        reference = "https://fhir.example/Specimen/1"
    (result,) = record_of(observation(specimen={"reference": reference}), made).results

    assert result.hemolysed


@pytest.mark.parametrize(
    "other",
    [
        {"interpretation": [{"coding": [{"code": "HEM"}]}]},
        {"interpretation": [{"text": "Specimen hemolyzed"}]},
        {"note": [{"text": "Moderate haemolysis noted. Interpret with care."}]},
        {"note": {"text": "Hemolysis: 2+"}},
        {"note": [{"text": "not fasting; hemolysed"}]},
    ],
)
def test_interpretation_and_notes_tell(other: Json) -> None:
    assert result_of(observation(**other)).hemolysed


@pytest.mark.parametrize(
    "text",
    [
        "No hemolysis", "not hemolysed", "No evidence of haemolysis", "non-hemolyzed",
        "nonhemolyzed", "unhemolysed", "Hemolysis: none", "hemolysis not detected",
        "Hemolysis index 5", "Hemolysis index: 0", "without visible hemolysis",
        "Hemolysis may raise this result", "if hemolyzed, repeat", "negative for hemolysis",
        "hemoglobin normal", "",
    ],
)  # fmt: skip
def test_a_denial_or_a_warning_does_not_tell(text: str) -> None:
    assert not result_of(observation(note=[{"text": text}])).hemolysed


def test_a_component_shares_the_specimen() -> None:
    made = observation(
        code=None,
        valueQuantity=None,
        interpretation=[{"text": "hemolyzed"}],
        component=[
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": "1742-6"}]},
                "valueQuantity": {"value": 5, "unit": "U/L"},
            }
        ],
    )
    (result,) = record_of(made).results

    assert result.hemolysed


def test_a_long_note_is_read_quickly() -> None:
    note = "no hemolysis " * 20_000

    assert not result_of(observation(note=[{"text": note}])).hemolysed


def test_an_unreadable_note_costs_the_note_only() -> None:
    assert not result_of(observation(note=5, interpretation=7)).hemolysed


NOTED: Json = {"note": [{"text": "Hemolyzed specimen"}]}
ONE, TWO = {"reference": "Specimen/1"}, {"reference": "Specimen/2"}
LATER = "2026-06-10T09:00:00Z"
PIGMENT_RESULT: Json = {
    "id": "noted",
    "code": {"coding": [{"system": "http://loinc.org", "code": "1975-2"}]},
    "valueQuantity": {"value": 1, "unit": "mg/dL"},
}
NOT_OF_THE_PACK = {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]}


def reported(noted: Json, other: Json) -> bool:
    """Whether the other result is known to be hemolysed."""
    record = record_of(observation(**{**PIGMENT_RESULT, **NOTED, **noted}), observation(**other))
    return next(
        result.hemolysed for result in record.results if result.reference == "Observation/r1"
    )


@pytest.mark.parametrize(
    ("noted", "other"),
    [
        ({}, {}),
        ({"specimen": ONE}, {}),
        ({}, {"specimen": ONE}),
        ({"specimen": ONE}, {"specimen": ONE}),
        ({"specimen": ONE, "effectiveDateTime": LATER}, {"specimen": ONE}),
        ({"specimen": ONE}, {"specimen": {"reference": "https://fhir.example/Specimen/1"}}),
        ({"specimen": {"identifier": {"value": "7"}}}, {"specimen": {"identifier": {"value": 7}}}),
        ({"code": NOT_OF_THE_PACK}, {}),
        ({"status": "cancelled", "valueQuantity": None}, {}),
        ({"note": None, "interpretation": [{"text": "haemolysed"}]}, {}),
    ],
)
def test_a_note_speaks_for_the_specimen(noted: Json, other: Json) -> None:
    assert reported(noted, other)


@pytest.mark.parametrize(
    ("noted", "other"),
    [
        ({"effectiveDateTime": LATER}, {}),
        ({"specimen": ONE}, {"specimen": TWO}),
        ({"specimen": ONE, "effectiveDateTime": LATER}, {}),
        ({"status": "entered-in-error"}, {}),
        ({"note": [{"text": "not hemolyzed"}]}, {}),
    ],
)
def test_a_note_speaks_for_no_other_specimen(noted: Json, other: Json) -> None:
    assert not reported(noted, other)


def test_the_specimen_of_another_patient_says_nothing() -> None:
    made = specimen({"text": "hemolyzed"}, subject={"reference": "Patient/p2"})

    (result,) = record_of(observation(specimen={"reference": "Specimen/s"}), made).results

    assert not result.hemolysed


@pytest.mark.parametrize("between", [" ", "\n", " \t", "=", "is", "hemolyz", "no "])
def test_a_long_note_is_read_in_time(between: str) -> None:
    long = between * 60_000

    with ended_after(2):
        assert text_says_so(f"hemolysed; {long}")
        text_says_so(f"hemolysed{long}x")
