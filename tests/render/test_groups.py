# SPDX-License-Identifier: Apache-2.0
"""Orders that belong together are one suggestion with several actions."""

from typing import Any
from uuid import UUID

import pytest

from cds_service.call_context import CallContext
from cds_service.copying import replace
from cds_service.knowledge.model.code_systems import SNOMED, Code
from cds_service.render.card import CardSuggestion
from cds_service.render.cards import compile_cards, render
from cds_service.render.orders import compile_order
from cds_service.rules.answer import Proposal
from tests.render.decisions import PACK, decision, outcome

GROUPED = replace(PACK, order_groups={"first": "First bloods", "later": "Later bloods"})
CALL = CallContext(service="s", trigger="patient-view", patient_id="p", id="call")


def proposal(order: str, group: str | None = None, **more: Any) -> Proposal:
    plain = Proposal(
        order=order, first_day=0, last_day=1, priority="stat", recommended=None, group=group
    )
    return replace(plain, **more)


def suggestions(*orders: Proposal, grouped: bool = True) -> tuple[CardSuggestion, ...]:
    shown = outcome(replace(decision(pack=GROUPED), orders=orders))
    (card,) = render(compile_cards(GROUPED), shown, CALL, grouped=grouped)
    assert card.selection_behavior == "any"
    return card.suggestions


def codes(suggestion: CardSuggestion) -> list[str]:
    return [action.resource["code"]["coding"][0]["code"] for action in suggestion.actions]  # type: ignore[index]


MIXED = (
    proposal("liver-panel", "first"),
    proposal("vitamin-b6"),
    proposal("inr", "first", priority="urgent", last_day=3),
    proposal("ck", "later"),
)


def test_a_group_is_one_suggestion_in_the_place_of_its_first_order() -> None:
    first, single, later = suggestions(*MIXED)

    assert first.label == "First bloods: Liver panel today (stat); INR within 3 days (urgent)"
    assert later.label == "Later bloods: CK today (stat)"
    assert "Vitamin B6" in single.label
    assert [codes(suggestion) for suggestion in (first, single, later)] == [
        ["24325-3", "6301-6"],
        ["62236-5"],
        ["2157-6"],
    ]


def test_each_action_keeps_its_own_period_and_priority() -> None:
    panel, inr = suggestions(*MIXED)[0].actions

    assert (panel.resource["priority"], inr.resource["priority"]) == ("stat", "urgent")
    assert panel.resource["occurrencePeriod"] != inr.resource["occurrencePeriod"]
    assert "Liver panel" in panel.description
    assert "INR" in inr.description


def test_for_a_client_that_takes_one_action_each_order_stands_alone() -> None:
    found = suggestions(*MIXED, grouped=False)

    assert [codes(suggestion) for suggestion in found] == [
        ["24325-3"],
        ["62236-5"],
        ["6301-6"],
        ["2157-6"],
    ]
    plain = suggestions(*(replace(proposed, group=None) for proposed in MIXED))
    assert found == plain


def test_uuids_are_the_same_for_the_same_call_and_differ_from_those_of_orders() -> None:
    whole, alone = suggestions(*MIXED), suggestions(*MIXED, grouped=False)

    assert [suggestion.uuid for suggestion in suggestions(*MIXED)] == [
        suggestion.uuid for suggestion in whole
    ]
    assert {suggestion.uuid for suggestion in whole} & {
        suggestion.uuid for suggestion in alone
    } == {whole[1].uuid}
    assert all(str(UUID(suggestion.uuid)) == suggestion.uuid for suggestion in whole)


@pytest.mark.parametrize(
    ("opinions", "expected"),
    [
        ((True, True), True),
        ((False, False), False),
        ((None, None), None),
        ((True, False), False),
        ((True, None), None),
        ((None, False), False),
    ],
)
def test_a_group_is_recommended_only_as_a_whole(
    opinions: tuple[bool | None, bool | None], expected: bool | None
) -> None:
    pairs = zip(("liver-panel", "inr"), opinions, strict=True)

    (suggestion,) = suggestions(
        *(proposal(name, "first", recommended=opinion) for name, opinion in pairs)
    )

    assert suggestion.is_recommended is expected


def test_an_order_carries_its_category() -> None:
    imaging = Code(system=SNOMED, code="363679005", name="imaging")
    order = PACK.orders["liver-panel"]

    body = compile_order(replace(order, category=imaging)).body

    assert body["category"] == [
        {"coding": [{"system": SNOMED, "code": "363679005", "display": "imaging"}]}
    ]
    assert "category" not in compile_order(order).body
