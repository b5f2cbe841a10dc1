# SPDX-License-Identifier: Apache-2.0
"""Which of the cards that stand after precedence are shown, and in which order.

A critical card is never held back here.
"""

from collections.abc import Mapping, Sequence

from cds_service.knowledge.model.pack import INDICATORS, CardLimit, Indicator
from cds_service.rules.answer import Decision
from cds_service.rules.contest import hold_back
from cds_service.rules.reasons import BelowLeast, Folded


def at_least(decisions: Sequence[Decision], least: Indicator) -> list[Decision]:
    """The decisions without the cards that are less severe than this."""
    return [
        hold_back(decision, BelowLeast())
        if decision.shown and INDICATORS.index(decision.indicator) < INDICATORS.index(least)
        else decision
        for decision in decisions
    ]


def fold(decisions: Sequence[Decision], limit: CardLimit | None) -> list[Decision]:
    """The decisions with no card where enough others come first; they keep their order.

    Cards about what could not be used are shown and not counted.
    """
    if limit is None:
        return list(decisions)
    counted = [one for one in decisions if one.shown and one.rule.rests_on_results]
    later = in_order(counted, limit)[limit.at_most :]
    folded = {one.key for one in later if one.indicator != "critical"}
    return [
        hold_back(decision, Folded()) if decision.key in folded else decision
        for decision in decisions
    ]


def in_order(decisions: Sequence[Decision], limit: CardLimit | None) -> list[Decision]:
    """The decisions as they are listed: shown ones first, then by severity, then by rank."""
    places: Mapping[str, int] = {
        rule: place for place, rule in enumerate(limit.rank if limit is not None else ())
    }

    def place(decision: Decision) -> tuple[bool, int, int]:
        severity = INDICATORS.index(decision.indicator)
        return not decision.shown, -severity, places.get(decision.rule.id, len(places))

    return sorted(decisions, key=place)
