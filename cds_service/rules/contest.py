# SPDX-License-Identifier: Apache-2.0
"""What cards do to each other: replacing, joining orders, and each order offered once.

All rules have been answered before this begins, so no rule sees another's orders. The statements
of the pack are applied from top to bottom.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from cds_service.copying import replace
from cds_service.knowledge.model.pack import INDICATORS, PRIORITIES, Order, Replacement
from cds_service.rules.answer import Decision, DecisionKey, Proposal, Withheld, cards_among
from cds_service.rules.evaluate import compiled
from cds_service.rules.reasons import HeldBack, Offered, Overridden, Replaced

_TWO = 2  # no card meets another where there are fewer


def apply_precedence(
    decisions: Sequence[Decision], precedence: Iterable[Replacement]
) -> list[Decision]:
    """The decisions after every statement of precedence, in the order they came."""
    standing = {decision.rule.id for decision in cards_among(decisions)}
    if len(standing) < _TWO:
        return list(decisions)
    current = {decision.rule.id: decision for decision in decisions}
    for statement in precedence:
        if not standing.isdisjoint(statement.replaced):
            _apply(statement, current, standing)
    return [current[decision.rule.id] for decision in decisions]


def _apply(statement: Replacement, current: dict[str, Decision], standing: set[str]) -> None:
    for loser_id in statement.replaced:
        if loser_id not in standing:
            continue
        winner_id = _winner_over(loser_id, statement, current, standing)
        if winner_id is None:
            continue
        winner, loser, because = current[winner_id], current[loser_id], Replaced(winner_id)
        current[winner_id] = _absorb(winner, loser, statement)
        current[loser_id] = replace(
            loser,
            answer="no card",
            because=because,
            orders=(),
            withheld=(*loser.withheld, *(Withheld(order.order, because) for order in loser.orders)),
        )
        standing.remove(loser_id)


def _winner_over(
    loser_id: str,
    statement: Replacement,
    current: Mapping[str, Decision],
    standing: AbstractSet[str],
) -> str | None:
    """The first card that takes this one's place; in a ranking, of those before it.

    A card on a preliminary result takes the place of no card on a final one: it carries no orders,
    and the final result may be all that remains.
    """
    above = statement.by
    if statement.strongest:
        above = above[: above.index(loser_id)]
    final = not current[loser_id].preliminary
    return next(
        (
            rule
            for rule in above
            if rule in standing
            and rule != loser_id
            and not (final and current[rule].preliminary)
            and _may_win(current[rule], statement)
        ),
        None,
    )


def _may_win(winner: Decision, statement: Replacement) -> bool:
    """Whether the statement speaks of this card, as it is now, as the winner."""
    least, when = statement.only_as, statement.when
    if least is not None and INDICATORS.index(winner.indicator) < INDICATORS.index(least):
        return False
    return when is None or compiled(when)(winner.frame) is True


def _absorb(winner: Decision, loser: Decision, statement: Replacement) -> Decision:
    """The winner with the higher indicator and both orders, as far as the statement passes them."""
    indicator = winner.indicator
    if statement.indicator_rises:
        indicator = max(indicator, loser.indicator, key=INDICATORS.index)
    orders = join(winner.orders, loser.orders) if statement.orders_join else winner.orders
    offered = {order.order for order in orders}
    withheld = tuple(order for order in winner.withheld if order.order not in offered)
    return replace(winner, indicator=indicator, orders=orders, withheld=withheld)


def join(own: Sequence[Proposal], others: Sequence[Proposal]) -> tuple[Proposal, ...]:
    """Both lists, each order once: with the more urgent priority and the earlier end."""
    joined = {proposal.order: proposal for proposal in own}
    for other in others:
        mine = joined.get(other.order)
        joined[other.order] = other if mine is None else _sooner(mine, other)
    return tuple(joined.values())


def _sooner(mine: Proposal, other: Proposal) -> Proposal:
    window = other if other.last_day < mine.last_day else mine
    return replace(
        mine,
        first_day=window.first_day,
        last_day=window.last_day,
        priority=max(mine.priority, other.priority, key=PRIORITIES.index),
        recommended=mine.recommended if mine.recommended is not None else other.recommended,
    )


def suppress_overridden(
    decisions: Sequence[Decision], overridden: Collection[DecisionKey]
) -> list[Decision]:
    """The decisions with no card where a clinician has overridden it.

    After precedence: what an overridden card replaces stays replaced, or its answer would bring up
    the next best card. Before orders are shared out: a silent card keeps none from another.
    """
    if not overridden:
        return list(decisions)
    return [
        hold_back(decision, Overridden())
        if decision.shown and decision.key in overridden
        else decision
        for decision in decisions
    ]


def hold_back(decision: Decision, because: HeldBack) -> Decision:
    """The decision without its card and orders."""
    withheld = (*decision.withheld, *(Withheld(order.order, because) for order in decision.orders))
    return replace(decision, answer="no card", because=because, orders=(), withheld=withheld)


def deduplicate_orders(
    decisions: Sequence[Decision], orders: Mapping[str, Order]
) -> list[Decision]:
    """Each order code on one card only.

    It stays on the card with the more severe indicator; of two alike on the one with the earlier
    end of the window, then the higher priority, then the earlier in the list.
    """
    keeper: dict[tuple[str, str], tuple[tuple[int, int, int], Decision]] = {}
    offering = [decision for decision in decisions if decision.orders]
    if not offering:
        return list(decisions)
    for decision in offering:
        for order in decision.orders:
            rank = (
                -INDICATORS.index(decision.indicator),
                order.last_day,
                -PRIORITIES.index(order.priority),
            )
            code = _code(orders[order.order])
            if code not in keeper or rank < keeper[code][0]:
                keeper[code] = (rank, decision)
    return [
        _keeping(decision, orders, keeper) if decision.orders else decision
        for decision in decisions
    ]


def _keeping(
    decision: Decision,
    orders: Mapping[str, Order],
    keeper: dict[tuple[str, str], tuple[tuple[int, int, int], Decision]],
) -> Decision:
    kept: list[Proposal] = []
    withheld = list(decision.withheld)
    for order in decision.orders:
        owner = keeper[_code(orders[order.order])][1]
        if owner is decision:
            kept.append(order)
        else:
            withheld.append(Withheld(order.order, Offered(owner.rule.id)))
    if len(kept) == len(decision.orders):
        return decision
    return replace(decision, orders=tuple(kept), withheld=tuple(withheld))


def _code(order: Order) -> tuple[str, str]:
    return (order.code.system, order.code.code)
