# SPDX-License-Identifier: Apache-2.0
"""One specimen is judged alike in FHIR and in HL7 v2."""

import pytest

from cds_service.reports.hl7v2.results import read_results
from tests.reports.messages import HEADER, PATIENT, message, obx
from tests.service.patients import TODAY, cards, observation, request

SYSTEMS = {
    "L": "urn:lab",
    "SCT": "http://snomed.info/sct",
    "HL70070": "http://terminology.hl7.org/CodeSystem/v2-0070",
    "HL70487": "http://terminology.hl7.org/CodeSystem/v2-0487",
}
BLOOD = [
    "^Suero",
    "EB^EDTA-Blut^L",
    "^Siero",
    "VB^Venenblut^L",
    "^Blood, Venous",
    "445295009^Blood specimen with EDTA^SCT",
    "119364003^^SCT",
    "ASERU^^HL70487",
    "aseru^^HL70487",
    "UMB^^HL70070",
    "XXX^^HL70070",
    "USPEC^^HL70487",
    "ZZZ^Serum, Peak Level^HL70487",
    "^Serum vor der Dialyse",
    "D^Blut (Dialysepatient)^L",
    "^Fluid: serum",
    "^Serum (paired with CSF)",
    "^ASL 3 Liguria - siero",
    "7^Tube 7^L",
]
OTHERS = [
    "UR^^HL70487",
    "UR^EDTA^HL70487",
    "UR^Urine^HL70070",
    "U^Urin^L",
    "^Ascites, EDTA tube",
    "^blood-stained ascites",
    "^Serum/Urin",
    "^Blut und Urin",
    "B^Bile, T-tube^L",
    "^Gallenflüssigkeit",
    "MA^Magensaft^L",
    "ZZZ^^HL70487",
    "122575003^Urine specimen^SCT",
    "122575003^^SCT",
    "SER^Bile, T-tube^HL70487",
    "309201001^^SCT",
    "418564007^^SCT",
    "D^dialysis fluid^L",
]


def counts_in_fhir(sent: str) -> bool:
    code, text, system = (*sent.split("^"), "")[:3]
    coding = {"system": SYSTEMS.get(system, ""), "code": code, "display": text}
    coding = {name: value for name, value in coding.items() if value}
    kind = {"coding": [coding]} if code else {"text": text}
    specimen = {"resourceType": "Specimen", "id": "s", "type": kind}
    alt = observation("alt", "1742-6", 1500, "U/L", effectiveDateTime=TODAY)
    alt["specimen"] = {"reference": "Specimen/s"}
    return "alt-over-1000" in cards(request(alt, specimen))


def counts_in_v2(*segments: str) -> bool:
    (about,) = read_results(message(*segments)).patients
    (row,) = about.rows
    assert row.doubt == (None if row.value else "not-in-blood")
    assert bool(row.specimen) is (row.value is None)
    return row.value is not None


def counts_in_order(field: str) -> bool:
    """The specimen of old versions, OBR-15."""
    order = f"OBR|1|||p^Panel^L{'|' * 11}{field}"
    (about,) = read_results(f"{HEADER}\r{PATIENT}\r{order}\r{obx()}".encode()).patients
    return about.rows[0].value is not None


@pytest.mark.parametrize("sent", BLOOD)
def test_blood_counts_whichever_way_it_comes(sent: str) -> None:
    assert counts_in_fhir(sent)
    assert counts_in_v2(obx(), f"SPM|1|||{sent}")
    assert counts_in_order(sent.replace("^", "&"))


@pytest.mark.parametrize("sent", OTHERS)
def test_another_specimen_does_not_count_whichever_way_it_comes(sent: str) -> None:
    assert not counts_in_fhir(sent)
    assert not counts_in_v2(obx(), f"SPM|1|||{sent}")
    assert not counts_in_order(sent.replace("^", "&"))


@pytest.mark.parametrize(
    "sent", ["Suero", "Blut", "BLD", "SER^EDTA", "SER^^fistula", "BLD&Blood&HL70070^EDTA", "UMB"]
)
def test_blood_in_the_field_alone_counts(sent: str) -> None:
    assert counts_in_order(sent)


@pytest.mark.parametrize(
    "sent",
    ["Urin", "UR", "UR^EDTA", "UR^^clean catch", "UR&Urine&HL70070^EDTA", "UR^Urine^HL70070"],
)
def test_another_specimen_in_the_field_alone_does_not_count(sent: str) -> None:
    assert not counts_in_order(sent)
