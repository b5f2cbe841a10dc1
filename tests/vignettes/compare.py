# SPDX-License-Identifier: Apache-2.0
"""The answer to a worked example in the terms in which its expectation is written.

`differences` is the one comparison: the tests and the report both read it.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tests.vignettes.convert import now_of

Json = dict[str, Any]
Aspect: TypeAlias = Literal[
    "missing card",
    "extra card",
    "indicator",
    "orders",
    "says",
    "also noted",
    "data quality",
    "readings",
    "reasons",
]
UNSEEN: frozenset[Aspect] = frozenset({"readings", "reasons"})
"""What only the explanation tells, not the cards."""

DATA_QUALITY = "dq-"
FINDINGS = {
    "dq-conflicting-duplicates",
    "dq-implausible",
    "dq-unit-conflict",
    "dq-unit-missing",
    "dq-unit-unknown",
}
# The marker's codes and the words with which a card names it.
SAID = {
    "inr": (("6301-6", "34714-6"), (r"\bINR\b",)),
    "bilirubin": (("1975-2", "14631-6", "77137-8"), ("bilirubin",)),
    "platelets": (("777-3", "26515-7"), ("platelet",)),
    "ck": (("2157-6",), (r"\bCK\b", "creatine kinase")),
    "acetaminophen": (("3298-7",), ("acetaminophen",)),
}
_NUMBER = re.compile(r"(?<![\d.])\d+(?:\.\d+)?(?![\d]|\.\d)")
_NOTED = re.compile(r"Also noted:([^\n]*)")


def read_examples(name: str) -> list[Json]:
    """The worked examples of a file of `tests/data`."""
    path = Path(__file__).parents[1] / "data" / name
    examples: list[Json] = json.loads(path.read_text(encoding="utf-8"))
    return examples


VIGNETTES = read_examples("vignettes-liver.json")
SECOND_EDITION = read_examples("vignettes-liver-2.json")
EXAMPLES = VIGNETTES + SECOND_EDITION


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing in which an answer is not as expected; `rule` is whose card it is about."""

    aspect: Aspect
    rule: str
    text: str


def differences(vignette: Mapping[str, Any], body: Mapping[str, Any]) -> list[Difference]:
    """Everything in the cards that is not as the example expects; none if it passes."""
    found = {rule_of(card): card for card in body["cards"]}
    cards = {name: card for name, card in found.items() if not name.startswith(DATA_QUALITY)}
    expected = {card["id"]: card for card in vignette["expected"]["cards"]}
    return [
        *_missing_and_extra(expected, cards),
        *(
            difference
            for name, card in expected.items()
            if name in cards
            for difference in _in_card(card, cards[name], vignette)
        ),
        *_in_notes(vignette, list(cards.values())),
        *_in_notices(vignette, body),
    ]


def rule_of(card: Mapping[str, Any]) -> str:
    """The id of the rule behind a card."""
    rule: str = card["extension"]["org.cds-service.card"]["rule"]
    return rule


def _missing_and_extra(
    expected: Mapping[str, Json], found: Mapping[str, Json]
) -> Iterator[Difference]:
    for name in expected.keys() - found.keys():
        text = f"expected {expected[name]['indicator']}"
        yield Difference(aspect="missing card", rule=name, text=text)
    for name in found.keys() - expected.keys():
        text = f"found {found[name]['indicator']}: {found[name]['summary']}"
        yield Difference(aspect="extra card", rule=name, text=text)


def _in_card(expected: Json, card: Json, vignette: Mapping[str, Any]) -> Iterator[Difference]:
    rule = expected["id"]
    if expected["indicator"] != card["indicator"]:
        text = f"expected {expected['indicator']}, found {card['indicator']}"
        yield Difference(aspect="indicator", rule=rule, text=text)
    if text := orders_differ(expected, card, now_of(vignette).date()):
        yield Difference(aspect="orders", rule=rule, text=text)
    text = f"{card['summary']}\n{card['detail']}"
    for fact in expected.get("says", ()):
        if not says(text, fact, vignette["inputs"]):
            yield Difference(aspect="says", rule=rule, text=f"does not say: {fact}")


