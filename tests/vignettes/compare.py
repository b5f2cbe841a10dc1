# SPDX-License-Identifier: Apache-2.0
"""The answer to a worked example in the terms in which its expectation is written."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

VIGNETTES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "vignettes-liver.json").read_text(encoding="utf-8")
)
DATA_QUALITY = "dq-"
FINDINGS = {
    "dq-conflicting-duplicates",
    "dq-implausible",
    "dq-unit-conflict",
    "dq-unit-missing",
    "dq-unit-unknown",
}
Json = dict[str, Any]


def rule_of(card: Mapping[str, Any]) -> str:
    """The id of the rule behind a card."""
    rule: str = card["extension"]["org.cds-service.card"]["rule"]
    return rule


def cards_of(body: Mapping[str, Any], today: date) -> dict[str, Json]:
    """Indicator and suggestions of each card, but for those of data quality."""
    return {
        rule_of(card): {
            "indicator": card["indicator"],
            "suggestions": by_loinc(
                [suggestion_of(one, today) for one in card.get("suggestions", [])]
            ),
        }
        for card in body["cards"]
        if not rule_of(card).startswith(DATA_QUALITY)
    }


def expected_cards(vignette: Mapping[str, Any]) -> dict[str, Json]:
    """What the example expects, in the same form."""
    return {
        card["id"]: {
            "indicator": card["indicator"],
            "suggestions": by_loinc(card["suggestions"]),
        }
        for card in vignette["expected"]["cards"]
    }


def notices_of(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The findings of data quality that the examples know, each with the code of its result.

    There are some exactly when the one card that tells of them is there.
    """
    found = body["extension"]["org.cds-service.explanation"].get("dataQuality", [])
    assert bool(found) == any(rule_of(card).startswith(DATA_QUALITY) for card in body["cards"])
    return sorted({(one["id"], one["code"]) for one in found if one["id"] in FINDINGS})


def expected_notices(vignette: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the example expects, in the same form."""
    return sorted((one["id"], one["loinc"]) for one in vignette["expected"]["dataQuality"])


def suggestion_of(suggestion: Mapping[str, Any], today: date) -> Json:
    """Order, days, priority and recommendation of a suggestion."""
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


def by_loinc(suggestions: list[Json]) -> list[Json]:
    """In one order."""
    return sorted(suggestions, key=lambda one: str(one["loinc"]))
