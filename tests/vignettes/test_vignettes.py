# SPDX-License-Identifier: Apache-2.0
"""Every worked example, sent through HTTP as a hook request, gives exactly the expected cards."""

import json
import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from flask import Flask

from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from cds_service.web import create_app
from tests.vignettes.compare import (
    VIGNETTES,
    cards_of,
    expected_cards,
    expected_notices,
    notices_of,
)
from tests.vignettes.convert import now_of, request_of

ORDER_CODES = {
    "repeat-alt": "1742-6",
    "vitamin-b6": "62236-5",
    "liver-panel": "24325-3",
    "inr": "6301-6",
    "ck": "2157-6",
    "ggt": "2324-2",
    "direct-bilirubin": "1968-7",
    "acetaminophen-level": "3298-7",
}
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


@pytest.mark.parametrize("vignette", VIGNETTES, ids=lambda vignette: str(vignette["id"]))
def test_a_worked_example_gives_exactly_the_expected_cards(
    vignette: dict[str, Any], knowledge: Knowledge
) -> None:
    today = now_of(vignette).date()

    body = answer(vignette, knowledge)

    assert expected_cards(vignette) == cards_of(body, today)


@pytest.mark.parametrize("vignette", VIGNETTES, ids=lambda vignette: str(vignette["id"]))
def test_a_worked_example_gives_exactly_the_expected_notices_of_data_quality(
    vignette: dict[str, Any], knowledge: Knowledge
) -> None:
    body = answer(vignette, knowledge)

    assert expected_notices(vignette) == notices_of(body)


def explanation(body: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["extension"]["org.cds-service.explanation"]
    return found


MEASURES = {
    "astAlt": "ast-alt-ratio",
    "r": "r-factor",
    "apri": "apri",
    "fib4": "fib-4",
    "directFraction": "direct-bilirubin-fraction",
    "deltaRatio": "alt-change",
}
METHODS = {None: "unspecified", "with P5P": "with-P5P", "without P5P": "without-P5P"}


def two_decimals(value: float) -> float:
    return float(Decimal(str(value)).quantize(Decimal("0.01"), ROUND_HALF_UP))


def facts_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a worked example says of the ALT, in its own words."""
    value: Any = result["value"]
    multiple: Any = result.get("multiple")
    limit = result["upperLimit"]
    found: dict[str, Any] = {
        "altUL": value if not isinstance(value, dict) else value.get("high", value.get("low")),
        "seedBand": result["band"],
        "grade": result["grade"],
        "uln": limit["amount"],
        "ulnSource": limit["from"],
        "method": METHODS[result.get("method")],
    }
    if isinstance(value, dict):
        found["comparator"] = re.match(r"[<>]=?", result["sent"])[0]  # type: ignore[index]
        if "low" in multiple:
            found["multipleAtLeast"] = two_decimals(multiple["low"])
    else:
        found["multiple"] = two_decimals(multiple)
    if result.get("gradeAtLeast"):
        found["bandIsMinimum"] = True
    if result.get("nearBoundary"):
        found["nearBoundary"] = True
    return found


def measures_of(frame: Mapping[str, Any]) -> dict[str, Any]:
    measures = {one["measure"]: one for one in frame.get("measures", [])}
    found = {
        name: two_decimals(measures[measure]["value"])
        for name, measure in MEASURES.items()
        if "value" in measures.get(measure, {})
    }
    if "r-factor" in measures:
        found["pattern"] = measures["r-factor"].get("called") or measures["r-factor"]["because"]
    return found


@pytest.mark.parametrize("vignette", VIGNETTES, ids=lambda vignette: str(vignette["id"]))
def test_a_worked_example_is_read_graded_and_measured_as_expected(
    vignette: dict[str, Any], knowledge: Knowledge
) -> None:
    frames = explanation(answer(vignette, knowledge)).get("frames", [])

    found: dict[str, Any] = {}
    for frame in frames:
        for result in frame["results"]:
            if frame["index"] == result["marker"] == "alt":
                found |= facts_of(result) | measures_of(frame)
            if frame["index"] == result["marker"] == "plp":
                found["plpNmolL"] = result["value"]
    told = {"cards", "notShown", "dataQuality"}
    expected = {name: value for name, value in vignette["expected"].items() if name not in told}
    if any(one["id"] == "*" for one in vignette["expected"]["notShown"]):
        return  # the whole pack is silent: nothing else of such an example is compared
    assert expected == found


def reasons_of(body: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Every reason the service gives, in the words of the worked examples."""
    told = explanation(body)
    pairs: set[tuple[str, str]] = set()
    for rule in told["rules"]:
        because = rule.get("because", "")
        pairs.add((rule["rule"], because))
        if because.startswith("replaced-by:"):
            winner = because.removeprefix("replaced-by:")
            pairs.add((rule["rule"], f"subsumed-by:{winner}"))
            pairs.add((rule["rule"], f"subsumed-by:{winner.split('-')[0]}"))
        for one in rule.get("withheld", []):
            code = ORDER_CODES[one["order"]]
            pairs.add((f"{rule['rule']}/{code}", one["because"]))
        if because == "no-eligible-alt":
            pairs.add(("alt-rules", because))
        if because == "index-preliminary":
            pairs.add(("non-critical-rules", because))
    for item in told.get("setAside", []):
        pairs.add((f"observation:{item['code']}", item["reason"]))
    for frame in told.get("frames", []):
        for measure in frame.get("measures", []):
            if "because" in measure:
                pairs.add((measure["measure"].replace("fib-4", "fib4"), measure["because"]))
        for item in frame.get("notUsed", []):
            pairs.add((f"{item['marker']}-based-rules", item["because"]))
    pairs.add(("*", told.get("silent", "")))
    return pairs


@pytest.mark.parametrize("vignette", VIGNETTES, ids=lambda vignette: str(vignette["id"]))
def test_a_worked_example_says_why_a_card_or_an_order_is_not_shown(
    vignette: dict[str, Any], knowledge: Knowledge
) -> None:
    found = reasons_of(answer(vignette, knowledge))

    expected = {(one["id"], one["reason"]) for one in vignette["expected"]["notShown"]}
    assert expected - found == set()