def orders_differ(expected: Mapping[str, Any], card: Mapping[str, Any], today: date) -> str:
    """What is missing (-) or too many (+) of a card's orders and groups; empty if nothing is."""
    wanted = Counter(_in_words(suggestion) for suggestion in expected["suggestions"])
    suggestions = card.get("suggestions", [])
    offered = [
        [_order_of(suggestion, action, today) for action in suggestion["actions"]]
        for suggestion in suggestions
    ]
    found = Counter(_in_words(order) for orders in offered for order in orders)
    lines = [f"- {difference}" for difference in sorted((wanted - found).elements())]
    lines += [f"+ {difference}" for difference in sorted((found - wanted).elements())]
    if lines:
        return "; ".join(lines)
    groups: dict[str, set[str]] = defaultdict(set)
    for suggestion in expected["suggestions"]:
        groups[suggestion.get("group", suggestion["loinc"])].add(suggestion["loinc"])
    together = sorted(sorted(codes) for codes in groups.values())
    found_together = sorted(sorted(order["loinc"] for order in orders) for orders in offered)
    if together == found_together:
        return ""
    return f"expected the suggestions {_listed(together)}, found {_listed(found_together)}"


def _listed(groups: Sequence[Sequence[str]]) -> str:
    return " | ".join("+".join(codes) for codes in groups)


def _order_of(suggestion: Json, action: Json, today: date) -> Json:
    """Order, days, priority and recommendation of one action."""
    resource = action["resource"]
    period = resource["occurrencePeriod"]
    ends = [(date.fromisoformat(period[end][:10]) - today).days for end in ("start", "end")]
    # A site's own code may come first.
    loinc = next(
        coding for coding in resource["code"]["coding"] if coding["system"] == "http://loinc.org"
    )
    found = {"loinc": loinc["code"], "withinDays": ends, "priority": resource["priority"]}
    if "isRecommended" in suggestion:
        found["recommended"] = suggestion["isRecommended"]
    return found


def _in_words(order: Mapping[str, Any]) -> str:
    first, last = order["withinDays"]
    words = f"{order['loinc']} {first}-{last} {order['priority']}"
    if "recommended" in order:
        words += " recommended" if order["recommended"] else " not recommended"
    return words


def says(text: str, fact: str, inputs: Mapping[str, Any]) -> bool:
    """Whether a card's text says an alarming fact, as the examples mean it: `inr`, `pregnancy`."""
    small = text.lower()
    match fact:
        case "pregnancy":
            return "pregnan" in small or "birth" in small
        case "anticoagulant":
            return any(
                medication["name"].lower() in small for medication in inputs.get("medications", [])
            )
        case "age-of-result":
            days = {observation["effective"][:10] for observation in inputs["observations"]}
            return "days ago" in small or any(day in text for day in days)
        case "not-followed-up":
            return "follow" in small or "no later" in small
        case _:
            codes, words = SAID[fact]
            named = any(re.search(word, text, re.IGNORECASE) for word in words)
            numbers = {Decimal(number) for number in _NUMBER.findall(text)}
            return named and bool(_newest(codes, inputs) & numbers)


def _newest(codes: Sequence[str], inputs: Mapping[str, Any]) -> set[Decimal]:
    """The values of the newest results with one of these codes."""
    results = [
        observation for observation in inputs["observations"] if observation["loinc"] in codes
    ]
    last = max((result["effective"] for result in results), default="")
    return {Decimal(str(result["value"])) for result in results if result["effective"] == last}


def _in_notes(vignette: Mapping[str, Any], cards: Sequence[Json]) -> Iterator[Difference]:
    """The line that names cards which are not shown: it stands in the last card alone."""
    expected = vignette["expected"].get("alsoNoted", [])
    for place, card in enumerate(cards):
        wanted = expected if place == len(cards) - 1 else []
        noted = _NOTED.search(card["detail"])
        titles = noted[1].split(";") if noted else []
        if len(titles) != len(wanted):
            text = f"expected {', '.join(wanted) or 'none'}, found {'; '.join(titles) or 'none'}"
            yield Difference(aspect="also noted", rule=rule_of(card), text=text)


def _in_notices(vignette: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Difference]:
    """The findings of data quality that the examples know, each with the code of its result.

    There are some exactly when a card tells of them.
    """
    told = body["extension"]["org.cds-service.explanation"].get("dataQuality", [])
    found = sorted(
        {(finding["id"], finding["code"]) for finding in told if finding["id"] in FINDINGS}
    )
    expected = sorted(
        (finding["id"], finding["loinc"]) for finding in vignette["expected"]["dataQuality"]
    )
    cards = [rule_of(card) for card in body["cards"] if rule_of(card).startswith(DATA_QUALITY)]
    if found != expected or bool(told) != bool(cards):
        text = f"expected {expected}, found {found} on cards {cards}"
        yield Difference(aspect="data quality", rule="dq-results-set-aside", text=text)
