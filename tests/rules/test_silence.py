# SPDX-License-Identifier: Apache-2.0
"""Overridden cards among the others: after precedence, before orders are shared out."""

from cds_service.copying import replace
from cds_service.knowledge.model.pack import Indicator
from cds_service.labs.patient_record import SetAside
from cds_service.labs.reasons import PackReason
from cds_service.rules.answer import Decision, Proposal
from cds_service.rules.contest import deduplicate_orders, suppress_overridden
from cds_service.rules.reasons import Overridden
from tests.render.decisions import PACK, decision

REPEAT = Proposal(
    order="repeat-alt", first_day=0, last_day=14, priority="routine", recommended=True
)


def card(rule: str, indicator: Indicator = "info") -> Decision:
    return replace(decision(rule), indicator=indicator, orders=(REPEAT,))


def test_a_silent_card_keeps_no_order_from_another() -> None:
    severe, mild = card("alt-severe", "warning"), card("alt-very-low")

    silenced = suppress_overridden([severe, mild], {("alt-severe", "")})
    first, second = deduplicate_orders(silenced, dict(PACK.orders))

    assert (first.answer, first.because, first.orders) == ("no card", Overridden(), ())
    assert [(withheld.order, withheld.because) for withheld in first.withheld] == [
        ("repeat-alt", Overridden())
    ]
    assert second.orders == (REPEAT,)


def test_a_rule_without_a_card_keeps_its_own_reason() -> None:
    quiet = replace(card("alt-severe"), answer="no card", because=PackReason("age-under-18"))

    assert suppress_overridden([quiet], {("alt-severe", "")}) == [quiet]


def test_one_marker_of_a_rule_about_what_was_set_aside_is_silenced_alone() -> None:
    def about(marker: str) -> Decision:
        item = SetAside(reason="unit-unknown", marker=marker, code="", reference="")
        decision = card("dq-unit-unknown")
        return replace(decision, frame=replace(decision.frame, set_aside=item))

    first, second = suppress_overridden([about("alt"), about("ast")], {("dq-unit-unknown", "alt")})

    assert (first.shown, second.shown) == (False, True)


def test_nothing_overridden_changes_nothing() -> None:
    cards = [card("alt-severe"), card("alt-very-low")]

    assert suppress_overridden(cards, frozenset()) == cards
