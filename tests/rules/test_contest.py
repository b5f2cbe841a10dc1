# SPDX-License-Identifier: Apache-2.0
"""What cards do to each other."""

import pytest

from cds_service.copying import replace
from cds_service.knowledge.model.conditions import Condition
from cds_service.knowledge.model.leaves import IsExact, Present, SexIs
from cds_service.knowledge.model.pack import INDICATORS, Indicator, Priority, Replacement, Rule
from cds_service.rules import contest
from cds_service.rules.answer import Decision, Proposal, Withheld
from cds_service.rules.contest import apply_precedence, deduplicate_orders, join
from cds_service.rules.reasons import AlreadyOrdered, Offered, Overridden, Replaced
from tests.knowledge.fixture_pack import letters
from tests.labs.patients import framed, result

RULE: Rule = letters().rules["alpha-high"]
FRAME = framed(result())
ORDERS = dict(letters().orders)


def proposal(
    order: str = "beta-test",
    last_day: int = 14,
    *,
    first_day: int = 0,
    priority: Priority = "routine",
    recommended: bool | None = None,
    group: str | None = None,
) -> Proposal:
    return Proposal(
        order=order,
        first_day=first_day,
        last_day=last_day,
        priority=priority,
        recommended=recommended,
        group=group,
    )


def card(name: str, indicator: Indicator = "info", *orders: Proposal) -> Decision:
    rule = replace(RULE, id=name)
    return Decision(rule=rule, answer="card", frame=FRAME, indicator=indicator, orders=orders)


def silence(name: str) -> Decision:
    return Decision(rule=replace(RULE, id=name), answer="no card", frame=FRAME)


def ranking(*rules: str, orders_join: bool = True) -> Replacement:
    return Replacement(by=rules, replaced=rules, orders_join=orders_join, strongest=True)


def replacing(by: list[str], replaced: list[str], *, orders_join: bool = False) -> Replacement:
    return Replacement(by=tuple(by), replaced=tuple(replaced), orders_join=orders_join)


def only_as(indicator: Indicator, when: Condition | None = None) -> Replacement:
    return replace(replacing(["a"], ["b"]), only_as=indicator, when=when)


def shown(decisions: list[Decision]) -> list[str]:
    return [decision.rule.id for decision in decisions if decision.shown]


@pytest.mark.parametrize(
    ("fired", "expected"),
    [("abc", "a"), ("ac", "a"), ("bc", "b"), ("c", "c"), ("", "")],
)
def test_of_a_ranking_only_the_strongest_stays(fired: str, expected: str) -> None:
    decisions = [card(name) if name in fired else silence(name) for name in "abc"]

    assert shown(apply_precedence(decisions, [ranking("a", "b", "c")])) == list(expected)


def test_each_that_yields_says_to_whom_and_keeps_no_order() -> None:
    decisions = apply_precedence(
        [card("b", "info", proposal()), card("a"), silence("c")], [ranking("a", "b", "c")]
    )
    loser = decisions[0]

    assert [decision.rule.id for decision in decisions] == ["b", "a", "c"]
    assert (loser.answer, loser.because, loser.replaced_by) == ("no card", Replaced("a"), "a")
    assert loser.orders == ()
    assert loser.withheld == (Withheld("beta-test", Replaced("a")),)
    assert decisions[2].because is None


@pytest.mark.parametrize("winner", INDICATORS)
@pytest.mark.parametrize("loser", INDICATORS)
def test_an_indicator_is_never_lost(winner: Indicator, loser: Indicator) -> None:
    decisions = apply_precedence([card("a", winner), card("b", loser)], [ranking("a", "b")])

    assert decisions[0].indicator == max(winner, loser, key=INDICATORS.index)


def test_an_indicator_is_passed_on_along_a_chain() -> None:
    statements = [replacing(["b"], ["c"]), replacing(["a"], ["b"])]

    decisions = apply_precedence([card("a"), card("b"), card("c", "critical")], statements)

    assert shown(decisions) == ["a"]
    assert decisions[0].indicator == "critical"


