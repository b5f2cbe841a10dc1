# SPDX-License-Identifier: Apache-2.0
"""Which remarks a card says: each by the newest results on file, or by the card it replaced."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cds_service.copying import replace
from cds_service.knowledge.model.remarks import Remark, Remarks
from cds_service.labs.result_selection import Chooser
from cds_service.rules.answer import Decision, Remarked, cards_among
from cds_service.rules.evaluate import Test, compiled


@dataclass(frozen=True, slots=True)
class CompiledRemarks:
    """The remarks of a pack with their conditions as functions."""

    rules: frozenset[str]
    each: tuple[tuple[Remark, Test | None], ...]


def compile_remarks(remarks: Remarks) -> CompiledRemarks:
    """The remarks ready to be found."""
    return CompiledRemarks(
        rules=remarks.rules,
        each=tuple(
            (remark, None if remark.when is None else compiled(remark.when))
            for remark in remarks.each
        ),
    )


def with_remarks(
    decisions: Sequence[Decision], remarks: CompiledRemarks, chooser: Chooser
) -> list[Decision]:
    """The decisions after precedence, each card with what it says of other facts on file."""
    remarked = {
        decision.rule.id for decision in cards_among(decisions) if decision.rule.id in remarks.rules
    }
    if not remarked:
        return list(decisions)
    by_rule = {decision.rule.id: decision for decision in decisions}
    return [
        replace(decision, remarks=tuple(_of(decision, remarks, chooser, by_rule)))
        if decision.rule.id in remarked
        else decision
        for decision in decisions
    ]


def _of(
    decision: Decision,
    remarks: CompiledRemarks,
    chooser: Chooser,
    by_rule: Mapping[str, Decision],
) -> Iterator[Remarked]:
    newest = chooser.with_newest(decision.frame)
    for remark, holds in remarks.each:
        if holds is not None:
            if holds(newest) is True:
                yield Remarked(remark.id, newest, decision.trigger)
            continue
        loser = by_rule.get(remark.replaced or "")
        if loser is not None and loser.replaced_by == decision.rule.id:
            yield Remarked(remark.id, loser.frame, loser.trigger)
