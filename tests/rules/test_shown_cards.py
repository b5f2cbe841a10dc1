# SPDX-License-Identifier: Apache-2.0
"""Which cards are shown: the least severe of a hook, and three cards with a line."""

from collections.abc import Iterable
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.copying import replace
from cds_service.decide import Evaluation, Outcome, settle
from cds_service.knowledge.model.pack import (
    INDICATORS,
    UNUSED_DATA,
    CardLimit,
    Indicator,
    Rule,
)
from cds_service.labs.unused_data import UnusedData
from cds_service.rules.answer import Decision, Proposal, Withheld
from cds_service.rules.reasons import BelowLeast, Folded, OlderThanArrival, Replaced, ShownRecently
from cds_service.rules.shown_cards import (
    LastShown,
    at_least,
    fold,
    in_order,
    quiet_keys,
    since_arrival,
    without_quiet,
)
from tests.knowledge.fixture_pack import letters
from tests.labs.patients import NOW, framed, record, result

RULE: Rule = letters().rules["alpha-high"]
FRAME = framed(result())
LIMIT = CardLimit(at_most=3, rank=tuple("abcdefgh"))
ORDER = Proposal(order="beta-test", first_day=0, last_day=14, priority="routine", recommended=None)


def card(
    name: str, indicator: Indicator = "info", *orders: Proposal, about: tuple[str, ...] = ("alpha",)
) -> Decision:
    rule = replace(RULE, id=name, about=about)
    return Decision(rule=rule, answer="card", frame=FRAME, indicator=indicator, orders=orders)


def silence(name: str) -> Decision:
    return replace(card(name), answer="no card")


def shown(decisions: list[Decision]) -> str:
    return "".join(decision.rule.id for decision in decisions if decision.shown)


def test_no_more_than_so_many_cards_are_shown() -> None:
    found = fold([card("d"), silence("x"), card("b"), card("a"), card("c")], LIMIT)

    assert shown(found) == "bac"
    assert [decision.because for decision in found if decision.rule.id == "d"] == [Folded()]
    assert shown(fold(found, None)) == "bac"
    assert shown(fold([card(name) for name in "abcd"], None)) == "abcd"


def test_severe_ones_are_shown_before_those_of_a_higher_rank() -> None:
    cards = [card("a"), card("b"), card("c"), card("d", "warning"), card("e", "critical")]

    assert shown(in_order(fold(cards, LIMIT), LIMIT)) == "eda"


def test_every_critical_card_is_shown_and_counts() -> None:
    cards = [*(card(name, "critical") for name in "efgh"), card("a"), card("b", "warning")]

    assert shown(fold(cards, LIMIT)) == "efgh"


@pytest.mark.parametrize("about", [(), (UNUSED_DATA,)])
def test_a_card_about_what_was_not_used_is_shown_besides(about: tuple[str, ...]) -> None:
    cards = [card("x", about=about), *(card(name) for name in "abcd")]

    assert shown(in_order(fold(cards, LIMIT), LIMIT)) == "abcx"


def test_a_folded_card_offers_no_orders_and_takes_none_from_another() -> None:
    cards = [card("d", "info", ORDER), *(card(name) for name in "ab"), card("c", "info", ORDER)]
    found = {decision.rule.id: decision for decision in settled(cards).decisions}

    assert (found["d"].orders, found["c"].orders) == ((), (ORDER,))
    assert found["d"].withheld == (Withheld("beta-test", Folded()),)
    assert found["d"].is_folded
    assert not found["c"].is_folded


@pytest.mark.parametrize(
    ("least", "expected"), [("info", "abc"), ("warning", "bc"), ("critical", "c")]
)
def test_a_hook_may_show_no_cards_that_are_less_severe(least: Indicator, expected: str) -> None:
    found = at_least([card("a"), card("b", "warning"), card("c", "critical"), silence("d")], least)

    assert shown(found) == expected
    held_back = [decision.rule.id for decision in found if decision.held_back == BelowLeast()]
    assert held_back == [name for name in "abc" if name not in expected]


def settled(cards: list[Decision], quiet: Iterable[Decision] = ()) -> Outcome:
    evaluation = Evaluation(
        reads={},
        pack=replace(letters(), cards=LIMIT),
        record=record(),
        now=NOW,
        decisions=tuple(cards),
        frames=(),
        unused=UnusedData(),
    )
    return settle(evaluation, quiet={decision.key for decision in quiet})


CARDS = st.lists(
    st.builds(
        card,
        st.sampled_from("abcdefghxyz"),
        st.sampled_from(INDICATORS),
        about=st.sampled_from([("alpha",), (), (UNUSED_DATA,)]),
    ),
    max_size=12,
    unique_by=lambda decision: decision.rule.id,
)


@given(CARDS)
def test_no_critical_card_is_ever_hidden(cards: list[Decision]) -> None:
    found = settled(cards).decisions
    counted = [decision for decision in found if decision.shown and decision.rule.rests_on_results]

    critical = {decision.rule.id for decision in cards if decision.indicator == "critical"}
    assert critical <= {decision.rule.id for decision in found if decision.shown}
    assert len(counted) <= max(LIMIT.at_most, len(critical))
    assert {decision.rule.id for decision in found if decision.shown or decision.is_folded} == {
        decision.rule.id for decision in cards
    }