def test_orders_are_passed_on_along_a_chain_where_they_join() -> None:
    statements = [
        replacing(["b"], ["c"], orders_join=True),
        replacing(["a"], ["b"], orders_join=True),
    ]
    three = [card("a"), card("b"), card("c", "info", proposal())]

    joined = apply_precedence(three, statements)
    kept = apply_precedence(three, [statements[0], replacing(["a"], ["b"], orders_join=False)])

    assert joined[0].orders == (proposal(),)
    assert kept[0].orders == ()


def test_what_was_replaced_replaces_nothing_any_more() -> None:
    statements = [replacing(["a"], ["b"]), replacing(["b"], ["c"])]

    assert shown(apply_precedence([card("a"), card("b"), card("c")], statements)) == ["a", "c"]
    assert shown(apply_precedence([silence("a"), card("b"), card("c")], statements)) == ["b"]


def test_the_first_that_fired_replaces_every_one_of_the_others() -> None:
    statement = replacing(["a", "b"], ["c", "d"])

    assert shown(apply_precedence([card(name) for name in "abcd"], [statement])) == ["a", "b"]
    assert shown(apply_precedence([silence("a"), *map(card, "bcd")], [statement])) == ["b"]
    assert shown(apply_precedence([silence("a"), silence("b"), card("c")], [statement])) == ["c"]


def test_a_rule_of_another_hook_is_no_part_of_the_contest() -> None:
    assert shown(apply_precedence([card("b")], [ranking("a", "b"), replacing(["x"], ["b"])])) == [
        "b"
    ]


def test_a_winner_offers_again_what_a_loser_brings() -> None:
    winner = replace(
        card("a"),
        withheld=(
            Withheld("beta-test", AlreadyOrdered()),
            Withheld("repeat-alpha", AlreadyOrdered()),
        ),
    )

    joined = apply_precedence([winner, card("b", "info", proposal())], [ranking("a", "b")])[0]

    assert joined.orders == (proposal(),)
    assert joined.withheld == (Withheld("repeat-alpha", AlreadyOrdered()),)


@pytest.mark.parametrize(
    ("mine", "other", "expected"),
    [
        (proposal(), proposal(), proposal()),
        (proposal(last_day=14), proposal(last_day=7), proposal(last_day=7)),
        (proposal(last_day=7), proposal(last_day=14), proposal(last_day=7)),
        (
            proposal(first_day=3, last_day=7),
            proposal(first_day=1, last_day=7),
            proposal(first_day=3, last_day=7),
        ),
        (
            proposal(first_day=9, last_day=14),
            proposal(first_day=1, last_day=7),
            proposal(first_day=1, last_day=7),
        ),
        (proposal(priority="urgent"), proposal(), proposal(priority="urgent")),
        (proposal(), proposal(priority="stat"), proposal(priority="stat")),
        (
            proposal(last_day=1),
            proposal(last_day=9, priority="stat"),
            proposal(last_day=1, priority="stat"),
        ),
        (proposal(recommended=False), proposal(recommended=True), proposal(recommended=False)),
        (proposal(), proposal(recommended=True), proposal(recommended=True)),
        (proposal(), proposal(recommended=False), proposal(recommended=False)),
    ],
)
def test_the_same_order_twice_is_the_sooner_and_more_urgent(
    mine: Proposal, other: Proposal, expected: Proposal
) -> None:
    assert join([mine], [other]) == (expected,)


def test_different_orders_are_joined_in_order() -> None:
    one, two = proposal("beta-test"), proposal("repeat-alpha")

    assert join([one], [two]) == (one, two)
    assert join([], [two, one]) == (two, one)


def holder(*decisions: Decision) -> list[str]:
    return [
        decision.rule.id for decision in deduplicate_orders(decisions, ORDERS) if decision.orders
    ]


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([card("a", "info", proposal()), card("b", "warning", proposal(last_day=99))], "b"),
        ([card("a", "critical", proposal()), card("b", "warning", proposal())], "a"),
        ([card("a", "info", proposal(last_day=9)), card("b", "info", proposal(last_day=8))], "b"),
        ([card("a", "info", proposal()), card("b", "info", proposal(priority="stat"))], "b"),
        (
            [
                card("a", "info", proposal(last_day=1)),
                card("b", "info", proposal(last_day=2, priority="stat")),
            ],
            "a",
        ),
        ([card("a", "info", proposal()), card("b", "info", proposal())], "a"),
        ([card("b", "info", proposal()), card("a", "info", proposal())], "b"),
    ],
)
def test_an_order_stays_on_one_card(decisions: list[Decision], expected: str) -> None:
    assert holder(*decisions) == [expected]


