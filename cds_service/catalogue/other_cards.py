# SPDX-License-Identifier: Apache-2.0
"""A rule's card among the others: which it replaces, which it yields to, and when."""

from collections.abc import Iterator

from cds_service.explanation.view import View
from cds_service.knowledge.model.bounds import days_in_words
from cds_service.knowledge.model.pack import Pack, Replacement, Rule


class RelatedRule(View, frozen=True, kw_only=True):
    """Another rule that this one replaces or yields to."""

    rule: str
    title: str
    orders_join: bool
    indicator_rises: bool  # whether the card that is shown has the higher severity of the two
    only_if: str = ""  # what has to be so of the card that is shown in place of the other


def replaces(rule: Rule, pack: Pack) -> Iterator[RelatedRule]:
    """The rules whose cards this one takes the place of."""
    for statement in pack.precedence:
        if rule.id in statement.by:
            after = statement.by.index(rule.id) + 1
            yielding = statement.replaced[after:] if statement.strongest else statement.replaced
            yield from (_related(name, pack, statement) for name in yielding if name != rule.id)


def yields_to(rule: Rule, pack: Pack) -> Iterator[RelatedRule]:
    """The rules whose cards take the place of this one."""
    for statement in pack.precedence:
        if rule.id in statement.replaced:
            above = statement.by
            if statement.strongest:
                above = above[: above.index(rule.id)]
            yield from (_related(name, pack, statement) for name in above if name != rule.id)


def quiet(rule: Rule) -> str:
    """For how long the card is not shown again once it was, in a sentence; empty for not at all."""
    if not rule.quiet_days:
        return ""
    days = days_in_words(rule.quiet_days)
    return (
        f"Once it was shown, the card is quiet for {days} for the same patient, unless it has "
        "become more severe; a critical card is always shown."
    )


def _related(name: str, pack: Pack, statement: Replacement) -> RelatedRule:
    conditions = []
    if statement.only_as is not None:
        conditions.append(f"the card is at least {statement.only_as}")
    if statement.when is not None:
        conditions.append(statement.when.in_words())
    return RelatedRule(
        rule=name,
        title=pack.rules[name].title,
        orders_join=statement.orders_join,
        indicator_rises=statement.indicator_rises,
        only_if=" and ".join(conditions),
    )
