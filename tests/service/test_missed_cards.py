# SPDX-License-Identifier: Apache-2.0
"""Cards that a reviewer found missing or wrong: each stays found."""

import json
from typing import Any

import pytest

from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from cds_service.web import create_app
from tests.vignettes.convert import now_of, request_of

SETTINGS = Settings(profile="development")
NOW = "2026-06-15T09:00:00Z"
Json = dict[str, Any]


@pytest.fixture(name="knowledge", scope="module")
def _knowledge() -> Knowledge:
    return load_knowledge(SETTINGS)


def cards(
    knowledge: Knowledge, results: list[Json], conditions: list[Json], **patient: Any
) -> list[Json]:
    """The cards that come back for these resources of a man of 50, or of who else it is."""
    about = {"ageYears": 50, "sex": "male"}
    vignette = {"inputs": {"patient": about, "observations": [], "now": NOW}}
    body = request_of(vignette)
    body["prefetch"]["patient"].update(patient)
    for key, resources in (("observations", results), ("conditions", conditions)):
        if resources:
            body["prefetch"][key]["entry"] = [{"resource": resource} for resource in resources]
            body["prefetch"][key]["total"] = len(resources)
    app = create_app(SETTINGS, clock=lambda: now_of(vignette), knowledge=knowledge)
    answer = app.test_client().post("/cds-services/liver-patient-view", json=body)
    assert answer.status_code == 200, answer.text
    found: list[Json] = json.loads(answer.text)["cards"]
    return found


def rules(
    knowledge: Knowledge, results: list[Json], conditions: list[Json], **patient: Any
) -> set[str]:
    """The rules whose cards come back."""
    found = cards(knowledge, results, conditions, **patient)
    return {card["extension"]["org.cds-service.card"]["rule"] for card in found}


def observation(name: str, code: str, value: float, unit: str, **more: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": "Patient/vignette"},
        "effectiveDateTime": "2026-06-14T08:00:00Z",
        "valueQuantity": {"value": value, "unit": unit},
        **more,
    }


def alt(name: str, value: float, **more: Any) -> Json:
    return observation(name, "1742-6", value, "U/L", **more)


def condition(text: str, *codings: Json) -> Json:
    return {
        "resourceType": "Condition",
        "id": "problem",
        "code": {"text": text, **({"coding": list(codings)} if codings else {})},
        "subject": {"reference": "Patient/vignette"},
    }


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_specimens_of_one_time_the_higher_counts(knowledge: Knowledge, turned: bool) -> None:
    both = [
        alt("a", 1200, specimen={"reference": "Specimen/a"}),
        alt("b", 20, specimen={"reference": "Specimen/b"}),
    ]

    assert "alt-over-1000" in rules(knowledge, both[::-1] if turned else both, [])


def test_a_date_without_a_time_hides_no_higher_result_of_that_day(knowledge: Knowledge) -> None:
    day = alt("day", 20, effectiveDateTime="2026-06-15")
    hour = alt("hour", 1200, effectiveDateTime="2026-06-15T08:00:00Z")

    assert "alt-over-1000" in rules(knowledge, [day, hour], [])


JAUNDICE_RESULTS = [alt("alt", 400), observation("inr", "6301-6", 2.2, "{INR}")]
LOCAL = {"system": "urn:oid:1.2.3", "code": "J1"}


def test_a_local_code_leaves_the_meaning_to_the_text(knowledge: Knowledge) -> None:
    assert "alf-emergency" in rules(knowledge, JAUNDICE_RESULTS, [condition("Jaundice", LOCAL)])


@pytest.mark.parametrize("text", ["No jaundice", "Family history of jaundice"])
def test_a_text_that_denies_says_nothing(knowledge: Knowledge, text: str) -> None:
    assert "alf-emergency" not in rules(knowledge, JAUNDICE_RESULTS, [condition(text)])


def test_a_limit_of_zero_is_no_limit(knowledge: Knowledge) -> None:
    results = [
        alt("alt", 50),
        observation("inr", "6301-6", 1.6, "{INR}"),
        observation("b", "1975-2", 0.5, "mg/dL", referenceRange=[{"high": {"value": 0}}]),
    ]

    assert "alf-emergency" not in rules(knowledge, results, [])


def test_an_old_registered_result_is_not_pending(knowledge: Knowledge) -> None:
    old = alt("old", 60, status="registered", effectiveDateTime="2025-06-14T08:00:00Z")

    assert rules(knowledge, [old], []) == set()


@pytest.mark.parametrize("wider", [(200, ">"), (30, ">=")])
def test_a_diluted_result_is_used_beside_the_one_over_the_range_of_the_analyser(
    knowledge: Knowledge, wider: tuple[float, str]
) -> None:
    number, comparator = wider
    over_range = alt("over-range", number)
    over_range["valueQuantity"]["comparator"] = comparator

    for results in ([over_range, alt("diluted", 2350)], [alt("diluted", 2350), over_range]):
        shown = rules(knowledge, results, [])

        assert "alt-over-1000" in shown
        assert "dq-results-set-aside" not in shown


