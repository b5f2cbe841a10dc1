# SPDX-License-Identifier: Apache-2.0
"""The pieces of units: sizes as UCUM defines them, and problems of `spellings.yaml`."""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pint
import pytest
import ucumvert

from cds_service.knowledge.model.specimen_names import SpecimenNames
from cds_service.knowledge.model.units import LONGEST, Size
from cds_service.knowledge.reading.spellings import spellings_for

CARDS = Path("cards")
SPELLINGS, PROBLEMS = spellings_for(CARDS, "cards")
PIECES = SPELLINGS.units
DIMENSIONS = {"length": "length", "mass": "mass", "time": "time", "amount": "substance"}
NUMERATORS: tuple[str, ...] = (
    "g",
    "mg",
    "ug",
    "ng",
    "pg",
    "mol",
    "mmol",
    "umol",
    "nmol",
    "pmol",
    "mU",
    "kU",
)
NUMERATORS += ("kat", "ukat", "nkat", "10*9", "10*6", "10*3", "10^3", "10*-3", "1")
DIVISORS = ("L", "l", "dL", "mL", "uL", "m3", "dm3", "cm3", "mm3", "g", "kg", "min", "s", "h", "d")


def test_the_spellings_of_the_service_have_no_problem() -> None:
    assert PROBLEMS == []


UNITS_OF_UCUM = (
    *(f"{numerator}/L" for numerator in NUMERATORS),
    *(f"U/{divisor}" for divisor in DIVISORS),
    *("umol.min-1.L-1", "U.L-1", "10*9.L-1", "m2.m", "umol/min/L", "umol/(s.L)", "kat/m3"),
)


@pytest.mark.parametrize("unit", UNITS_OF_UCUM)
def test_every_size_is_that_of_another_reader_of_ucum(unit: str) -> None:
    assert PIECES.size_of(unit) == other(unit)


def other(unit: str) -> Size:
    """The size by ucumvert and pint, whose base unit of mass is the kilogram."""
    registry, sized = _other()
    quantity = sized(unit)
    factor, base = registry.get_base_units(quantity.units)
    names = {f"[{theirs}]": ours for ours, theirs in DIMENSIONS.items()}
    powers = {names[name]: int(power) for name, power in base.dimensionality.items()}
    amount = (
        Fraction(quantity.magnitude) * Fraction(factor) * Fraction(1000) ** powers.get("mass", 0)
    )
    return Size(amount, tuple(sorted(powers.items())))


@cache
def _other() -> tuple[Any, Callable[[str], Any]]:
    registry: Any = pint.UnitRegistry(non_int_type=Fraction)
    registry.load_definitions(Path(ucumvert.__file__).parent / "pint_ucum_defs.txt")
    parser, transformer = ucumvert.get_ucum_parser(), ucumvert.UcumToPintTransformer(registry)
    return registry, lambda unit: transformer.transform(parser.parse(unit))


def test_text_is_bounded() -> None:
    assert PIECES.size_of("U/L".ljust(LONGEST)) == PIECES.size_of("U/L")
    assert PIECES.size_of("U/L".ljust(LONGEST + 1)) is None


@pytest.mark.parametrize(
    "text",
    ["Urin", "Harn", "Proteinurie", "albuminuria", "Sammelurin", "Liquor", "LCR", "CSF", "Punktat"]
    + ["cerebrospinal", "fluid", "Aszites", "ascites", "Pleurapunktat", "pleural", "Stuhl", "stool"]
    + ["faeces", "fecal", "selles", "heces", "feci", "fezes", "Speichel", "salive", "sputum"]
    + [
        "líquido",
        "liquide",
        "drain",
        "Drainagesekret",
        "dialysate",
        "Dialysat",
        "dialisato",
        "semen",
        "sperma",
    ]
    + [
        "sweat",
        "Schweiß",
        "synovial",
        "urinary",
        "ascítico",
        "ascitis",
        "péritonéal",
        "pericardial",
    ]
    + [
        "amniotic",
        "bile",
        "bilis",
        "bílis",
        "Galle",
        "gastric",
        "bile fluid",
        "líquido biliar",
        "milk",
        "swab",
        "tissue",
        "biopsy",
    ]
    + ["lavage", "pus", "vitreous", "Gelenkpunktat", "Fruchtwasser", "Gewebe", "Abstrich", "orina"]
    + ["Mittelstrahlurin", "pleurico", "urinária", "Aszitesflüssigkeit", "Katheterurin"]
    + ["Pleuraerguss", "blood-stained ascites", "Plasma, urine", "Gallenflüssigkeit", "Magensaft"]
    + [
        "dialysis fluid",
        "Créatininurie",
        "hematuria",
        "Mikroalbuminurie",
        "Leucocituria",
        "cétonurie",
    ],
)
def test_other_specimens_than_blood_are_known(text: str) -> None:
    assert SPELLINGS.specimens.name_another(text)


