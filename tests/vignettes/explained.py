# SPDX-License-Identifier: Apache-2.0
"""What the explanation of an answer tells, in the terms of a worked example's expectation."""

import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cds_service.service import Knowledge
from tests.vignettes.compare import Difference, Json

MEASURES = {
    "astAlt": "ast-alt-ratio",
    "r": "r-factor",
    "apri": "apri",
    "fib4": "fib-4",
    "directFraction": "direct-bilirubin-fraction",
    "deltaRatio": "alt-change",
}
METHODS = {None: "unspecified", "with P5P": "with-P5P", "without P5P": "without-P5P"}
TOLD_BY_CARDS = {"cards", "notShown", "dataQuality", "alsoNoted"}


def explanation(body: Mapping[str, Any]) -> Json:
    """The explanation that came with an answer."""
    found: Json = body["extension"]["org.cds-service.explanation"]
    return found


def order_codes(knowledge: Knowledge) -> dict[str, str]:
    """The code of each order, by its id."""
    return {
        name: order.code.code for pack in knowledge.packs for name, order in pack.orders.items()
    }


def differences_explained(
    vignette: Mapping[str, Any], body: Mapping[str, Any], codes: Mapping[str, str]
) -> Iterator[Difference]:
    """What is read, graded, measured or given as a reason otherwise than expected."""
    yield from _in_readings(vignette, body)
    found = reasons_of(body, codes)
    for hidden in vignette["expected"]["notShown"]:
        if (hidden["id"], hidden["reason"]) not in found:
            others = sorted(reason for name, reason in found if name == hidden["id"])
            text = (
                f"{hidden['id']}: expected {hidden['reason']}, found {', '.join(others) or 'none'}"
            )
            yield Difference(aspect="reasons", rule=hidden["id"].split("/")[0], text=text)


def _in_readings(vignette: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Difference]:
    if any(hidden["id"] == "*" for hidden in vignette["expected"]["notShown"]):
        return  # the whole pack is silent: nothing else of such an example is compared
    found = readings_of(body)
    expected = {
        name: value for name, value in vignette["expected"].items() if name not in TOLD_BY_CARDS
    }
    for name in expected.keys() | found.keys():
        if expected.get(name) != found.get(name):
            text = f"{name}: expected {expected.get(name)}, found {found.get(name)}"
            yield Difference(aspect="readings", rule=name, text=text)


def readings_of(body: Mapping[str, Any]) -> Json:
    """Values, grades and measures around the index."""
    found: Json = {}
    for frame in explanation(body).get("frames", []):
        for result in frame.get("results", ()):
            if frame["index"] == result["marker"] == "alt":
                found |= _facts_of(result)
            if frame["index"] == result["marker"] in ("alt", "total-bilirubin"):
                found |= _measures_of(frame)
            if frame["index"] == result["marker"] == "plp":
                found["plpNmolL"] = result["value"]
    return found


def _facts_of(result: Mapping[str, Any]) -> Json:
    """What a worked example says of the ALT, in its own words."""
    value: Any = result["value"]
    multiple: Any = result.get("multiple")
    limit = result["upperLimit"]
    found: Json = {
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
            found["multipleAtLeast"] = _two_decimals(multiple["low"])
    else:
        found["multiple"] = _two_decimals(multiple)
    if result.get("gradeAtLeast"):
        found["bandIsMinimum"] = True
    if result.get("nearBoundary"):
        found["nearBoundary"] = True
    return found


def _measures_of(frame: Mapping[str, Any]) -> Json:
    measures = {measure["measure"]: measure for measure in frame.get("measures", [])}
    found = {
        name: _two_decimals(measures[measure]["value"])
        for name, measure in MEASURES.items()
        if "value" in measures.get(measure, {})
    }
    if "r-factor" in measures:
        found["pattern"] = measures["r-factor"].get("called") or measures["r-factor"]["because"]
    return found


def _two_decimals(value: float) -> float:
    return float(Decimal(str(value)).quantize(Decimal("0.01"), ROUND_HALF_UP))


def reasons_of(body: Mapping[str, Any], codes: Mapping[str, str]) -> set[tuple[str, str]]:
    """Every reason the service gives, in the words of the worked examples."""
    told = explanation(body)
    pairs: set[tuple[str, str]] = set()
    for rule in told["rules"]:
        because = rule.get("because", "")
        pairs |= {(rule["rule"], because), ("*", because)}
        if because.startswith("replaced-by:"):
            winner = because.removeprefix("replaced-by:")
            pairs.add((rule["rule"], f"subsumed-by:{winner}"))
            pairs.add((rule["rule"], f"subsumed-by:{winner.split('-')[0]}"))
        for order in rule.get("withheld", []):
            pairs.add((f"{rule['rule']}/{codes[order['order']]}", order["because"]))
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
