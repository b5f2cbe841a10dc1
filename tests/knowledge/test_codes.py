# SPDX-License-Identifier: Apache-2.0
"""Check digits catch a mistyped code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.knowledge.model.code_systems import (
    ICD_10_CM,
    LOINC,
    RXNORM,
    SNOMED,
    is_well_formed,
    loinc_is_well_formed,
    snomed_is_well_formed,
)


@pytest.mark.parametrize("code", ["1742-6", "1743-4", "1920-8", "6768-6", "718-7", "34714-6"])
def test_published_loinc_codes_pass(code: str) -> None:
    assert loinc_is_well_formed(code)


@pytest.mark.parametrize(
    "code",
    ["", "-", "1742", "1742-", "-6", "1742-5", "1742-66", "1724-6", "17426", "LP1742-6", "1742 -6"]
    + ["1742-6 ", "1742-6-6", "١٧٤٢-٦", "1742-６", "01742-6"],
)
def test_what_is_no_loinc_code_does_not(code: str) -> None:
    assert not loinc_is_well_formed(code)


@pytest.mark.parametrize("code", ["19943007", "138875005", "404684003", "73211009", "64572001"])
def test_published_snomed_codes_pass(code: str) -> None:
    assert snomed_is_well_formed(code)


@pytest.mark.parametrize(
    "code",
    ["", "0", "19943008", "19934007", "19943007 ", "A19943007", "１９９４３００７", "019943007"],
)
def test_what_is_no_snomed_code_does_not(code: str) -> None:
    assert not snomed_is_well_formed(code)


@given(
    number=st.integers(100, 9_999_999).map(str),
    place=st.integers(0, 6),
    other=st.integers(0, 9).map(str),
)
def test_one_wrong_digit_is_always_caught(number: str, place: int, other: str) -> None:
    place %= len(number)
    wrong = number[:place] + other + number[place + 1 :]
    digit = next(d for d in "0123456789" if loinc_is_well_formed(f"{number}-{d}"))
    snomed = next(d for d in "0123456789" if snomed_is_well_formed(f"9000{number}{d}"))

    assert loinc_is_well_formed(f"{wrong}-{digit}") is (wrong == number)
    assert snomed_is_well_formed(f"9000{wrong}{snomed}") is (wrong == number)


@pytest.mark.parametrize(
    ("system", "code", "expected"),
    [
        (LOINC, "1742-6", True),
        (LOINC, "1742-7", False),
        (SNOMED, "19943007", True),
        (SNOMED, "19943001", False),
        (RXNORM, "6038", True),
        (RXNORM, "anything", False),
        (ICD_10_CM, "K74.6", True),
        ("https://example.org/codes", "", False),
    ],
)
def test_a_system_without_check_digit_needs_only_a_code_of_its_form(
    system: str, code: str, expected: bool
) -> None:
    assert is_well_formed(system, code) is expected