@pytest.mark.parametrize(
    "text",
    [
        "blood, EDTA",
        "serum/plasma",
        "Vollblut",
        "Kapillarblut",
        "sérum",
        "sanguine",
        "suero",
        "soro",
    ]
    + ["siero", "plasmático", "Serumprobe", "sangue", "sang total"],
)
def test_blood_is_known(text: str) -> None:
    assert SPELLINGS.specimens.name_blood(text)
    assert not SPELLINGS.specimens.name_another(text)


@pytest.mark.parametrize(
    "text",
    ["Harnstoff", "Harnsäure", "Bile acids", "Serum vor Dialyse", "Taurin", "Heparin", "Urea"]
    + ["Leber/Galle", "Leber und Galle", "Transaminasen / Galle", "Leber/Galle/Pankreas", "Dialyse"]
    + ["Foie et bile", "Liver and bile ducts", "AP (Leber/Galle)", "GGT Galle", "Liguria", "Curie"]
    + ["Laboratoire Mathurin", "Institut Curie"],
)
def test_tests_with_the_name_of_a_fluid_are_none(text: str) -> None:
    assert not SPELLINGS.specimens.name_another(text)


@pytest.mark.parametrize("text", ["Ureaplasma / Mycoplasma", "Toxoplasma IgG", "EDTA"])
def test_what_sounds_like_blood_is_none(text: str) -> None:
    assert not SPELLINGS.specimens.is_blood(text)


@pytest.mark.parametrize("text", ["Citratplasma", "EDTA-Plasma", "Blutplasma", "Blutserum"])
def test_kinds_of_blood_are_known(text: str) -> None:
    assert SPELLINGS.specimens.is_blood(text)


def test_a_specimen_of_its_own_codes_is_told_in_any_case() -> None:
    known = SpecimenNames(
        tables=frozenset({"urn:Table"}), codes=frozenset({"ser"}), open_codes=frozenset({"xXx"})
    )

    sent = {
        code: known.are_of_another((), [("URN:table|2", code)]) for code in ("SER", "XXX", "UR")
    }
    assert sent == {"SER": False, "XXX": False, "UR": True}
    assert not known.are_of_another((), [("urn:other", "UR")])
    # Letters of a laboratory of its own say nothing beside a code that is known.
    assert known.are_of_another((), [("urn:table", "UR"), ("urn:other", "SER")])


UNITS = """\
units:
  atoms:
    m: dimension length
    L: 0.001 m3
    U: dimension activity
  takes prefixes: [m, L, U]
  prefixes: {m: 0.001}
"""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("  also written: {L: [U]}", "K302"),
        ("  also written: {X: [y]}", "K301"),
        ("  in words: {L: [litre], U: [litre]}", "K302"),
        ("  counts: {many: [k]}", "K204"),
        ("  in capitals: {ML: ml}", "K301"),
        ("  in capital: {ML: mL}", "K104"),
        ("specimens: {others: [urine, '*'], blood: []}", "K204"),
        ("specimens: {others: [], blood: ['serum/plasma']}", "K204"),
        ("  counts: [k]", "K106"),
        ("  counts: {", "K101"),
    ],
)
def test_a_mistake_is_told_at_its_line(tmp_path: Path, line: str, code: str) -> None:
    (tmp_path / "spellings.yaml").write_text(f"{UNITS}{line}\n", encoding="utf-8")

    _, problems = spellings_for(tmp_path, "pack")

    assert {(problem.code, problem.mark.file) for problem in problems} == {
        (code, "pack/spellings.yaml")
    }
    assert all(problem.mark.line >= 8 for problem in problems)


def test_the_nearest_file_counts_whole(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (tmp_path / "spellings.yaml").write_text(UNITS, encoding="utf-8")

    spellings, problems = spellings_for(pack, "pack")

    assert problems == []
    assert spellings.units.size_of("mU/L") == Size(Fraction(1), (("activity", 1), ("length", -3)))
    assert spellings.units.size_of("U/l") is None
