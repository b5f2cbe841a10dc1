# SPDX-License-Identifier: Apache-2.0
"""One rule, one patient: the answer, its reasons and the orders it would propose.

A rule answers on its own here; what cards do to each other is `rules.contest`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TypeAlias

from msgspec import Struct

from cds_service.amounts import Ternary
from cds_service.knowledge.model.conditions import (
    Condition,
    leaves,
)
from cds_service.knowledge.model.leaves import (
    AgeCompare,
    FactIs,
    Leaf,
    Present,
)
from cds_service.knowledge.model.pack import (
    INDICATORS,
    PRIORITIES,
    Answer,
    Indicator,
    Order,
    Pack,
    Priority,
    Rule,
    Suggestion,
)
from cds_service.labs.patient_record import PatientRecord
from cds_service.labs.reasons import PackReason
from cds_service.labs.result_selection import Frame
from cds_service.rules.evaluate import Test, compiled, compiled_reasons, first_reason
from cds_service.rules.reasons import (
    AlreadyOrdered,
    AlreadyResulted,
    ConditionNotMet,
    Folded,
    HeldBack,
    NoCardReason,
    NoEligible,
    Replaced,
    ResultSinceIndex,
    WithheldReason,
)
from cds_service.rules.trigger import Trigger, compile_trigger

PersonLeaf: TypeAlias = FactIs | AgeCompare

_NOT_MET = ConditionNotMet()

# The rule's id, and the marker if the rule is about a set-aside result.
DecisionKey: TypeAlias = tuple[str, str]


class Proposal(Struct, frozen=True, kw_only=True, gc=False):
    """An order that a card offers, in days from the evaluation."""

    order: str
    first_day: int
    last_day: int
    priority: Priority
    recommended: bool | None
    group: str | None = None  # what it is offered together with


class Withheld(Struct, frozen=True, gc=False):
    """An order that the rule knows but does not offer, and why."""

    order: str
    because: WithheldReason


class Remarked(Struct, frozen=True, gc=False):
    """A remark that a card says, with the results and the marker that it is about."""

    remark: str
    frame: Frame
    trigger: str | None


class Decision(Struct, frozen=True, kw_only=True, gc=False):
    """What became of one rule for one patient.

    `because` says why there is no card; `unknown` holds the conditions on facts and age that were
    asked in vain while a card was still certain, the first on each fact. `undecided` holds the
    conditions of which at least one would have to be known for an answer, if there is none.
    """

    rule: Rule
    answer: Answer
    frame: Frame
    because: NoCardReason | None = None
    indicator: Indicator = "info"
    trigger: str | None = None
    preliminary: bool = False
    orders: tuple[Proposal, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    says: tuple[str, ...] = ()
    remarks: tuple[Remarked, ...] = ()
    undecided: tuple[tuple[Test, Leaf], ...] = ()
    unknown: tuple[PersonLeaf, ...] = ()

    @property
    def shown(self) -> bool:
        """Whether a card goes out."""
        return self.answer == "card"

    @property
    def missing(self) -> tuple[Leaf, ...]:
        """The conditions that would have to be known for an answer; looked for when asked."""
        return tuple(leaf for test, leaf in self.undecided if test(self.frame) is None)

    @property
    def replaced_by(self) -> str | None:
        """The id of the rule whose card took the place of this one."""
        return self.because.rule if isinstance(self.because, Replaced) else None

    @property
    def held_back(self) -> HeldBack | None:
        """Why the card is not shown though its rule fired and no other card took its place."""
        return self.because if isinstance(self.because, HeldBack) else None

    @property
    def is_folded(self) -> bool:
        """Whether another card names this one."""
        return isinstance(self.because, Folded)

    @property
    def key(self) -> DecisionKey:
        """What tells this decision from every other about the patient: its rule and marker.

        A rule gives one decision; one about set-aside results gives one a marker.
        """
        item = self.frame.set_aside
        return self.rule.id, item.marker if item is not None else ""


def cards_among(decisions: Iterable[Decision]) -> list[Decision]:
    """The decisions of which a card goes out, in their order: few of many, and often asked for."""
    return [decision for decision in decisions if decision.answer == "card"]


@dataclass(frozen=True, slots=True)
class CompiledSuggestion:
    """A suggestion with its conditions as functions."""

    suggestion: Suggestion
    order: Order
    when: Test | None
    unless: tuple[tuple[Test, PackReason], ...]
    recommended: Test | bool | None


@dataclass(frozen=True, slots=True, eq=False)
class Indexes:
    """Which markers a rule is about, and which of them stands in for the others.

    Rules about the same have the same object, so that their frames are found by it at once.
    """

    about: tuple[str, ...]
    stands_in: str | None


@cache
def _indexes(about: tuple[str, ...], stands_in: str | None) -> Indexes:
    return Indexes(about, stands_in)


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its conditions as functions, made once when the pack is loaded.

    `no_index` and `any_index` are why it gives no card where none of its markers has a result that
    may be its index, and what would have to be there.
    """

    rule: Rule
    indexes: Indexes
    when: Test
    trigger: Trigger
    leaves: tuple[tuple[Test, Leaf], ...]  # of `when`
    unless: tuple[tuple[Test, PackReason], ...]
    urgencies: tuple[tuple[Test, Indicator], ...]
    also: tuple[tuple[Test, str], ...]
    suggestions: tuple[CompiledSuggestion, ...]
    side_facts: tuple[tuple[Test, PersonLeaf], ...]
    rests_on_results: bool
    can_be_critical: bool
    no_index: NoEligible
    any_index: tuple[tuple[Test, Leaf], ...]


