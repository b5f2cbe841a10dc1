# SPDX-License-Identifier: Apache-2.0
"""Units: spellings are looked up, never guessed."""

import pytest

from cds_service.amounts import exactly
from tests.intake.intake_fixtures import Json, aside_of, coded, observation, result_of


def sent(text: str | None = None, code: str | None = None, value: float = 2) -> Json:
    pairs = {"value": value, "unit": text, "code": code}
    return observation(
        valueQuantity={name: value for name, value in pairs.items() if value is not None}
    )


@pytest.mark.parametrize(
    ("text", "code", "unit", "value"),
    [
        ("U/L", "U/L", "U/L", 2),
        ("IU/L", None, "U/L", 2),
        (None, "u/l", "U/L", 2),
        ("U / L", "", "U/L", 2),
        ("µkat/L", "ukat/L", "ukat/L", 120),
        ("μkat/L", None, "ukat/L", 120),
        ("units per litre", "U/L", "U/L", 2),
    ],
)
def test_a_known_spelling_is_converted(
    text: str | None, code: str | None, unit: str, value: int
) -> None:
    result = result_of(sent(text, code))

    assert (result.value, result.unit) == (exactly(value), unit)


def test_conversion_is_exact() -> None:
    result = result_of(sent("ukat/L", value=0.67))

    assert str(result.value.exact) == "201/5"  # 40.2


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        (None, None, "unit-missing"),
        ("", " ", "unit-missing"),
        ("furlong", None, "unit-unknown"),
        ("mg/dL", None, "unit-unknown"),
        ("mg/dL", "mg/dl", "unit-unknown"),
        ("furlong", "mg/dL", "unit-unknown"),
        ("U/L", "local-7", "unit-unknown"),
        ("U/L *", "U/L", "unit-unknown"),
        ("U/L", "ukat/L", "unit-conflict"),
        ("U/L", "mg/dL", "unit-conflict"),
        ("mg/dL", "10*9/L", "unit-conflict"),
    ],
)
def test_a_unit_that_is_not_certain_sets_the_result_aside(
    text: str | None, code: str | None, reason: str
) -> None:
    aside = aside_of(sent(text, code))

    assert (aside.reason, aside.marker, aside.code) == (reason, "enzyme", "1742-6")
    assert aside.time is not None


def test_what_was_set_aside_shows_number_and_unit() -> None:
    aside = aside_of(observation(valueQuantity={"value": 3, "comparator": "<", "unit": "stone"}))

    assert (aside.number, aside.unit) == ("<3", "stone")


def test_two_names_of_one_size_do_not_conflict() -> None:
    made = observation(
        code=coded("3298-7"), valueQuantity={"value": 2, "unit": "mg/L", "code": "ug/mL"}
    )

    assert result_of(made).value == exactly(2)


def test_a_ratio_needs_no_unit() -> None:
    result = result_of(observation(code=coded("6301-6"), valueQuantity={"value": 2}))

    assert (result.value, result.unit) == (exactly(2), "")


def test_a_ratio_with_a_foreign_unit_is_not_used() -> None:
    made = observation(code=coded("6301-6"), valueQuantity={"value": 12, "unit": "U/L"})

    assert aside_of(made).reason == "unit-unknown"
