# SPDX-License-Identifier: Apache-2.0
"""Codes and names -> markers, with the names that laboratories print."""

from datetime import UTC

import pytest

from cds_service.fhir.elements import CodeableConcept, Coding
from cds_service.intake.marker_lookup import MarkerLookup, MarkerMatch
from cds_service.intake.pack_reader import PackReader
from cds_service.intake.read_record import read_record
from cds_service.knowledge.model.names import Named, NotUnderstood, words_of
from tests.intake.intake_fixtures import (
    LOCAL,
    NOW,
    Json,
    aside_of,
    coded,
    input_of,
    observation,
    quantity,
    result_of,
)
from tests.web.http_fixtures import liver_pack

PACK = liver_pack()

NAMES = {
    "alt": ("ALT", "Alanine Aminotransferase (ALT)", "ALT(SGPT)", "SGPT/ALT, Serum", "alt  (gpt)",
            "ALT level", "ALT [Catalytic activity/volume]", "ALT SerPl-cCnc", "Serum ALT",
            "ALT (IFCC with P5P)", "ＡＬＴ"),
    "ast": ("AST", "AST (SGOT)", "Aspartate Aminotransferase (AST)", "AST/GOT", "SGOT Level"),
    "alp": ("Alkaline Phosphatase", "ALP", "Alkaline Phosphatase (ALP), Total", "Alk. Phos."),
    "ggt": ("Gamma Glutamyltransferase", "GGT", "Gamma-Glutamyl Transferase (GGT)", "γ-GT"),
    "ck": ("Creatine Kinase (CK)", "CK, Total", "CPK", "Creatine kinase [CK] activity"),
    "total-bilirubin": ("Bilirubin", "Total Bilirubin", "Bilirubin, Total", "Bilirubin (Total)",
                        "Bilirubin.total", "T. Bili", "Bilirubin Total, Serum or Plasma"),
    "direct-bilirubin": ("Direct Bilirubin", "Bilirubin, Direct", "Bilirubin.direct",
                         "Bilirubin, Conjugated", "D. Bili"),
    "albumin": ("Albumin", "Albumin, Serum", "ALB", "Albumin level"),
    "inr": ("INR", "INR(PT)", "PT-INR", "INR, POC", "International Normalized Ratio (INR)"),
    "platelets": ("Platelet Count", "Platelets", "PLT Count", "Platelets (Automated)"),
    "plp": ("Vitamin B6", "Vitamin B6, Plasma", "Pyridoxal 5'-Phosphate", "PLP"),
}  # fmt: skip
LEFT_OVER = {
    "alt": ("ALT ratio", "Macro-ALT", "ALT/AST", "ALT in red blood cells", "ALT, pleural fluid",
            "ALT x ULN", "ALT antibody", "ALT (previous)", "Mean ALT", "ALT urine"),
    "alp": ("ALP bone", "Bone Alkaline Phosphatase", "Alkaline phosphatase.bone", "ALP isoenzymes",
            "Alkaline phosphatase.placental", "ALP, intestinal"),
    "ck": ("CK-MB", "Creatine kinase.MB", "CK.macromolecular", "CK MB/CK total"),
    "total-bilirubin": ("Bilirubin, indirect", "Bilirubin.indirect", "Bilirubin, Urine",
                        "Bilirubin.direct/Bilirubin.total", "Neonatal bilirubin", "Bilirubin delta",
                        "Transcutaneous bilirubin", "Bilirubin, body fluid"),
    "albumin": ("Albumin, Urine", "Albumin/Creatinine", "Albumin/Globulin ratio", "Albumin CSF",
                "Glycated albumin", "Albumin, stool", "Corrected albumin"),
    "inr": ("PT/INR", "INR goal", "INR corrected", "INR mixing study"),
    "platelets": ("Mean platelet volume", "Platelet antibody", "Platelet distribution width",
                  "Platelets.reticulated", "Large platelets", "Platelet function", "Platelet %"),
    "plp": ("Vitamin B6, whole blood", "Vitamin B6 in red cells", "PLP/PA ratio"),
}  # fmt: skip
OF_NOTHING = ("Prealbumin", "Microalbumin", "Urobilinogen", "Cobalt", "Salt", "", "serum", "level")