def compile_rule(rule: Rule, pack: Pack) -> CompiledRule:
    """The rule ready to be answered."""
    return CompiledRule(
        rule=rule,
        indexes=_indexes(rule.about, rule.stands_in),
        when=compiled(rule.when),
        trigger=compile_trigger(rule.when, rule.about),
        leaves=tuple((compiled(leaf), leaf) for leaf in leaves(rule.when)),
        unless=compiled_reasons(rule.unless),
        urgencies=tuple((compiled(urgency.when), urgency.indicator) for urgency in rule.urgencies),
        also=tuple((compiled(when), word) for word, when in rule.also_say.items()),
        suggestions=tuple(
            CompiledSuggestion(
                suggestion=suggestion,
                order=pack.orders[suggestion.order],
                when=None if suggestion.when is None else compiled(suggestion.when),
                unless=compiled_reasons(suggestion.unless),
                recommended=(
                    suggestion.recommended
                    if suggestion.recommended is None or isinstance(suggestion.recommended, bool)
                    else compiled(suggestion.recommended)
                ),
            )
            for suggestion in rule.suggestions
        ),
        side_facts=tuple(_side_facts(rule)),
        rests_on_results=rule.rests_on_results,
        can_be_critical=rule.can_be_critical,
        no_index=NoEligible(next(iter(rule.about), "")),
        any_index=tuple((_not_known, Present(marker)) for marker in rule.about),
    )


def _not_known(_frame: Frame) -> None:
    """The answer of a condition on a result that is not there."""


def _side_facts(rule: Rule) -> Iterator[tuple[Test, PersonLeaf]]:
    """Facts and age that may change the card although `when` does not rest on them."""
    conditions: list[Condition] = [reason.when for reason in rule.unless]
    conditions.extend(urgency.when for urgency in rule.urgencies)
    for suggestion in rule.suggestions:
        conditions.extend(reason.when for reason in suggestion.unless)
        if suggestion.when is not None:
            conditions.append(suggestion.when)
        if suggestion.recommended is not None and not isinstance(suggestion.recommended, bool):
            conditions.append(suggestion.recommended)
    seen: set[str] = set()
    for condition in conditions:
        for leaf in leaves(condition):
            if isinstance(leaf, FactIs | AgeCompare) and leaf.subject not in seen:
                seen.add(leaf.subject)
                yield compiled(leaf), leaf


def answer(
    compiled_rule: CompiledRule, frame: Frame, record: PatientRecord, now: datetime, order_days: int
) -> Decision:
    """The rule's answer in this frame."""
    rule = compiled_rule.rule
    known = compiled_rule.when(frame)
    if known is False:
        return Decision(rule=rule, answer="no card", frame=frame, because=_NOT_MET)
    if known is None:
        return Decision(
            rule=rule, answer="not enough data", frame=frame, undecided=compiled_rule.leaves
        )
    because = first_reason(compiled_rule.unless, frame)
    if because is not None:
        each = dict.fromkeys(suggestion.order for suggestion in rule.suggestions)
        withheld = tuple(Withheld(order, because) for order in each)
        return Decision(
            rule=rule, answer="no card", frame=frame, because=because, withheld=withheld
        )
    orders, withheld = _orders(compiled_rule, frame, record, now, order_days)
    return Decision(
        rule=rule,
        answer="card",
        frame=frame,
        indicator=_indicator(compiled_rule, frame),
        trigger=compiled_rule.trigger(frame) or frame.index,
        orders=orders,
        withheld=withheld,
        says=tuple(word for test, word in compiled_rule.also if test(frame) is True),
        unknown=tuple(leaf for test, leaf in compiled_rule.side_facts if test(frame) is None),
    )


