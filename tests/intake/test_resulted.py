# SPDX-License-Identifier: Apache-2.0
"""Results of tests that are no marker, kept because they make an order needless."""

from datetime import UTC, datetime

import pytest

from cds_service.copying import replace
from cds_service.intake.pack_reader import PackReader
from cds_service.intake.read_record import read_record
from cds_service.knowledge.model.code_systems import Code
from cds_service.knowledge.model.pack import Order
from cds_service.labs.patient_record import PatientRecord, Resulted
from tests.intake.intake_fixtures import (
    LOINC,
    NOW,
    PACK,
    Json,
    coded,
    input_of,
    observation,
)
from tests.knowledge.fixture_pack import letters

VIRUS, SAME, OTHER = "5196-1", "5195-3", "13955-0"
SEEN = datetime(2026, 6, 14, 8, 0, tzinfo=UTC)


def order(name: str, *codes: str, days: int | None) -> Order:
    return Order(
        id=name,
        title=name,
        code=Code(system=LOINC, code=codes[0], name=name),
        text=name,
        instruction=None,
        note=None,
        equivalents=frozenset((LOINC, code) for code in codes),
        answered_by=(),
        resulted_days=days,
    )


ORDERS = {
    "virus": order("virus", VIRUS, SAME, "1742-6", days=30),
    "other": order("other", OTHER, days=None),
}
RULE = letters().rules["alpha-high"]
ASKING = replace(
    PACK,
    orders=ORDERS,
    rules={
        "asks": replace(
            RULE, suggestions=tuple(replace(RULE.suggestions[0], order=name) for name in ORDERS)
        )
    },
)


def record_of(*resources: Json) -> PatientRecord:
    given = input_of(*resources)
    return read_record(PackReader(ASKING, names_fallback=False), given, now=NOW, zone=UTC)


def said(code: str = VIRUS, /, **other: object) -> Json:
    text = {"valueQuantity": None, "valueString": "not detected"}
    return observation(code=coded(code), **{**text, **other})


@pytest.mark.parametrize("code", [VIRUS, SAME])
@pytest.mark.parametrize("status", ["final", "amended", "corrected"])
def test_a_test_with_a_result_is_kept_whatever_it_says(code: str, status: str) -> None:
    record = record_of(said(code, status=status))

    assert record.resulted == (Resulted((LOINC, code), SEEN),)
    assert (record.results, record.set_aside) == ((), ())


@pytest.mark.parametrize(
    "more",
    [
        {"status": "preliminary"},
        {"status": "registered"},
        {"status": "cancelled"},
        {"status": "entered-in-error"},
        {"effectiveDateTime": None},
        {"effectiveDateTime": "2026-06-17T08:00:00Z"},  # in the future
    ],
)
def test_what_is_not_final_or_has_no_time_is_no_result(more: Json) -> None:
    record = record_of(said(VIRUS, **more))

    assert record.resulted == ()
    assert [result.reason for result in record.set_aside] == ["code-not-in-pack"]


MODIFIED = [{"url": "https://example.org/not-this-patient", "valueBoolean": True}]
NOT_PERFORMED = {"coding": [{"code": "not-performed"}]}
NOTHING = {"valueQuantity": None, "valueString": None}


@pytest.mark.parametrize(
    "more",
    [
        NOTHING,
        {**NOTHING, "valueQuantity": {"unit": "U/L"}},
        {**NOTHING, "valueString": " "},
        {**NOTHING, "valueCodeableConcept": {}},
        {**NOTHING, "dataAbsentReason": NOT_PERFORMED},
        {"dataAbsentReason": NOT_PERFORMED},
        {"modifierExtension": MODIFIED},
        {**NOTHING, "component": [{"code": coded("0-0"), "dataAbsentReason": NOT_PERFORMED}]},
    ],
)
def test_what_says_nothing_or_may_mean_something_else_is_no_result(more: Json) -> None:
    assert record_of(said(VIRUS, **more)).resulted == ()


@pytest.mark.parametrize(
    "more",
    [
        {"valueCodeableConcept": {"text": "not detected"}},
        {"valueBoolean": False},
        {"valueInteger": 0},
        {"valueQuantity": {"value": 0}},
        {"component": [{"code": coded("0-0"), "valueString": "not detected"}]},
        {"hasMember": [{"reference": "Observation/m1"}]},
    ],
)
def test_any_value_component_or_member_is_a_result(more: Json) -> None:
    record = record_of(said(VIRUS, **{**NOTHING, **more}))

    assert record.resulted == (Resulted((LOINC, VIRUS), SEEN),)


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        ({}, {"valueString": None}),
        ({}, {"dataAbsentReason": NOT_PERFORMED}),
        ({}, {"modifierExtension": MODIFIED}),
        ({"modifierExtension": MODIFIED}, {}),
    ],
)
def test_a_component_counts_only_by_a_value_that_nothing_modifies(whole: Json, part: Json) -> None:
    component = {"code": coded(VIRUS), "valueString": "not detected", **part}
    panel = observation(code=coded("24363-4"), valueQuantity=None, component=[component], **whole)

    assert record_of(panel).resulted == ()


def test_a_result_of_a_marker_counts_too_and_stays_a_result() -> None:
    record = record_of(observation())

    assert record.resulted == (Resulted((LOINC, "1742-6"), SEEN),)
    assert [result.marker for result in record.results] == ["enzyme"]


def test_a_component_counts() -> None:
    part = {"code": coded(VIRUS), "valueString": "not detected"}

    record = record_of(observation(code=coded("24363-4"), valueQuantity=None, component=[part]))

    assert record.resulted == (Resulted((LOINC, VIRUS), SEEN),)


def test_only_orders_that_a_result_answers_are_looked_for() -> None:
    assert record_of(said(OTHER)).resulted == ()


def test_what_is_of_another_patient_does_not_count() -> None:
    other = said(subject={"reference": "Patient/p2"})
    given = replace(input_of(observation(id="r2"), other), patient_id="p1")

    record = read_record(PackReader(ASKING, names_fallback=False), given, now=NOW, zone=UTC)

    assert [past_result.code for past_result in record.resulted] == [(LOINC, "1742-6")]
