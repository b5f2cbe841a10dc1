# SPDX-License-Identifier: Apache-2.0
"""Which of the cards that stand after precedence are shown, and in which order.

A critical card is never held back for being one of many, or for having been shown.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import TypeAlias

from cds_service.knowledge.model.pack import INDICATORS, CardLimit, Indicator
from cds_service.rules.answer import Decision, DecisionKey, cards_among
from cds_service.rules.contest import hold_back
from cds_service.rules.reasons import BelowLeast, Folded, OlderThanArrival, ShownRecently

_MILDNESS: Mapping[Indicator, int] = {
    indicator: mildness for mildness, indicator in enumerate(reversed(INDICATORS))
}

LastShown: TypeAlias = Callable[[Decision, Indicator], date | None]
"""The last day on which the card of a decision was shown with an indicator."""


def at_least(decisions: Sequence[Decision], least: Indicator) -> list[Decision]:
    """The decisions without the cards that are less severe than this."""
    if least == INDICATORS[0]:
        return list(decisions)
    return [
        hold_back(decision, BelowLeast())
        if decision.shown and INDICATORS.index(decision.indicator) < INDICATORS.index(least)
        else decision
        for decision in decisions
    ]


def since_arrival(
    decisions: Sequence[Decision], arrived: datetime | None, reads: Mapping[str, frozenset[str]]
) -> list[Decision]:
    """The decisions without the cards that rest on older results than the one that arrived alone.

    A card rests on its index, on every other result that its rule reads, and on those of the cards
    that it replaced: an INR may be what an ALT of the day before was waiting for. One without an
    index is never due. `arrived` is `None` if nothing arrived that could be used; `reads` gives the
    markers that each rule reads.
    """
    due = set(_with_winners(decisions, arrived, reads))
    return [
        hold_back(decision, OlderThanArrival())
        if decision.shown and not (decision.frame.index_result and decision.rule.id in due)
        else decision
        for decision in decisions
    ]


def _with_winners(
    decisions: Sequence[Decision], arrived: datetime | None, reads: Mapping[str, frozenset[str]]
) -> Iterator[str]:
    """The rules whose card is due, and those that replaced one of these at however many removes."""
    if arrived is None:
        return
    winners = {decision.rule.id: decision.replaced_by for decision in decisions}
    for decision in decisions:
        if (decision.shown or decision.replaced_by) and _is_since(decision, arrived, reads):
            rule: str | None = decision.rule.id
            while rule is not None:
                yield rule
                rule = winners.get(rule)


def _is_since(decision: Decision, arrived: datetime, reads: Mapping[str, frozenset[str]]) -> bool:
    frame = decision.frame
    read = reads.get(decision.rule.id, frozenset()) | {frame.index}
    return any(
        reading.result.time >= arrived
        for marker, reading in frame.readings.items()
        if marker in read
    )


def quiet_keys(
    decisions: Iterable[Decision], today: date, last_shown: LastShown
) -> frozenset[DecisionKey]:
    """The cards that are quiet today; `last_shown` gives the last day of each indicator.

    A card that has become more severe than it was when it was shown is not quiet.
    """
    return frozenset(
        decision.key
        for decision in cards_among(decisions)
        if can_be_quiet(decision) and _is_quiet(decision, today, last_shown)
    )


def can_be_quiet(decision: Decision) -> bool:
    """Whether it is a card that may be quiet; a critical one never is."""
    return decision.shown and decision.rule.quiet_days > 0 and decision.indicator != "critical"


def _is_quiet(decision: Decision, today: date, last_shown: LastShown) -> bool:
    as_severe = INDICATORS[INDICATORS.index(decision.indicator) :]
    days = (last_shown(decision, indicator) for indicator in as_severe)
    return any(day is not None and (today - day).days < decision.rule.quiet_days for day in days)


def without_quiet(decisions: Sequence[Decision], quiet: Collection[DecisionKey]) -> list[Decision]:
    """The decisions with no card where it is quiet; what such a card replaced stays replaced."""
    if not quiet:
        return list(decisions)
    return [
        hold_back(decision, ShownRecently())
        if decision.key in quiet and can_be_quiet(decision)
        else decision
        for decision in decisions
    ]


def fold(decisions: Sequence[Decision], limit: CardLimit | None) -> list[Decision]:
    """The decisions with no card where enough others come first; they keep their order.

    Cards about what could not be used are shown and not counted.
    """
    if limit is None:
        return list(decisions)
    counted = [decision for decision in cards_among(decisions) if decision.rule.rests_on_results]
    if len(counted) <= limit.at_most:
        return list(decisions)
    later = in_order(counted, limit)[limit.at_most :]
    folded = {decision.key for decision in later if decision.indicator != "critical"}
    return [
        hold_back(decision, Folded()) if decision.key in folded else decision
        for decision in decisions
    ]


@lru_cache(maxsize=64)
def _places(rank: tuple[str, ...]) -> Mapping[str, int]:
    return {rule: place for place, rule in enumerate(rank)}


def in_order(decisions: Sequence[Decision], limit: CardLimit | None) -> list[Decision]:
    """The decisions as they are listed: shown ones first, then by severity, then by rank."""
    places = _places(limit.rank if limit is not None else ())
    last = len(places)
    after_shown = len(INDICATORS) * (last + 1)  # greater than the place of any that is shown

    def place(decision: Decision) -> int:
        milder = _MILDNESS[decision.indicator] * (last + 1) + places.get(decision.rule.id, last)
        return milder if decision.answer == "card" else after_shown + milder

    return sorted(decisions, key=place)