def test_a_result_outside_the_range_of_another_of_its_time_is_a_conflict(
    knowledge: Knowledge,
) -> None:
    over_range = alt("over-range", 200)
    over_range["valueQuantity"]["comparator"] = ">"

    assert "dq-results-set-aside" in rules(knowledge, [alt("other", 150), over_range], [])


@pytest.mark.parametrize("died", ["not yet", "2126-01-01", "2026-07-01T00:00:00Z"])
def test_a_date_of_death_that_is_none_silences_nothing(knowledge: Knowledge, died: str) -> None:
    (card,) = cards(knowledge, [alt("a", 1500)], [], deceasedDateTime=died)

    assert card["indicator"] == "critical"
    assert "Not known: whether the patient is alive" in card["detail"]


def test_a_child_with_a_time_in_the_birth_date_is_judged_as_a_child(knowledge: Knowledge) -> None:
    (card,) = cards(knowledge, [alt("a", 35)], [], birthDate="2018-02-03T00:00:00")

    assert "26 U/L" in card["detail"]


def test_a_note_on_one_result_silences_the_ast_of_its_specimen(knowledge: Knowledge) -> None:
    ast = observation("ast", "1920-8", 1200, "U/L")
    assert "alt-over-1000" in rules(knowledge, [alt("a", 30), ast], [])

    noted = alt("a", 30, note=[{"text": "Hemolyzed specimen"}])

    assert rules(knowledge, [noted, ast], []) == set()


def test_a_limit_is_shown_as_the_laboratory_sent_it(knowledge: Knowledge) -> None:
    printed = [{"high": {"value": 21, "unit": "umol/L"}}]
    jaundice = observation("b", "14631-6", 50, "umol/L", referenceRange=printed)

    found = cards(knowledge, [alt("a", 400), jaundice], [])

    assert found
    assert all(
        "upper limit of 21 umol/L (the laboratory's own limit)" in c["detail"] for c in found
    )
    assert "1.227783" not in json.dumps(found)


@pytest.mark.parametrize(
    ("born", "value", "open_age"),
    [
        ("2025", 60, True),
        ("2025", 30, None),
        ("2025-05", 60, False),
        ("1960", 60, False),
        ("2008", 60, True),
        ("2026-06-16", 60, True),
    ],
)
def test_every_age_that_a_birth_date_can_mean_is_tried(
    knowledge: Knowledge, born: str, value: float, open_age: bool | None
) -> None:
    found = cards(knowledge, [alt("a", value)], [], birthDate=born)

    if open_age is None:  # a card that says why there may be no other
        (notice,) = found
        assert "the birth date does not tell the age" in notice["detail"]
        return
    assert found
    assert all(("Not known: age" in card["detail"]) is open_age for card in found)


def bilirubin(total: float, direct: Json) -> list[Json]:
    """A raised bilirubin with ALT and ALP that are not, and its direct part."""
    at = {"referenceRange": [{"high": {"value": 120, "unit": "U/L"}}]}
    part = observation("direct", "1968-7", 0, "mg/dL", valueQuantity={**direct, "unit": "mg/dL"})
    return [
        alt("a", 20),
        observation("alp", "6768-6", 70, "U/L", **at),
        observation("total", "1975-2", total, "mg/dL"),
        part,
    ]


@pytest.mark.parametrize(
    ("total", "direct", "rule"),
    [
        (3.0, {"value": 3.05}, "cholestatic-jaundice"),
        (2.0, {"value": 0.2, "comparator": "<"}, "unconjugated-pattern"),
        (2.0, {"value": 0.6, "comparator": "<"}, "unconjugated-pattern"),
        (2.0, {"value": 0.8, "comparator": "<"}, "bilirubin-fraction-needed"),
        (2.0, {"value": 2.5}, "bilirubin-fraction-needed"),
    ],
)
def test_no_direct_bilirubin_silences_a_raised_total(
    knowledge: Knowledge, total: float, direct: Json, rule: str
) -> None:
    assert rules(knowledge, bilirubin(total, direct), []) - {"dq-results-set-aside"} == {rule}


def test_the_rest_of_a_draw_is_not_the_repeat(knowledge: Knowledge) -> None:
    named = (("1920-8", 200, "U/L"), ("6768-6", 110, "U/L"), ("1975-2", 0.8, "mg/dL"))
    tests = [*named, ("1751-7", 4.1, "g/dL"), ("6301-6", 1.0, "{INR}")]

    def orders(time: str) -> set[str]:
        rest = [
            observation(code, code, value, unit, effectiveDateTime=time)
            for code, value, unit in tests
        ]
        found = cards(knowledge, [alt("a", 300), *rest], [])
        return {suggestion["label"] for card in found for suggestion in card.get("suggestions", [])}

    same_draw = orders("2026-06-14T08:02:00Z")

    assert any("Liver panel" in label for label in same_draw)
    assert not any("Liver panel" in label for label in orders("2026-06-14T10:00:00Z"))
