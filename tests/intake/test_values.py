# SPDX-License-Identifier: Apache-2.0
"""Which values are numbers, and which are set aside."""

from fractions import Fraction

import pytest

from cds_service.amounts import Interval, exactly
from tests.intake.intake_fixtures import Json, aside_of, coded, observation, quantity, result_of


def text(value: str) -> Json:
    return observation(valueQuantity=None, valueString=value)


@pytest.mark.parametrize(
    ("raw", "value", "shown"),
    [
        (42, Fraction(42), "42"),
        (0, Fraction(0), "0"),
        (0.08, Fraction(2, 25), "0.08"),
        (1.5e2, Fraction(150), "150.0"),
    ],
)
def test_a_number_is_exact(raw: float, value: Fraction, shown: str) -> None:
    result = result_of(observation(valueQuantity=quantity(raw)))

    assert (result.value, result.sent.number) == (exactly(value), shown)


@pytest.mark.parametrize(
    ("comparator", "value"),
    [
        ("<", Interval(None, Fraction(5), high_open=True)),
        ("<=", Interval(None, Fraction(5))),
        (">", Interval(Fraction(5), None, low_open=True)),
        (">=", Interval(Fraction(5), None)),
    ],
)
def test_a_comparator_makes_an_interval(comparator: str, value: Interval) -> None:
    result = result_of(observation(valueQuantity=quantity(5, comparator=comparator)))

    assert (result.value, result.sent.comparator) == (value, comparator)


@pytest.mark.parametrize(
    ("sent", "number", "comparator", "unit"),
    [
        ("<3 U/L", "3", "<", "U/L"),
        ("> 200 U/L", "200", ">", "U/L"),
        ("≤ 3 IU/L", "3", "<=", "IU/L"),
        ("≥200U/L", "200", ">=", "U/L"),
        ("5.10 U/L", "5.10", None, "U/L"),
        ("  7   U / L ", "7", None, "U / L"),
    ],
)
def test_a_string_may_hold_a_number_with_its_unit(
    sent: str, number: str, comparator: str | None, unit: str
) -> None:
    result = result_of(text(sent))

    shown = (result.sent.number, result.sent.comparator, result.sent.unit)
    assert (number, comparator, unit) == shown


def test_a_string_may_hold_a_unit_that_begins_with_a_number() -> None:
    result = result_of(
        observation(code=coded("777-3"), valueQuantity=None, valueString="140 10*9/L")
    )

    assert (result.value, result.unit) == (exactly(140), "10*9/L")


@pytest.mark.parametrize(
    "sent",
    [
        "see comment", "1,400 U/L", "1,4 U/L", "1 400 U/L", "1'400", "5-10 U/L", "1:40", "5 - 10",
        "~5 U/L", "<", "U/L", "5..1 U/L", "1e3 U/L", "1.500 U/L", ">12.500", "150.000",
        "٥ U/L", "2 1", "5 U/L\nsee note", "5" * 99,
    ],
)  # fmt: skip
def test_a_string_that_is_no_single_number_is_unparseable(sent: str) -> None:
    assert aside_of(text(sent)).reason == "unparseable"


def test_a_number_alone_in_a_string_lacks_its_unit() -> None:
    aside = aside_of(text("5"))

    assert (aside.reason, aside.number, aside.marker) == ("unit-missing", "5", "enzyme")


def test_an_integer_counts_for_a_marker_that_needs_no_unit() -> None:
    made = observation(code=coded("6301-6"), valueQuantity=None, valueInteger=2)

    assert result_of(made).value == exactly(2)


def test_an_integer_lacks_its_unit_otherwise() -> None:
    assert aside_of(observation(valueQuantity=None, valueInteger=2)).reason == "unit-missing"


@pytest.mark.parametrize(
    "value",
    [
        {"valueCodeableConcept": {"text": "positive"}},
        {"valueRange": {"low": {"value": 1}}},
        {"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 40}}},
        {"valueBoolean": True},
        {"valueDateTime": "2026-06-14"},
        {"valueInteger": 1.5},
        {"valueQuantity": quantity("42")},
        {"valueQuantity": quantity(42, comparator="~")},
        {"valueQuantity": quantity(10**50)},
        {"valueQuantity": quantity(True)},
        {"valueQuantity": quantity(42), "valueString": "43 U/L"},
        {"valueQuantity": quantity(42), "valueCodeableConcept": {"text": "high"}},
    ],
)
def test_other_values_are_unparseable(value: Json) -> None:
    assert aside_of(observation(**{"valueQuantity": None, **value})).reason == "unparseable"


@pytest.mark.parametrize(
    "value",
    [
        {"valueQuantity": None},
        {"valueQuantity": None, "dataAbsentReason": {"text": "not done"}},
        {"dataAbsentReason": {"text": "contradicts the value"}},
        {"valueQuantity": {"unit": "U/L"}},
        {"valueQuantity": {"comparator": "<", "unit": "U/L"}},
        {"valueQuantity": {"value": None, "unit": "U/L"}},
        {"valueQuantity": None, "_valueQuantity": {"extension": []}},
        {"valueQuantity": None, "valueString": "  "},
    ],
)
def test_a_missing_value_is_no_value(value: Json) -> None:
    assert aside_of(observation(**value)).reason == "no-value"


@pytest.mark.parametrize(
    "value",
    [quantity(-1), quantity(1001), quantity(0, comparator="<"), quantity(1001, comparator=">")],
)
def test_an_impossible_value_is_implausible(value: Json) -> None:
    assert aside_of(observation(valueQuantity=value)).reason == "implausible"


def test_a_reporting_limit_at_the_edge_of_what_is_plausible_counts() -> None:
    made = observation(valueQuantity=quantity(1000, comparator=">"))

    assert result_of(made).value.low == 1000


@pytest.mark.parametrize(
    "value",
    [quantity(0), quantity(1000), quantity(0, comparator="<="), quantity(200, comparator=">")],
)
def test_an_interval_that_touches_the_possible_is_plausible(value: Json) -> None:
    assert result_of(observation(valueQuantity=value)).sent.number


@pytest.mark.parametrize(
    "sent",
    [
        text(f"&#{'1' * 5000}; 5 U/L"),
        text(f"&#{'1' * 5000};"),
        observation(valueQuantity=quantity(5, comparator=f"&#{'1' * 5000};")),
    ],
)
def test_a_sign_by_a_number_of_thousands_of_digits_is_no_value(sent: Json) -> None:
    assert aside_of(sent).reason == "unparseable"
