# SPDX-License-Identifier: Apache-2.0
"""Results that were not measured in blood, whatever their code or their name says."""

from typing import Any

import pytest

from tests.service.patients import TODAY, cards, observation, request

Json = dict[str, Any]
EARLIER = "2026-06-15T04:00:00Z"
ALP = observation(
    "alp", "6768-6", 300, "U/L", referenceRange=[{"high": {"value": 120, "unit": "U/L"}}]
)
JAUNDICE = observation("serum", "1975-2", 80, "umol/L", effectiveDateTime=EARLIER)
NOT_USED = "total bilirubin 20 umol/L, 2026-06-15: its specimen is not blood, serum or plasma"


def fluid(specimen: Json, **other: Any) -> Json:
    """A later and lower bilirubin, under the name that the one in serum has too."""
    made = observation("fluid", "", 20, "umol/L", effectiveDateTime=TODAY, **other)
    return made | {"code": {"text": "Bilirubin, total"}, "specimen": specimen}


def specimen(**kind: Any) -> Json:
    return {"resourceType": "Specimen", "id": "s", "type": kind}


@pytest.mark.parametrize(
    "text",
    ["Ascites", "Ascitic fluid", "Urine, random", "24h-Sammelurin", "Aszitespunktat",
     "líquido ascítico", "urines de 24 heures", "PLEURAL FLUID", "Specimen 7 (CSF)"],
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
    ["Serum", "Blood", "Venous blood", "EDTA-Blut", "Serum and urine", "Specimen 26-1742", "ABC",
     "Plasma (fluoride)", ""],
)  # fmt: skip
def test_blood_counts_and_so_does_what_is_not_understood(text: str) -> None:
    sent = JAUNDICE | {"specimen": {"display": text}}

    found = cards(request(sent, ALP))
    assert set(found) == {"cholestatic-jaundice"}


@pytest.mark.parametrize("kind", [7, "urine", [], None, {"text": 7}])
def test_a_type_that_cannot_be_read_says_nothing(kind: object) -> None:
    made = specimen() | {"type": kind}
    sent = JAUNDICE | {"specimen": {"reference": "Specimen/s"}}

    assert set(cards(request(sent, ALP, made))) == {"cholestatic-jaundice"}


def test_what_was_withdrawn_is_not_named_for_its_specimen() -> None:
    sent = fluid({"display": "Urine"}) | {"status": "cancelled"}

    assert cards(request(sent)) == {}
