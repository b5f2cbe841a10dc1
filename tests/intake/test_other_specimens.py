# SPDX-License-Identifier: Apache-2.0
"""Results that were not measured in blood, whatever their code or their name says."""

from typing import Any

import pytest

from tests.service.patients import TODAY, cards, observation, request

Json = dict[str, Any]
TABLE = "http://terminology.hl7.org/CodeSystem/v2-"
SERUM_OF_SNOMED_CT = {"system": "http://snomed.info/sct", "code": "119364003"}
EARLIER = "2026-06-15T04:00:00Z"
ALP = observation(
    "alp", "6768-6", 300, "U/L", referenceRange=[{"high": {"value": 120, "unit": "U/L"}}]
)
JAUNDICE = observation("serum", "1975-2", 80, "umol/L", effectiveDateTime=EARLIER)
NOT_USED = (
    "total bilirubin 20 umol/L, 2026-06-15: "
    "its specimen is, or may be, none of blood, serum and plasma"
)
ALT = observation("alt", "1742-6", 1500, "U/L", effectiveDateTime=TODAY)


def fluid(specimen: Json, **other: Any) -> Json:
    """A later and lower bilirubin, under the name that the one in serum has too."""
    made = observation("fluid", "", 20, "umol/L", effectiveDateTime=TODAY, **other)
    return made | {"code": {"text": "Bilirubin, total"}, "specimen": specimen}


def specimen(**kind: Any) -> Json:
    return {"resourceType": "Specimen", "id": "s", "type": kind}


@pytest.mark.parametrize(
    "text",
    ["Ascites", "Ascitic fluid", "Urine, random", "24h-Sammelurin", "Aszitespunktat",
     "líquido ascítico", "urines de 24 heures", "PLEURAL FLUID", "Specimen 7 (CSF)",
     "Aszitesflüssigkeit", "Katheterurin", "Pleuraerguss", "Liquido ascitico", "Urina tipo 1",
     "blood-stained ascites", "Blutiger Aszites", "Ascites, EDTA tube", "Serum and urine",
     "Serum/Urin", "Blut und Urin", "Bile, T-tube", "Galle", "dialysis fluid", "Dialysat",
     "Peritoneal dialysis fluid", "fluid", "Fluid: blood-stained", "Blutiges Aspirat",
     "post-void urine", "CSF (paired with serum)", "Protéinurie des 24 heures",
     "épanchement pleural", "LI\u0301QUIDO asci\u0301tico"],
)  # fmt: skip
def test_a_fluid_does_not_hide_the_result_in_serum(text: str) -> None:
    found = cards(request(JAUNDICE, ALP, fluid({"display": text})))

    assert "cholestatic-jaundice" in found
    assert NOT_USED in found["cholestatic-jaundice"]["detail"]


@pytest.mark.parametrize(
    "kind",
    [
        {"text": "Ascitic fluid"},
        {"text": "Ascitic fluid, EDTA tube"},
        {"coding": [{"system": "urn:lab", "code": "7", "display": "Peritoneal fluid"}]},
        {"coding": {"code": "7", "display": "Urin"}},
        {"coding": [{"system": f"{TABLE}0487", "code": "UR"}]},
        {"coding": [{"system": f"{TABLE}0070", "code": "CSF"}], "text": "tube 3"},
        {"coding": [{"system": f"{TABLE}0487", "code": "UR", "display": "EDTA"}]},
        {"coding": [{"system": f"{TABLE}0487", "code": "ur", "display": "Heparin"}]},
        {"coding": [{"system": f"{TABLE}0487|2.0.0", "code": "UR"}]},
        {"coding": [{"system": "http://hl7.org/fhir/v2/0487", "code": "UR"}]},
        {"coding": [{"system": "http://hl7.org/fhir/v2/0070", "code": "UR"}]},
        {"coding": [{"system": "urn:oid:2.16.840.1.113883.18.311", "code": "UR"}]},
        {"coding": [{"system": "urn:oid:2.16.840.1.113883.18.28", "code": "UR"}]},
        {"coding": [{"system": f"{TABLE}0487", "code": "MBLD", "display": "Blood, Menstrual"}]},
        {"coding": [{"system": f"{TABLE}0487", "code": "ASP", "display": "Blood-stained"}]},
        {"coding": [{"system": f"{TABLE}0487", "code": "XXX"}], "text": "Bile"},
    ],
)
def test_the_type_of_the_specimen_tells(kind: Json) -> None:
    apart = (fluid({"reference": "Specimen/s"}), specimen(**kind))
    inside = (fluid({"reference": "#s"}, contained=[specimen(**kind)]),)

    for sent in (apart, inside):
        found = cards(request(JAUNDICE, ALP, *sent))
        assert NOT_USED in found["cholestatic-jaundice"]["detail"]