@pytest.mark.parametrize(
    ("marker", "name"), [(marker, name) for marker, names in NAMES.items() for name in names]
)
def test_a_name_is_read_if_every_word_is_understood(marker: str, name: str) -> None:
    assert PACK.names.of(name) == (Named(marker),)


@pytest.mark.parametrize(
    ("marker", "name"), [(marker, name) for marker, names in LEFT_OVER.items() for name in names]
)
def test_a_word_left_over_may_say_that_it_is_something_else(marker: str, name: str) -> None:
    read = PACK.names.of(name)

    assert isinstance(read, NotUnderstood)
    assert marker in read.markers


@pytest.mark.parametrize("name", OF_NOTHING)
def test_a_name_that_only_contains_the_letters_is_of_no_marker(name: str) -> None:
    assert PACK.names.of(name) is None


def test_the_names_of_the_codes_are_names_and_say_the_method() -> None:
    codes = [(marker.id, code) for marker in PACK.markers.values() for code in marker.codes]

    assert {(code.code, PACK.names.of(code.name)) for _, code in codes} == {
        (code.code, (Named(marker, code.method),)) for marker, code in codes
    }


def test_a_very_long_name_is_not_read() -> None:
    assert isinstance(PACK.names.of("ALT " + "serum " * 100), NotUnderstood)
    assert len(words_of("a " * 10_000)) <= 101


@pytest.mark.parametrize(
    "system",
    ["LOINC", "loinc", " Loinc ", "LN", "https://loinc.org/", "http://loinc.org|2.80"]
    + ["https://www.loinc.org", "urn:oid:2.16.840.1.113883.6.1", "2.16.840.1.113883.6.1"],
)
def test_a_spelling_of_the_system_is_loinc(system: str) -> None:
    assert result_of(observation(code=coded("1742-6", system=system))).code == "1742-6"
    made = observation(code=coded("48134-1", system=system, text="enzyme"))
    assert aside_of(made, names=True).reason == "code-not-in-pack"


@pytest.mark.parametrize("code", ["17426", "1742-5", "1742-", "ALT", "1742_6", "01742-6", "LP1742"])
@pytest.mark.parametrize("system", ["http://loinc.org", "LOINC"])
def test_a_code_that_loinc_cannot_have_is_none(code: str, system: str) -> None:
    made = observation(code=coded(code, system=system, text="Enzyme"))

    result = result_of(made, names=True)

    assert (result.marker, result.code, result.notes) == ("enzyme", "", ("code-malformed",))
    assert aside_of(made).reason == "code-not-in-pack"


def test_so_is_one_that_snomed_ct_cannot_have() -> None:
    made = observation(code=coded("34608001", system="http://snomed.info/sct", text="enzyme"))

    assert result_of(made, names=True).notes == ("code-malformed",)


@pytest.mark.parametrize(
    ("name", "unit", "beside", "expected"),
    [
        ("Enzyme", "U/L", (), ("enzyme", "another-code", "60")),
        ("Enzyme in urine", "U/L", (), ("enzyme", "name-not-understood", "60")),
        ("Sodium", "U/L", (), ("", "code-not-in-pack", "")),
        ("Enzyme", "mmol/L", (), ("", "code-not-in-pack", "")),
        ("Enzyme", "U/L", ("48134-1",), ("", "code-not-in-pack", "")),
    ],
)
def test_a_name_beside_a_code_of_snomed_ct_alone_is_not_believed_and_not_passed_over(
    name: str, unit: str, beside: tuple[str, ...], expected: tuple[str, str, str]
) -> None:
    coding = [
        {"system": "http://snomed.info/sct", "code": "34608000"},
        *({"system": "http://loinc.org", "code": code} for code in beside),
    ]
    made = observation(code={"coding": coding, "text": name}, valueQuantity=quantity(60, unit=unit))

    aside = aside_of(made, names=True)

    assert (aside.marker, aside.reason, aside.number) == expected


