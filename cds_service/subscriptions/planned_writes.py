# SPDX-License-Identifier: Apache-2.0
"""What a decision is about to write and to withdraw."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cds_service.decide import Outcome
from cds_service.rules.answer import DecisionKey
from cds_service.store.advice import WrittenAdvice
from cds_service.subscriptions.advice import Advice, AdvicePlace, entries_of, transaction
from cds_service.subscriptions.open_advice import Withdrawal


@dataclass(slots=True)
class PlannedWrites:
    """What is to be written and to be withdrawn for the outcome of one pack."""

    outcome: Outcome
    new: list[Advice] = field(default_factory=list)
    rows: list[WrittenAdvice] = field(default_factory=list)
    withdrawals: list[tuple[WrittenAdvice, Withdrawal]] = field(default_factory=list)
    overridden: frozenset[DecisionKey] = frozenset()
    quiet: frozenset[DecisionKey] = frozenset()


def written_advice(advice: Advice, outcome: Outcome, place: AdvicePlace) -> WrittenAdvice:
    """The row of advice that is about to be written."""
    decision = advice.decision
    return WrittenAdvice(
        server=place.server,
        patient=place.patient,
        pack=outcome.pack.id,
        rule=decision.rule.id,
        rule_version=decision.rule.version,
        marker=decision.frame.index,
        result=advice.result,
        identifier=advice.identifier,
        indicator=decision.indicator,
        written=outcome.now,
    )


def bundle_of(planned: Iterable[PlannedWrites], place: AdvicePlace) -> dict[str, Any]:
    """The transaction that writes all that is new."""
    entries = (
        entry
        for plan in planned
        for advice in plan.new
        for entry in entries_of(advice, plan.outcome, place)
    )
    return transaction(entries, place.version)
