# SPDX-License-Identifier: Apache-2.0
"""Every unit of every marker of the packs in every usual spelling, and what only looks like one."""

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.intake.not_usable import NotUsable
from cds_service.intake.units import unit_of
from cds_service.knowledge.model.pack import Marker
from tests.web.http_fixtures import liver_pack

PACK = liver_pack()
WITH_UNIT = [marker for marker in PACK.markers.values() if marker.unit]
INR = PACK.markers["inr"]

# How a piece is written: by capital or small letters, signs that look alike, words, older systems.
WRITTEN = {
    "L": ("L", "l", "litre", "Liter"),
    "dL": ("dL", "dl", "deciliter", "100mL", "100 ml"),
    "mL": ("mL", "ml", "milliliter", "cm3", "cc"),
    "uL": ("uL", "ul", "µL", "μL", "µl", "mcL", "mcl", "microliter", "mm3", "mm^3", "mm³", "cumm",
           "cu mm"),
    "U": ("U", "u", "IU", "UI", "iu", "[IU]", "[iU]", "units", "Units", "unit"),
    "ukat": ("ukat", "µkat", "μkat", "mckat", "microkat", "microkatals"),
    "nkat": ("nkat", "nanokatal"),
    "umol": ("umol", "µmol", "μmol", "mcmol", "uMol", "micromoles", "micromol"),
    "nmol": ("nmol", "nMol", "nanomoles"),
    "g": ("g", "gm", "grams", "gr"),
    "mg": ("mg", "mgm", "milligrams"),
    "ug": ("ug", "µg", "μg", "mcg", "micrograms"),
    "10*9": ("10*9", "10^9", "10⁹", "10E9", "10e9", "x10^9", "x10E9", "X10*9", "x10(9)", "10**9",
             "×10⁹", "×10^9", "E9", "10*9 cells", "10*9{cells}"),
    "10*6": ("10*6", "10^6", "10⁶", "10E6", "10e6", "x10^6", "million", "x10(6)"),
    "10*3": ("10*3", "10^3", "10³", "10E3", "10e3", "x10^3", "x10E3", "x10(3)", "K", "k",
             "Thousand", "thou", "thousand", "x1000", "th"),
    "": ("", "1", "cells", "{cells}", "#"),
}  # fmt: skip
# Other pairs of pieces of the same size.
SAME_SIZE = {
    "U/L": ("mU/mL", "umol/min/L"),
    "10*9/L": ("10*3/uL", "10*6/mL"),
    "ug/L": ("ng/mL", "mg/m3"),
    "ukat/L": ("umol/s/L", "umol/(s.L)", "nkat/mL"),
    "umol/L": ("nmol/mL",),
}


def spellings_of(unit: str) -> Iterator[str]:
    """Every way to write a unit of two pieces, with blanks, `per` and a divisor to the power -1."""
    above, _, below = unit.partition("/")
    for numerator, divisor in product(WRITTEN[above], WRITTEN[below]):
        yield f"{numerator}/{divisor}"
        yield f" {numerator} / {divisor}"
        if numerator and numerator[-1].isalpha():
            yield f"{numerator} per {divisor}"
    yield from (f"{above or '1'}.{below}-1", f"{above or '1'}·{below}⁻¹")
    yield from SAME_SIZE.get(unit, ())


@pytest.mark.parametrize("marker", WITH_UNIT, ids=lambda marker: marker.id)
def test_every_unit_of_a_marker_is_read_in_every_usual_spelling(marker: Marker) -> None:
    wrong = [
        (unit, spelling)
        for unit in dict.fromkeys(marker.units.values())
        for spelling in spellings_of(unit)
        if factor(marker, spelling) != marker.factors[unit]
    ]

    assert wrong == []


@pytest.mark.parametrize("marker", WITH_UNIT, ids=lambda marker: marker.id)
def test_text_and_code_in_two_spellings_agree(marker: Marker) -> None:
    for unit in dict.fromkeys(marker.units.values()):
        for spelling in spellings_of(unit):
            assert unit_of(marker, spelling, unit, PACK).factor == marker.factors[unit]


CAPITALS = ("U/L", "IU/L", "MG/DL", "G/DL", "UMOL/L", "NMOL/L", "UG/L", "MCG/L", "NG/ML", "UKAT/L")
CELLS = ("K/UL", "THOU/UL", "X10E3/UL", "10*3/UL", "K/MCL", "TH/MM3", "K/CUMM", "10*9/L")


def test_older_systems_have_capitals_only() -> None:
    alt, platelets = PACK.markers["alt"], PACK.markers["platelets"]
    read = [
        spelling
        for spelling in CAPITALS
        if any(factor(marker, spelling) is not None for marker in WITH_UNIT)
    ]

    assert read == list(CAPITALS)
    assert {factor(platelets, spelling) for spelling in CELLS} == {1}
    assert factor(alt, "UKAT/L") == 60