@pytest.mark.parametrize("code", ["48134-1", "LP14333-2", "LG6033-6"])
def test_a_code_that_loinc_can_have_says_what_it_is(code: str) -> None:
    made = observation(code=coded(code, text="enzyme"))

    assert aside_of(made, names=True).reason == "code-not-in-pack"


def test_a_good_code_beside_a_malformed_one_counts() -> None:
    coding = [{"system": "http://loinc.org", "code": code} for code in ("1742-5", "1743-4")]

    result = result_of(observation(code={"coding": coding}), names=True)

    assert (result.code, result.notes) == ("1743-4", ())


def test_the_name_of_a_code_says_its_method() -> None:
    code = {"coding": [{"system": LOCAL, "code": "9", "display": "Enzyme with helper"}]}

    assert result_of(observation(code=code), names=True).method == "with P5P"


NOT_UNDERSTOOD = {"text": "Enzyme in urine", "coding": [{"system": LOCAL, "code": "U7"}]}


def test_a_name_not_understood_is_said_of_the_marker_if_the_unit_fits() -> None:
    aside = aside_of(observation(code=NOT_UNDERSTOOD), names=True)

    assert (aside.reason, aside.marker, aside.code) == ("name-not-understood", "enzyme", "U7")
    assert (aside.number, aside.unit) == ("42", "U/L")
    assert aside.time is not None


@pytest.mark.parametrize(
    "other",
    [
        {"valueQuantity": {"value": 4, "unit": "mg/dL"}},
        {"valueQuantity": {"value": 4}},
        {"valueQuantity": None, "valueString": "see report"},
        {"status": "cancelled"},
    ],
)
def test_what_can_be_no_result_of_the_marker_is_not_said(other: Json) -> None:
    aside = aside_of(observation(code=NOT_UNDERSTOOD, **other), names=True)

    assert (aside.reason, aside.marker) == ("code-not-in-pack", "")


def test_a_second_name_with_other_words_makes_the_first_doubtful() -> None:
    code = {"text": "Enzyme", "coding": [{"display": "Enzyme, red cells"}]}

    assert aside_of(observation(code=code), names=True).reason == "name-not-understood"


def test_a_second_text_that_names_no_marker_changes_nothing() -> None:
    code = {"text": "Enzyme", "coding": [{"display": "Chemistry 17"}]}

    assert result_of(observation(code=code), names=True).marker == "enzyme"


@pytest.mark.parametrize(
    ("codes", "is_read"), [(["46418-0"], False), (["46418-0", "6301-6"], True)]
)
def test_a_code_that_is_not_read_is_known_as_one_of_the_marker(
    codes: list[str], is_read: bool
) -> None:
    lookup = MarkerLookup(PACK, names_fallback=True)
    codings = [Coding(system="http://loinc.org", code=code) for code in codes]

    match = lookup.of(CodeableConcept(coding=codings))

    assert isinstance(match, MarkerMatch)
    assert (match.marker, match.is_read) == ("inr", is_read)


@pytest.mark.parametrize(
    ("status", "reason"), [("final", "another-code"), ("cancelled", "status:cancelled")]
)
def test_a_result_under_it_is_named_unless_it_was_withdrawn(status: str, reason: str) -> None:
    sent = observation(code=coded("46418-0"), status=status, valueQuantity={"value": 2.1})

    record = read_record(PackReader(PACK, names_fallback=True), input_of(sent), now=NOW, zone=UTC)

    found = [(result.marker, result.reason, result.number) for result in record.set_aside]
    assert found == [("inr", reason, "2.1")]