def _indicator(compiled_rule: CompiledRule, frame: Frame) -> Indicator:
    found = [compiled_rule.rule.indicator]
    found.extend(indicator for test, indicator in compiled_rule.urgencies if test(frame) is True)
    return max(found, key=INDICATORS.index)


def _orders(
    compiled_rule: CompiledRule,
    frame: Frame,
    record: PatientRecord,
    now: datetime,
    order_days: int,
) -> tuple[tuple[Proposal, ...], tuple[Withheld, ...]]:
    """Of several suggestions of an order the first that nothing withholds; each order once."""
    proposals: dict[str, Proposal] = {}
    withheld: dict[str, Withheld] = {}
    for suggestion in compiled_rule.suggestions:
        name = suggestion.order.id
        if name in proposals:
            continue
        because = _withheld_because(suggestion, frame, record, now, order_days)
        if because is None:
            proposals[name] = _proposal(suggestion, frame)
            withheld.pop(name, None)
        elif name not in withheld or isinstance(withheld[name].because, ConditionNotMet):
            withheld[name] = Withheld(name, because)
    return tuple(proposals.values()), tuple(withheld.values())


def _proposal(suggestion: CompiledSuggestion, frame: Frame) -> Proposal:
    return Proposal(
        order=suggestion.order.id,
        first_day=suggestion.suggestion.first_day,
        last_day=suggestion.suggestion.last_day,
        priority=suggestion.suggestion.priority,
        recommended=_recommended(suggestion.recommended, frame),
        group=suggestion.suggestion.group,
    )


def _recommended(opinion: Callable[[Frame], Ternary] | bool | None, frame: Frame) -> bool | None:
    if opinion is None or isinstance(opinion, bool):
        return opinion
    return opinion(frame) is True


def _withheld_because(
    suggestion: CompiledSuggestion,
    frame: Frame,
    record: PatientRecord,
    now: datetime,
    order_days: int,
) -> WithheldReason | None:
    if suggestion.when is not None and suggestion.when(frame) is not True:
        return ConditionNotMet()
    reason = first_reason(suggestion.unless, frame)
    if reason is not None:
        return reason
    if is_answered(suggestion.order, frame):
        return ResultSinceIndex()
    days = suggestion.suggestion.result_days(suggestion.order)
    if is_resulted(suggestion.order, days, record, now):
        return AlreadyResulted()
    index = frame.index_result
    since = index.time if index else None
    if is_ordered(suggestion.order, suggestion.suggestion.priority, since, record, now, order_days):
        return AlreadyOrdered()
    return None


def is_answered(order: Order, frame: Frame) -> bool:
    """Whether every marker that would answer the order has a result since the index."""
    beside = (marker for marker in order.answered_beside_index if marker != frame.index)
    return bool(order.answered_by) and frame.later.issuperset((*order.answered_by, *beside))


def is_resulted(order: Order, days: int | None, record: PatientRecord, now: datetime) -> bool:
    """Whether a result of the order is on file, whatever it says, that is at most so old."""
    if days is None:
        return False
    oldest = now - timedelta(days=days)
    return any(
        past_result.code in order.equivalents and past_result.time >= oldest
        for past_result in record.resulted
    )


def is_ordered(
    order: Order,
    priority: Priority,
    since: datetime | None,
    record: PatientRecord,
    now: datetime,
    order_days: int,
) -> bool:
    """Whether an open order of the last `order_days` makes this one needless.

    An urgent or stat suggestion yields only to an order of at least its priority that was written
    after the index result, at `since`.
    """
    oldest = now - timedelta(days=order_days)
    wanted = PRIORITIES.index(priority)
    for past_order in record.orders or ():
        if order.equivalents.isdisjoint(past_order.codes):
            continue
        if past_order.authored is not None and past_order.authored < oldest:
            continue
        after = since is None or (past_order.authored is not None and past_order.authored > since)
        if wanted == 0 or (after and PRIORITIES.index(past_order.priority) >= wanted):
            return True
    return False