def test_the_other_card_says_where_the_order_is_offered() -> None:
    first = card("a", "info", proposal("repeat-alpha"), proposal())
    second = card("b", "warning", proposal())

    settled = deduplicate_orders([first, second], ORDERS)

    assert settled[0].orders == (proposal("repeat-alpha"),)
    assert settled[0].withheld == (Withheld("beta-test", Offered("b")),)
    assert settled[1] == second


def test_two_orders_of_one_code_are_one_order() -> None:
    twin = replace(ORDERS["beta-test"], id="twin")

    settled = deduplicate_orders(
        [card("a", "info", proposal("twin")), card("b", "warning", proposal())],
        {**ORDERS, "twin": twin},
    )

    assert [decision.orders for decision in settled] == [(), (proposal(),)]


def test_two_cards_of_one_rule_do_not_both_offer_an_order() -> None:
    # one rule about set-aside results shows a card for each marker
    assert holder(card("a", "info", proposal()), card("a", "info", proposal())) == ["a"]


def test_an_overridden_card_stays_silent_and_withholds_its_orders() -> None:
    first, second = card("a", "info", proposal()), card("b", "info", proposal())

    one, other = contest.suppress_overridden([first, second], {first.key})

    assert (one.answer, one.because, one.orders) == ("no card", Overridden(), ())
    assert one.withheld == (Withheld("beta-test", Overridden()),)
    assert other == second


def test_a_card_on_a_preliminary_result_replaces_none_on_a_final_one() -> None:
    preliminary = replace(card("a", "critical"), preliminary=True)

    found = apply_precedence(
        [preliminary, card("b", "critical", proposal("x"))], [ranking("a", "b")]
    )

    assert shown(found) == ["a", "b"]
    assert [proposal.order for proposal in found[0].orders] == []


def test_of_several_on_final_results_the_strongest_still_stays() -> None:
    preliminary = replace(card("a", "critical"), preliminary=True)

    found = apply_precedence([preliminary, card("b"), card("c")], [ranking("a", "b", "c")])

    assert shown(found) == ["a", "b"]


def test_a_joined_order_keeps_the_group_of_the_winner() -> None:
    mine = proposal(last_day=28, group="first")
    other = proposal(last_day=1, priority="urgent", group="second")
    assert join([mine], [other]) == (replace(other, group="first"),)
    assert join([replace(mine, group=None)], [other]) == (replace(other, group=None),)


def test_an_order_that_is_new_to_the_winner_keeps_its_own_group() -> None:
    other = proposal("repeat-alpha", group="second")
    assert join([proposal(group="first")], [other]) == (proposal(group="first"), other)


@pytest.mark.parametrize(
    ("indicator", "expected"),
    [("info", ["a", "b"]), ("warning", ["a"]), ("critical", ["a"])],
)
def test_a_card_below_the_least_indicator_of_a_statement_replaces_none(
    indicator: Indicator, expected: list[str]
) -> None:
    decisions = [card("a", indicator), card("b")]

    assert shown(apply_precedence(decisions, [only_as("warning")])) == expected


def test_the_indicator_that_counts_is_the_one_after_the_statements_before() -> None:
    decisions = [card("a"), card("b"), card("c", "critical")]

    found = apply_precedence(decisions, [replacing(["a"], ["c"]), only_as("critical")])

    assert shown(found) == ["a"]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (Present("alpha"), ["a"]),
        (Present("beta"), ["a", "b"]),
        (SexIs(()), ["a", "b"]),
        (IsExact("beta"), ["a", "b"]),
    ],
)
def test_a_statement_holds_only_when_its_condition_is_known_to_hold_of_the_winner(
    when: Condition, expected: list[str]
) -> None:
    statement = replace(replacing(["a"], ["b"]), when=when)

    assert shown(apply_precedence([card("a"), card("b")], [statement])) == expected


def test_the_next_card_wins_where_the_first_may_not() -> None:
    statement = replace(ranking("a", "b", "c"), only_as="warning")

    found = apply_precedence([card("a"), card("b", "warning"), card("c")], [statement])

    assert shown(found) == ["a", "b"]
