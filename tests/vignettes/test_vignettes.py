# SPDX-License-Identifier: Apache-2.0
"""Every worked example, sent through HTTP as a hook request, gives exactly the expected cards."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from cds_service.web import create_app
from tests.vignettes.convert import now_of, request_of

VIGNETTES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "vignettes-liver.json").read_text(encoding="utf-8")
)
DATA_QUALITY = "dq-"
SETTINGS = Settings(profile="development", explain="always")


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge(SETTINGS)


def answer(vignette: Mapping[str, Any], knowledge: Knowledge) -> dict[str, Any]:
    now = now_of(vignette)
    app: Flask = create_app(SETTINGS, clock=lambda: now, knowledge=knowledge)
    response = app.test_client().post("/cds-services/liver-patient-view", json=request_of(vignette))
    assert response.status_code == 200, response.text
    result: dict[str, Any] = json.loads(response.text)
    return result


def rule_of(card: Mapping[str, Any]) -> str:
    rule: str = card["extension"]["org.cds-service.card"]["rule"]
    return rule


def suggestion_of(suggestion: Mapping[str, Any], today: date) -> dict[str, Any]:
    (action,) = suggestion["actions"]
    resource = action["resource"]
    period = resource["occurrencePeriod"]
    ends = [(date.fromisoformat(period[end][:10]) - today).days for end in ("start", "end")]
    found = {
        "loinc": resource["code"]["coding"][0]["code"],
        "withinDays": ends,
        "priority": resource["priority"],
    }
    if "isRecommended" in suggestion:
        found["recommended"] = suggestion["isRecommended"]
    return found


def by_loinc(suggestions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(suggestions, key=lambda one: str(one["loinc"]))


@pytest.mark.parametrize("vignette", VIGNETTES, ids=lambda vignette: str(vignette["id"]))
def test_a_worked_example_gives_exactly_the_expected_cards(
    vignette: dict[str, Any], knowledge: Knowledge
) -> None:
    today = now_of(vignette).date()

    body = answer(vignette, knowledge)

    cards = [card for card in body["cards"] if not rule_of(card).startswith(DATA_QUALITY)]
    found = {
        rule_of(card): {
            "indicator": card["indicator"],
            "suggestions": by_loinc(
                [suggestion_of(one, today) for one in card.get("suggestions", [])]
            ),
        }
        for card in cards
    }
    expected = {
        card["id"]: {
            "indicator": card["indicator"],
            "suggestions": by_loinc(card["suggestions"]),
        }
        for card in vignette["expected"]["cards"]
    }
    assert expected == found


@pytest.mark.parametrize("vignette", VIGNETTES, ids=lambda vignette: str(vignette["id"]))
def test_a_worked_example_gives_exactly_the_expected_notices_of_data_quality(
    vignette: dict[str, Any], knowledge: Knowledge
) -> None:
    body = answer(vignette, knowledge)

    found = sorted(
        (rule_of(card), code)
        for card in body["cards"]
        if rule_of(card).startswith(DATA_QUALITY)
        for code in {
            one["code"]
            for one in explanation(body).get("setAside", [])
            if f"{DATA_QUALITY}{one['reason']}" == rule_of(card)
        }
    )
    expected = sorted((one["id"], one["loinc"]) for one in vignette["expected"]["dataQuality"])
    assert expected == found


def explanation(body: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["extension"]["org.cds-service.explanation"]
    return found


