# SPDX-License-Identifier: Apache-2.0
"""Lists that a client left out, as far as an answer waits for them.

To name every list that was not sent, whatever the results, would be read by nobody. But where a
rule would give a card if a fact of such a list were so, a card may be missing, and that is named.
"""

from collections.abc import Iterable, Iterator

from cds_service.copying import replace
from cds_service.knowledge.model.conditions import AllOf, AnyOf, Condition, PatternIs
from cds_service.knowledge.model.dependencies import fact_closure
from cds_service.knowledge.model.leaves import FactIs, Taking
from cds_service.knowledge.model.pack import Pack
from cds_service.labs.patient_record import IncompletePart, PatientRecord
from cds_service.labs.result_selection import Frame
from cds_service.rules.answer import Decision
from cds_service.rules.evaluate import compiled


def with_awaited_lists(
    record: PatientRecord, decisions: Iterable[Decision], pack: Pack
) -> PatientRecord:
    """The record without what was not sent and no decision waits for."""
    if all(lack.lack != "not sent" for lack in record.incomplete):
        return record
    awaited = {part for decision in decisions for part in _awaited_by(decision, pack)}
    kept = [lack for lack in record.incomplete if lack.lack != "not sent" or lack.part in awaited]
    return replace(record, incomplete=tuple(kept))


def _awaited_by(decision: Decision, pack: Pack) -> Iterator[IncompletePart]:
    """The lists that could make the rule give its card, if facts are all that it lacks."""
    if decision.answer != "not enough data" or not can_be(True, decision.rule.when, decision.frame):
        return
    missing = [leaf.fact for leaf in decision.missing if isinstance(leaf, FactIs | Taking)]
    for fact in map(pack.facts.__getitem__, fact_closure(missing, pack)):
        if fact.medicines:
            yield "medicines"
        if fact.reads_conditions:
            yield "conditions"


def can_be(wanted: bool, condition: Condition, frame: Frame) -> bool:
    """Whether the condition may have this answer, with nothing but facts to be known yet.

    Each fact is taken for itself: facts that exclude each other may both be so.
    """
    match condition:
        case AllOf(parts=parts):
            answers = (can_be(wanted, part, frame) for part in parts)
            return all(answers) if wanted else any(answers)
        case AnyOf(parts=parts):
            answers = (can_be(wanted, part, frame) for part in parts)
            return any(answers) if wanted else all(answers)
        case PatternIs(when=when, answer=answer, or_unknown=False):
            return can_be(wanted is answer, when, frame)
        case _:
            known = compiled(condition)(frame)
            return known is wanted or (known is None and isinstance(condition, FactIs | Taking))
