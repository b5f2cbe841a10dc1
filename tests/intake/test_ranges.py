# SPDX-License-Identifier: Apache-2.0
"""The laboratory's reference ranges."""

from fractions import Fraction

import pytest

from cds_service.labs.patient_record import ReferenceRange
from tests.intake.intake_fixtures import Json, observation, quantity, result_of

SNOMED = "http://snomed.info/sct"
V3 = "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender"
MEANING = "http://terminology.hl7.org/CodeSystem/referencerange-meaning"


BASES = ("http://hl7.org/fhir", "http://hl7.eu/fhir/laboratory")


def coding(code: str, display: str, system: str = "urn:lab") -> Json:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def comparator(end: str, sign: str, base: str = BASES[0]) -> dict[str, list[Json]]:
    url = f"{base}/StructureDefinition/observation-reference-range-{end}-comparator"
    return {"modifierExtension": [{"url": url, "valueCode": sign}]}


def ranges_of(*ranges: object) -> tuple[ReferenceRange, ...]:
    return result_of(observation(referenceRange=list(ranges))).ranges


def between(low: int | None, high: int | None) -> ReferenceRange:
    return ReferenceRange(
        low=None if low is None else Fraction(low), high=None if high is None else Fraction(high)
    )


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"low": quantity(7), "high": quantity(40)}, between(7, 40)),
        ({"high": quantity(40)}, between(None, 40)),
        ({"low": quantity(7)}, between(7, None)),
        ({"high": {"value": 40}}, between(None, 40)),
        ({"high": {"value": 2, "code": "ukat/L"}}, between(None, 120)),
        ({"high": {"value": 2, "unit": "µkat/l", "code": "ukat/L"}}, between(None, 120)),
        ({"high": {"value": 2, "unit": "microkatals per litre"}}, between(None, 120)),
        ({"text": "7 - 40"}, between(7, 40)),
        ({"text": "7-40 U/L"}, between(7, 40)),
        ({"text": "7 – 40 IU / L"}, between(7, 40)),
        ({"text": "<40"}, between(None, 40)),
        ({"text": "<= 40 U/L"}, between(None, 40)),
        ({"text": "≤40"}, between(None, 40)),
        ({"text": "=<40"}, between(None, 40)),
        ({"text": "7 − 40"}, between(7, 40)),
        ({"text": "7 bis 40"}, between(7, 40)),
        ({"text": "7 a 40 U/L"}, between(7, 40)),
        ({"text": "(7 - 40)"}, between(7, 40)),
        ({"text": "[7-40] U/L"}, between(7, 40)),
        ({"text": "up to 40"}, between(None, 40)),
        ({"text": "bis 40 U/L"}, between(None, 40)),
        ({"text": "Normal: 7-40"}, between(7, 40)),
        ({"text": "Reference range : <= 40 U/L"}, between(None, 40)),
        ({"text": "> 5"}, between(5, None)),
        ({"high": quantity(40), "text": "1 - 2"}, between(None, 40)),
        ({"high": quantity(40), "type": {"coding": [{"code": "normal"}]}}, between(None, 40)),
        ({"high": quantity(40), "type": {"text": "Normal"}}, between(None, 40)),
        ({"high": quantity(40), "type": {}}, between(None, 40)),
        ({"high": quantity(40), "type": {"text": "Normal Range"}}, between(None, 40)),
        ({"high": quantity(40), "type": {"text": " reference  INTERVAL "}}, between(None, 40)),
        ({"high": quantity(40), "type": coding("N", "Normal range")}, between(None, 40)),
        ({"high": quantity(40), **comparator("high", "<=")}, between(None, 40)),
        ({"low": quantity(7), **comparator("low", ">=")}, between(7, None)),
    ],
)
def test_a_range_is_read(sent: Json, expected: ReferenceRange) -> None:
    assert ranges_of(sent) == (expected,)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"text": "see report"},
        {"text": "5 to 10 furlong"},
        {"text": "1" * 200},
        {"high": quantity("40")},
        {"high": {"value": 40, "unit": "mg/dL"}},
        {"high": {"value": 2, "unit": "ukat/L", "code": "7"}},
        {"high": {"value": 40, "unit": "U/L", "code": "kU/L"}},
        {"low": quantity(50), "high": quantity(40)},
        {"high": quantity(40), "type": {"coding": [{"system": MEANING, "code": "treatment"}]}},
        {"high": quantity(40), "type": {"text": "therapeutic"}},
        {"high": quantity(40), "appliesTo": [{"coding": [{"system": SNOMED, "code": "77386006"}]}]},
        {"high": quantity(40), "appliesTo": [{"text": "athletes"}]},
        {"high": quantity(40), "modifierExtension": [{"url": "https://x.example"}]},
        {"high": quantity(40), "age": {"low": {"value": 1, "unit": "furlong"}}},
        {"high": quantity(40), "age": {"low": {"value": -1, "code": "a"}}},
    ],
)
def test_a_range_that_is_not_certain_is_left_out(sent: Json) -> None:
    assert ranges_of(sent, {"high": quantity(99)}) == (between(None, 99),)


