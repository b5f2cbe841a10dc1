# SPDX-License-Identifier: Apache-2.0
"""The reasons behind an outcome, for every rule and every result."""

import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.explanation.decisions import explain
from cds_service.hooks.request import read_request
from cds_service.service import answer_hook
from tests.vignettes.convert import now_of, request_of
from tests.web.http_fixtures import (
    ALP,
    ALT,
    AST,
    NOW,
    Json,
    bundle,
    call,
    empties,
    founding,
    knowledge,
    medicine,
    observation,
    patient,
)

VIGNETTES: list[Json] = json.loads(
    (Path(__file__).parents[1] / "data" / "vignettes-liver.json").read_text(encoding="utf-8")
)
SILENT = "*"
WITH_INDEX = [
    vignette
    for vignette in VIGNETTES
    if "altUL" in vignette["expected"]
    and all(not_shown["id"] != SILENT for not_shown in vignette["expected"]["notShown"])
]


def explained(body: Json, now: Any = NOW) -> Json:
    request = read_request(json.dumps(body).encode(), max_depth=64, max_entries=100)
    tree = explain(answer_hook(knowledge(), request, "liver-patient-view", now).outcome)
    found: Json = json.loads(json.dumps(tree))
    assert empties(found) == []
    return found


def rule_in(tree: Json, rule: str) -> Json:
    (found,) = (
        explained_rule for explained_rule in tree["rules"] if explained_rule["rule"] == rule
    )
    return dict(found)


def alt_in(tree: Json) -> Json:
    frame = next(frame for frame in tree["frames"] if frame["index"] == "alt")
    (found,) = (result for result in frame["results"] if result["marker"] == "alt")
    return dict(found)


def test_every_active_rule_of_the_hook_has_an_answer() -> None:
    told = {rule["rule"] for rule in explained(founding())["rules"]}

    active = {
        rule.id
        for rule in knowledge().packs[0].rules.values()
        if rule.status == "active" and "patient-view" in rule.hooks
    }
    assert told == active


def test_a_card_is_explained_by_its_orders_and_what_was_withheld() -> None:
    told = rule_in(explained(founding()), "alt-very-low")

    assert (told["answer"], told["indicator"], told["trigger"]) == ("card", "info", "alt")
    first = told["orders"][0]
    assert first == {
        "order": "repeat-alt",
        "code": ALT,
        "withinDays": [0, 14],
        "priority": "routine",
        "recommended": True,
    }


def test_a_rule_without_enough_data_names_what_is_missing() -> None:
    told = rule_in(explained(founding()), "plp-deficient")

    assert told["answer"] == "not enough data"
    assert told["missing"]


def test_a_rule_that_was_replaced_names_the_other() -> None:
    limit = [{"high": {"value": 40, "unit": "U/L"}}]

    told = rule_in(explained(call(observation(ALT, 90, referenceRange=limit))), "alt-borderline")

    assert (told["answer"], told["replacedBy"]) == ("no card", "alt-mild")


def test_a_result_is_told_with_limit_multiple_band_and_grade() -> None:
    told = alt_in(explained(founding()))

    assert told["sent"] == "1 U/L"
    assert (told["value"], told["unit"], told["status"]) == (1, "U/L", "final")
    assert told["upperLimit"] == {"amount": 40, "shown": "40 U/L", "from": "fallback-40"}
    assert (told["multiple"], told["band"], told["grade"]) == (0.025, "very_low", "very_low")


def test_facts_are_yes_no_or_not_known_and_name_what_made_them_so() -> None:
    body = call(observation(ALT, 1), medicationRequests=bundle(medicine("isoniazid", "6038")))
    del body["prefetch"]["conditions"]

    facts = {fact["fact"]: fact for fact in explained(body)["facts"]}

    assert facts["on-isoniazid"] == {
        "fact": "on-isoniazid", "known": "yes", "names": ["isoniazid"],
    }  # fmt: skip
    assert facts["on-dialysis"]["known"] == "not known"


def test_a_measure_is_told_with_its_word_or_with_the_reason_why_not() -> None:
    alp = observation(ALP, 60, referenceRange=[{"high": {"value": 120, "unit": "U/L"}}])
    young = call(observation(ALT, 150), alp, patient=patient(birthDate="2010-01-01"))

    adult = explained(call(observation(ALT, 150), alp))["frames"][0]["measures"]
    child = explained(young)["frames"][0]["measures"]

    (factor,) = (measure for measure in adult if measure["measure"] == "r-factor")
    assert (factor["value"], factor["called"]) == (7.5, "hepatocellular")
    assert [measure["because"] for measure in child if measure["measure"] == "r-factor"] == [
        "not-applicable:age-under-20"
    ]


def test_what_was_set_aside_is_told_with_its_reason() -> None:
    (told,) = explained(call(observation(AST, 20, "furlongs")))["setAside"]

    assert (told["reason"], told["marker"], told["sent"]) == ("unit-unknown", "ast", "20 furlongs")


def test_a_patient_about_whom_nothing_is_said_is_told_why() -> None:
    told = explained(call(observation(ALT, 1), patient=patient(deceasedBoolean=True)))

    assert told["silent"] == "deceased"
    assert {rule["because"] for rule in told["rules"]} == {"deceased"}
    assert told["facts"]


@pytest.mark.parametrize("vignette", WITH_INDEX, ids=lambda vignette: str(vignette["id"]))
def test_a_worked_example_is_explained_by_the_expected_limit_band_and_grade(
    vignette: Json,
) -> None:
    expected = vignette["expected"]

    told = alt_in(explained(request_of(vignette), now_of(vignette)))

    value = told["value"]
    amount = value if not isinstance(value, dict) else value.get("low", value.get("high"))
    assert amount == pytest.approx(expected["altUL"], abs=1e-6)
    assert (told["band"], told["grade"]) == (expected["seedBand"], expected["grade"])
    limit = told["upperLimit"]
    assert limit["amount"] == pytest.approx(expected["uln"], abs=1e-6)
    assert limit["from"] == expected["ulnSource"]
    assert told.get("nearBoundary", False) == expected.get("nearBoundary", False)