@given(CARDS)
def test_no_card_is_folded_before_a_less_severe_one(cards: list[Decision]) -> None:
    found = [decision for decision in settled(cards).decisions if decision.rule.rests_on_results]
    folded = [INDICATORS.index(decision.indicator) for decision in found if decision.is_folded]
    others = [INDICATORS.index(decision.indicator) for decision in found if decision.shown]

    assert max(folded, default=0) <= min(others, default=len(INDICATORS))


TODAY = date(2026, 6, 15)


def quiet_card(indicator: Indicator = "info", days: int = 28) -> Decision:
    decision = card("a", indicator, ORDER)
    return replace(decision, rule=replace(decision.rule, quiet_days=days))


def shown_on(indicator: Indicator, days_ago: int) -> LastShown:
    day = TODAY - timedelta(days=days_ago)
    return lambda _decision, shown_as: day if shown_as == indicator else None


def is_quiet(decision: Decision, last_shown: LastShown) -> bool:
    keys = quiet_keys([decision], TODAY, last_shown)
    (found,) = without_quiet([decision], keys)
    assert found.shown is not bool(keys)
    return bool(keys)


@pytest.mark.parametrize(("days_ago", "expected"), [(0, True), (27, True), (28, False)])
def test_a_card_is_quiet_until_so_many_days_after_it_was_shown(
    days_ago: int, *, expected: bool
) -> None:
    assert is_quiet(quiet_card(), shown_on("info", days_ago)) is expected


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("info", "warning", False),
        ("warning", "warning", True),
        ("warning", "info", True),
        ("critical", "info", True),
        ("critical", "critical", False),
    ],
)
def test_a_card_that_has_become_more_severe_or_is_critical_is_shown(
    before: Indicator, now: Indicator, *, expected: bool
) -> None:
    assert is_quiet(quiet_card(now), shown_on(before, 1)) is expected


def test_a_card_without_quiet_days_or_that_was_not_shown_is_shown() -> None:
    assert not is_quiet(quiet_card(days=0), shown_on("info", 0))
    assert not is_quiet(quiet_card(), lambda _decision, _indicator: None)


def test_a_quiet_card_makes_room_for_another_and_leaves_it_its_order() -> None:
    decisions = [quiet_card(), *(card(name) for name in "bc"), card("d", "info", ORDER)]
    found = settled(decisions, quiet=[decisions[0]]).decisions

    assert shown(list(found)) == "bcd"
    (quiet,) = (decision for decision in found if decision.rule.id == "a")
    assert (quiet.because, quiet.orders) == (ShownRecently(), ())
    assert quiet.withheld == (Withheld("beta-test", ShownRecently()),)
    assert found[2].orders == (ORDER,)


@given(CARDS)
def test_no_critical_card_is_ever_quiet(cards: list[Decision]) -> None:
    daily = [replace(decision, rule=replace(decision.rule, quiet_days=1)) for decision in cards]
    found = settled(daily, quiet=daily).decisions

    assert {decision.rule.id for decision in found if decision.shown} == {
        decision.rule.id for decision in cards if decision.indicator == "critical"
    }


@pytest.mark.parametrize(("hours", "is_shown"), [(0, True), (-1, True), (1, False), (None, False)])
def test_on_arrival_a_card_needs_an_index_that_is_no_older(
    hours: int | None, is_shown: bool
) -> None:
    index = FRAME.index_result
    assert index is not None
    arrived = None if hours is None else index.time + timedelta(hours=hours)

    (found,) = since_arrival([card("a", "critical")], arrived, {})

    assert found.shown is is_shown
    assert is_shown or found.held_back == OlderThanArrival()


@pytest.mark.parametrize(("read", "is_shown"), [(frozenset({"beta"}), True), (frozenset(), False)])
def test_on_arrival_a_card_may_rest_on_another_result_than_its_index(
    read: frozenset[str], is_shown: bool
) -> None:
    later = result(marker="beta", ago=timedelta())
    decision = replace(card("a", "critical"), frame=framed(result(), later))

    (found,) = since_arrival([decision], later.time, {"a": read})

    assert found.shown is is_shown


def test_on_arrival_a_card_rests_on_what_those_read_that_it_replaced() -> None:
    later = result(marker="beta", ago=timedelta())
    frame = framed(result(), later)
    cards = [
        replace(card("a", "critical"), frame=frame),
        replace(silence("b"), frame=frame, because=Replaced("a")),
        replace(silence("c"), frame=frame, because=Replaced("b")),
    ]

    found = since_arrival(cards, later.time, {"c": frozenset({"beta"})})

    assert shown(found) == "a"


def test_on_arrival_a_card_without_a_result_is_held_back() -> None:
    bare = replace(card("a"), frame=replace(FRAME, readings={}))

    (found,) = since_arrival([bare], NOW - timedelta(days=365), {})

    assert found.held_back == OlderThanArrival()