@pytest.mark.parametrize(
    ("group", "sex"),
    [
        ({"coding": [{"system": SNOMED, "code": "248152002"}]}, "female"),
        ({"coding": [{"system": SNOMED, "code": "248153007"}]}, "male"),
        ({"coding": [{"system": V3, "code": "F"}]}, "female"),
        ({"coding": [{"system": V3, "code": "M", "display": "Male"}]}, "male"),
        ({"text": "Female"}, "female"),
        ({"text": "men"}, "male"),
    ],
)
def test_a_range_for_a_sex_says_so(group: Json, sex: str) -> None:
    (found,) = ranges_of({"high": quantity(33), "appliesTo": [group]})

    assert found.sex == sex


def test_a_range_for_both_sexes_is_for_all() -> None:
    (found,) = ranges_of(
        {"high": quantity(33), "appliesTo": [{"text": "male"}, {"text": "female"}]}
    )

    assert found.sex is None


@pytest.mark.parametrize(
    ("age", "months"),
    [
        ({"low": {"value": 18, "code": "a"}}, (216, None)),
        ({"high": {"value": 17, "code": "a"}}, (None, 216)),
        ({"high": {"value": 17.99, "unit": "years"}}, (None, 216)),
        ({"high": {"value": 18, "comparator": "<", "code": "a"}}, (None, 216)),
        ({"low": {"value": 1, "code": "mo"}, "high": {"value": 11, "code": "mo"}}, (1, 12)),
        ({"high": {"value": 30, "code": "d"}}, (None, 1)),
        ({"low": {"value": 31, "code": "d"}}, (1, None)),
        ({"low": {"value": 52, "code": "wk"}}, (12, None)),
        ({"low": {}}, (None, None)),
    ],
)
def test_ages_are_completed_months(age: Json, months: tuple[int | None, int | None]) -> None:
    (found,) = ranges_of({"high": quantity(33), "age": age})

    assert (found.age_from, found.age_below) == months


def test_all_ranges_are_kept_for_others_to_choose() -> None:
    found = ranges_of(
        {"high": quantity(33), "appliesTo": [{"text": "male"}]},
        {"high": quantity(25), "appliesTo": [{"text": "female"}]},
    )

    assert [reference_range.high for reference_range in found] == [33, 25]


def test_a_range_sent_as_an_object_is_read() -> None:
    made = observation(referenceRange={"high": quantity(40)})

    assert result_of(made).ranges == (between(None, 40),)


def test_a_range_of_the_wrong_shape_costs_the_range_only() -> None:
    assert result_of(observation(referenceRange="7-40")).ranges == ()


@pytest.mark.parametrize("base", BASES)
def test_an_end_can_be_the_first_value_outside(base: str) -> None:
    (upper,) = ranges_of({"high": quantity(40), **comparator("high", "<", base)})
    (lower,) = ranges_of({"low": quantity(7), **comparator("low", ">", base)})

    assert (upper.high_exclusive, upper.low_exclusive) == (True, False)
    assert (lower.high_exclusive, lower.low_exclusive) == (False, True)


HIGH = comparator("high", "<")["modifierExtension"]


@pytest.mark.parametrize(
    "modifier",
    [
        comparator("high", ">"),
        comparator("high", ">="),
        comparator("high", "ad"),
        comparator("low", ">"),
        comparator("high", "<", "https://elsewhere.example"),
        {"modifierExtension": [*HIGH, *HIGH]},
        {"modifierExtension": [*HIGH, {"url": "urn:another", "valueBoolean": True}]},
        {"modifierExtension": [{"url": "urn:another"}]},
        {"modifierExtension": "text"},
        {"modifierExtension": [{"url": 5}]},
    ],
)
def test_another_modifier_stops_the_use_of_the_range_and_is_said(modifier: Json) -> None:
    result = result_of(observation(referenceRange=[{"high": quantity(40), **modifier}]))

    assert (result.ranges, result.notes) == ((), ("range-not-read",))


@pytest.mark.parametrize(
    "sent",
    [
        {"high": {"value": 40, "unit": "mg/dL"}},
        {"high": {"value": 40, "unit": "furlong"}},
        {"high": quantity("40")},
        {"text": "7 - 40 furlong"},
        {"text": "over 18 years: 7 - 40"},
        {"text": "Therapeutic: 7 - 40"},
        {"text": "7 - 40 - 60"},
        {"text": "women 7 - 40"},
        {"text": "7,5 - 40"},
        {"text": "<> 40"},
        {"text": f"< {'4' * 150}"},
        {"low": quantity(40), "high": quantity(7)},
    ],
)
def test_a_range_that_cannot_be_understood_is_said(sent: Json) -> None:
    assert result_of(observation(referenceRange=[sent])).notes == ("range-not-read",)


@pytest.mark.parametrize(
    "sent",
    [
        {"high": quantity(40), "type": coding("therapeutic", "Therapeutic", MEANING)},
        {"high": quantity(40), "type": coding("therapeutic", "Normal Range", MEANING)},
        {"high": quantity(40), "type": {"text": "Critical"}},
        {"text": "see report"},
    ],
)
def test_a_range_for_something_else_is_not(sent: Json) -> None:
    result = result_of(observation(referenceRange=[sent]))

    assert (result.ranges, result.notes) == ((), ())