ENZYME = (
    "MU/L", "mmol/L", "umol/L", "nmol/L", "U/g", "U/mmol", "g/U", "1/L", "/L", "L", "U", "g/L",
    "mg/dL", "G/L", "G/l", "10*9/L", "K/uL", "U/L/L", "U.L", "L/U", "U/min", "U/24h", "%", "s",
    "{INR}", "ratio", "ULN", "x ULN", "Mkat/L", "M U/L", "U/1", "U/I", "furlong", "U//L", "U/",
    "10*400U/L", "10*99U/L", "U/L U/L", "(U/L", "eq/L", "mosm/L", "[CFU]/L", "[arb'U]/L", "{U}/L",
    "U{ALT}/L", "U/{L}", "mm[Hg]", "Cel", "kg", "UL", "U/dU",
)  # fmt: skip
PIGMENT = (
    "Mg/dL", "U/L", "g", "mg", "mol", "umol", "mg/g", "mg/24h", "mmol/mol", "G/L", "10*9/L", "%",
    "mg/kg", "umol/kg", "mg/min", "MG", "dL/mg", "ug/min", "eq/L", "meq/L", "u/dL",
)  # fmt: skip
COUNT = (
    "g/L", "U/L", "IU/L", "[IU]/L", "[IU]/mL", "fL", "%", "K", "10*9", "10 9/L", "109/L", "T/L",
    "10*400/L", "M/uL", "10*9/kg", "10*9/L/L", "[PFU]/mL", "g/dL", "umol/L", "/m2",
)  # fmt: skip
LOOK_ALIKES = [
    *(("alt", spelling) for spelling in ENZYME),
    *(("total-bilirubin", spelling) for spelling in PIGMENT),
    *(("platelets", spelling) for spelling in COUNT),
    *(("albumin", spelling) for spelling in ("umol/L", "mmol/L", "mg/g", "G/L", "mg/24h", "U/L")),
    *(("plp", spelling) for spelling in ("U/L", "nmol", "nmol/g", "nmol/h", "{nmol}/L")),
    *(
        ("inr", spelling)
        for spelling in ("%", "s", "sec", "{score}", "10*0", "mg/dL", "U/L", "1/1")
    ),
]


@pytest.mark.parametrize(("name", "spelling"), LOOK_ALIKES)
def test_what_only_looks_like_a_unit_of_the_marker_is_unknown(name: str, spelling: str) -> None:
    with pytest.raises(NotUsable) as fault:
        unit_of(PACK.markers[name], spelling, None, PACK)

    assert fault.value.reason == "unit-unknown"


@pytest.mark.parametrize(
    ("name", "spelling", "expected"),
    [
        ("alt", "mU/L", Fraction(1, 1000)),
        ("alt", "kU/L", 1000),
        ("alt", "U/mL", 1000),
        ("alt", "pkat/L", Fraction(6, 100_000)),
        ("total-bilirubin", "mg/L", Fraction(1, 10)),
        ("total-bilirubin", "g/L", 100),
        ("total-bilirubin", "mmol/L", 1000 / Fraction("17.104")),
        ("platelets", "10*3/mL", Fraction(1, 1000)),
        ("platelets", "10*4/uL", 10),
        ("platelets", "10*12/L", 1000),
        ("plp", "pmol/L", Fraction(1, 1000)),
        ("plp", "pg/mL", Fraction("4.0462") / 1000),
    ],
)
def test_another_size_has_its_own_exact_factor(
    name: str, spelling: str, expected: Fraction
) -> None:
    assert factor(PACK.markers[name], spelling) == expected


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        ("U/L", "kU/L", "unit-conflict"),
        ("U/L", "mU/L", "unit-conflict"),
        ("µkat/l", "U/L", "unit-conflict"),
        ("microkatals per litre", "U/L", "unit-conflict"),
        ("µmol/l", "mg/dL", "unit-conflict"),
        ("mmol/L", "U/L", "unit-conflict"),
        ("mm[Hg]", "U/L", "unit-conflict"),
        ("%", "U/L", "unit-conflict"),
        ("ratio", "U/L", "unit-conflict"),
        ("U/L", "G/L", "unit-conflict"),
        ("mmol/l", "mmol/L", "unit-unknown"),
        ("G/L", "10*9/L", "unit-unknown"),
        ("U/L", "258947003", "unit-unknown"),
        ("U/L", "MU/L", "unit-unknown"),
        ("see note", "U/L", "unit-unknown"),
    ],
)
def test_text_and_code_must_name_one_unit(text: str, code: str, reason: str) -> None:
    with pytest.raises(NotUsable) as fault:
        unit_of(PACK.markers["alt"], text, code, PACK)

    assert fault.value.reason == reason


@pytest.mark.parametrize("spelling", [None, "", "INR", "{INR}", "1", "ratio", "{ratio}", "Ratio"])
def test_inr_is_a_pure_number(spelling: str | None) -> None:
    assert factor(INR, spelling) == 1


@given(st.text(st.sampled_from("UuIiLlgmokatμµnd0123456789*^/.()[]{}xXeE ⁹%"), max_size=200))
def test_no_text_is_slow_or_breaks(text: str) -> None:
    for marker in PACK.markers.values():
        found = factor(marker, text)
        assert found is None or found > 0


@pytest.mark.parametrize(
    "text",
    ["(" * 500, "L/" * 500, "10*" + "9" * 30, "10*999999/L", "{" * 40, "m.m" * 15, "ﷺ" * 40],
)
def test_a_hostile_text_is_unknown(text: str) -> None:
    assert all(factor(marker, text) is None for marker in WITH_UNIT)


def test_a_conversion_by_definition_keeps_the_name_of_a_unit_of_the_same_size() -> None:
    alt = PACK.markers["alt"]

    assert unit_of(alt, "umol/s/L", None, PACK).name == "ukat/L"
    assert re.fullmatch("kU/L", unit_of(alt, "kU / L", None, PACK).name)


def factor(marker: Marker, spelling: str | None) -> Fraction | None:
    """The factor of a spelling; `None` if it is not read."""
    try:
        return unit_of(marker, spelling, None, PACK).factor
    except NotUsable:
        return None