def test_the_code_of_the_test_in_serum_does_not_outweigh_the_specimen() -> None:
    sent = fluid({"display": "Ascites"}) | {"code": JAUNDICE["code"]}

    assert NOT_USED in cards(request(JAUNDICE, ALP, sent))["cholestatic-jaundice"]["detail"]


def test_it_is_named_where_there_is_no_other_card() -> None:
    assert set(cards(request(fluid({"display": "Ascites"})))) == {"dq-results-set-aside"}


@pytest.mark.parametrize(
    "text",
    ["Serum", "Blood", "Venous blood", "EDTA-Blut", "blood, EDTA", "serum/plasma", "ABC", "",
     "Specimen 26-1742", "Plasma (fluoride)", "Serum vor Dialyse", "blood, pre-dialysis",
     "Serum vor der Dialyse", "prä-Dialyse Serum", "Serum, Dialyse", "Blut (Dialysepatient)",
     "Blood specimen from dialysis patient", "sang avant la dialyse", "Blood post-biopsy",
     "Blut nach der Biopsie", "Serum post drain removal", "Fluid: serum", "Fluid: whole blood",
     "Serum (paired with CSF)", "ASL 3 Liguria - siero", "Institut Curie - sérum",
     "Serum, peritoneal dialysis patient", "Serum (Galle)", "Leber/Galle"],
)  # fmt: skip
def test_blood_counts_and_so_does_what_is_not_understood(text: str) -> None:
    sent = JAUNDICE | {"specimen": {"display": text}}

    found = cards(request(sent, ALP))
    assert set(found) == {"cholestatic-jaundice"}


@pytest.mark.parametrize(
    "kind",
    [
        {"coding": [{"system": f"{TABLE}0487", "code": "ser"}]},
        {"coding": [{"system": f"{TABLE}0487", "code": "XYZ"}], "text": "Serum"},
        {"coding": [{"system": f"{TABLE}0487", "code": "XYZ"}, SERUM_OF_SNOMED_CT]},
        {"coding": [{"system": "http://snomed.info/sct", "code": "1"}]},  # any specimen
        {"coding": [{"system": "urn:lab", "code": "UR"}]},
    ],
)
def test_a_code_of_blood_counts_and_so_does_one_of_another_system(kind: Json) -> None:
    sent = JAUNDICE | {"specimen": {"reference": "Specimen/s"}}

    assert set(cards(request(sent, ALP, specimen(**kind)))) == {"cholestatic-jaundice"}


@pytest.mark.parametrize(
    ("table", "code", "display"),
    [
        ("0487", "ASERU", None),
        ("0487", "CSERU", None),
        ("0487", "PLEVS", None),
        ("0487", "TSERU", None),
        ("0070", "UMB", None),
        ("0070", "CBLD", None),
        ("0070", "ABLD", None),
        ("0070", "LNV", None),
        ("0070", "LNA", None),
        ("0487", "FBLOOD", None),
        ("0487|2.0.0", "aseru", None),
        # codes that leave it open
        ("0070", "XXX", None),
        ("0070", "ORH", None),
        ("0070", "PAT", None),
        ("0487", "USPEC", None),
        ("0487", "UNK", None),
        ("0487", "OTH", "Source, Other"),
        ("0487", "...", None),
        # codes that are not known, beside words that are
        ("0487", "ZZZ", "Blood venous"),
        ("0487", "ZZZ", "Serum, Acute"),
        ("0487", "ZZZ", "Serum, Peak Level"),
        ("0487", "ZZZ", "Citratplasma"),
    ],
)
def test_a_code_of_blood_or_of_nothing_does_not_lose_the_result(
    table: str, code: str, display: str | None
) -> None:
    coding = {"system": f"{TABLE}{table}", "code": code}
    kind = {"coding": [coding | ({"display": display} if display else {})]}
    sent = ALT | {"specimen": {"reference": "Specimen/s"}}

    assert set(cards(request(sent, specimen(**kind)))) == set(cards(request(ALT)))
    assert "alt-over-1000" in cards(request(sent, specimen(**kind)))


@pytest.mark.parametrize("kind", [7, "urine", [], None, {"text": 7}])
def test_a_type_that_cannot_be_read_says_nothing(kind: object) -> None:
    made = specimen() | {"type": kind}
    sent = JAUNDICE | {"specimen": {"reference": "Specimen/s"}}

    assert set(cards(request(sent, ALP, made))) == {"cholestatic-jaundice"}


def test_what_was_withdrawn_is_not_named_for_its_specimen() -> None:
    sent = fluid({"display": "Urine"}) | {"status": "cancelled"}

    assert cards(request(sent)) == {}
