# SPDX-License-Identifier: Apache-2.0
"""THE CORE: a patient's record in, decisions out.

`evaluate` answers every rule and `settle` takes back what a clinician has overridden; between the
two a caller may ask which cards those are. Both are pure functions: they touch no clock, network,
file, log or database. Every rule leaves a decision, fired or not, with its reasons.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from msgspec import Struct

from cds_service.copying import replace
from cds_service.knowledge.model.conditions import AllOf
from cds_service.knowledge.model.dependencies import dependencies_of
from cds_service.knowledge.model.pack import UNUSED_DATA, Indicator, Pack, Reason
from cds_service.labs.facts import CompiledFacts, compile_facts, facts_of
from cds_service.labs.features import PackFeatures, compile_features
from cds_service.labs.parts_of_wholes import with_impossible_parts
from cds_service.labs.patient import person_on
from cds_service.labs.patient_record import Incomplete, PatientRecord
from cds_service.labs.reasons import PackReason
from cds_service.labs.result_selection import Chooser, Frame, by_marker, with_hemolysis
from cds_service.labs.unused_data import UnusedData, unused_data
from cds_service.rules.about_results import Frames, about_results
from cds_service.rules.about_set_aside import about_set_aside
from cds_service.rules.answer import (
    CompiledRule,
    Decision,
    DecisionKey,
    answer,
    cards_among,
    compile_rule,
)
from cds_service.rules.contest import apply_precedence, deduplicate_orders, suppress_overridden
from cds_service.rules.evaluate import Test, compiled
from cds_service.rules.measures import CompiledMeasure, compile_measure
from cds_service.rules.reasons import Deceased, SilenceReason
from cds_service.rules.remarks import CompiledRemarks, compile_remarks, with_remarks
from cds_service.rules.shown_cards import (
    at_least,
    fold,
    in_order,
    since_arrival,
    without_quiet,
)
from cds_service.rules.unsent_lists import with_awaited_lists

ORDER_HOOKS = frozenset(("order-select", "order-sign"))  # their context brings draft orders
_AGE_NOT_CLEAR = Incomplete("patient", "age not clear")


@dataclass(frozen=True, slots=True)
class Program:
    """A pack compiled once, ready for any number of patients."""

    pack: Pack
    rules: Mapping[str, tuple[CompiledRule, ...]]  # by trigger: the hooks that rules name
    measures: tuple[CompiledMeasure, ...]
    facts: CompiledFacts
    features: PackFeatures
    silent: tuple[tuple[Test, Reason], ...]
    least: Mapping[str, Indicator]  # the least severe card on results that is shown, by trigger
    remarks: CompiledRemarks
    reads: Mapping[str, frozenset[str]]  # the markers that each rule reads


class Answers(Struct, frozen=True, kw_only=True):
    """What every rule says by itself about one patient, before the cards meet.

    `decisions` are those of the rules about results, in the order of the rules; `silent` those of
    rules that the pack's scope silences, and `because` why no rule was answered at all.
    """

    trigger: str
    record: PatientRecord
    now: datetime
    chooser: Chooser
    frames: Frames
    decisions: tuple[Decision, ...]
    silent: tuple[Decision, ...] = ()
    because: SilenceReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Every decision about one patient at one time, after precedence and with remarks.

    `silent` names why the whole pack is silent, if it is; `frames` holds the frame of each index;
    `unused` what was sent and might have raised another card; `reads` the markers that each rule
    reads.
    """

    pack: Pack
    record: PatientRecord
    now: datetime
    decisions: tuple[Decision, ...]
    frames: tuple[Frame, ...]
    unused: UnusedData
    reads: Mapping[str, frozenset[str]]
    silent: SilenceReason | None = None


Outcome = NewType("Outcome", Evaluation)
"""An evaluation that is settled: shown cards come first, most severe first."""


def compile_pack(pack: Pack) -> Program:
    """The pack with its active rules compiled."""
    return Program(
        pack=pack,
        rules={
            hook: tuple(_rules_of(pack, hook))
            for hook in {hook for rule in pack.rules.values() for hook in rule.hooks}
        },
        measures=tuple(compile_measure(measure) for measure in pack.measures.values()),
        facts=compile_facts(pack),
        features=compile_features(pack),
        silent=tuple((compiled(silence.when), silence) for silence in pack.scope.silent_when),
        least=pack.least,
        remarks=compile_remarks(pack.remarks),
        reads={
            rule.id: frozenset(dependencies_of(rule, pack).markers) for rule in pack.rules.values()
        },
    )


def _rules_of(pack: Pack, hook: str) -> Iterator[CompiledRule]:
    for rule in pack.rules.values():
        if rule.status == "active" and hook in rule.hooks:
            if hook in ORDER_HOOKS and rule.on_order_hooks is not None:
                rule = replace(rule, when=AllOf((rule.on_order_hooks, rule.when)))  # noqa: PLW2901
            yield compile_rule(rule, pack)


def decide(program: Program, record: PatientRecord, now: datetime, trigger: str) -> Outcome:
    """Every decision of the rules of this trigger where no card was overridden.

    `now` is an aware time; the days of an age are counted in its time zone.
    """
    return settle(evaluate(program, record, now, trigger))


def evaluate(program: Program, record: PatientRecord, now: datetime, trigger: str) -> Evaluation:
    """Every decision of the rules of this trigger after precedence; `now` as for `decide`."""
    return contest(program, answers_of(program, record, now, trigger))


def answers_of(program: Program, record: PatientRecord, now: datetime, trigger: str) -> Answers:
    """What each rule of this trigger says by itself; `now` as for `decide`."""
    record = with_impossible_parts(record, program.pack)
    chooser = chooser_of(program, record, now)
    if chooser.age_decides():
        record = replace(record, incomplete=(*record.incomplete, _AGE_NOT_CLEAR))
    frames = Frames(chooser, program.measures)
    silences = tuple(_silences(program, record, frames.empty))
    rules, silent = _parted(program.rules.get(trigger, ()), silences, frames.empty)
    on_results = (rule for rule in rules if rule.rests_on_results)
    decisions = [about_results(rule, frames, record, now) for rule in on_results]
    return Answers(
        trigger=trigger,
        record=with_awaited_lists(record, decisions, program.pack),
        now=now,
        chooser=chooser,
        frames=frames,
        decisions=tuple(decisions),
        silent=tuple(silent),
        because=silences[0].because if silences and not rules else None,
    )


def contest(program: Program, answers: Answers) -> Evaluation:
    """The decisions after the cards have met, with those that rest on no result."""
    record, now, chooser = answers.record, answers.now, answers.chooser
    unused = unused_data(record, program.features.reach_days, now)
    silent = {decision.rule.id for decision in answers.silent}
    rules = [
        rule
        for rule in program.rules.get(answers.trigger, ())
        if not rule.rests_on_results and rule.rule.id not in silent
    ]
    decisions = apply_precedence(answers.decisions, program.pack.precedence)
    decisions = with_remarks(decisions, program.remarks, chooser)
    decisions = at_least(decisions, program.least.get(answers.trigger, "info"))
    for rule in rules:
        if not rule.rule.about:
            decisions.extend(about_set_aside(rule, chooser, record, now))
    is_alone = not cards_among(decisions)
    for rule in rules:
        if rule.rule.about == (UNUSED_DATA,):
            frame = chooser.unused_data_frame(unused if is_alone else unused.beside_cards())
            decisions.append(answer(rule, frame, record, now, program.pack.scope.order_days))
    return Evaluation(
        pack=program.pack,
        record=record,
        now=now,
        decisions=(*decisions, *answers.silent),
        frames=tuple(answers.frames.all()),
        unused=unused,
        reads=program.reads,
        silent=answers.because,
    )


def on_arrival(evaluation: Evaluation, arrived: datetime | None) -> Evaluation:
    """The evaluation with only the cards that rest on the result that arrived, or on a newer one.

    `arrived` is its time, of several the earliest; `None` if none of them could be used.
    """
    due = since_arrival(evaluation.decisions, arrived, evaluation.reads)
    return replace(evaluation, decisions=tuple(due))


def settle(
    evaluation: Evaluation,
    overridden: Collection[DecisionKey] = (),
    quiet: Collection[DecisionKey] = (),
) -> Outcome:
    """The outcome without the cards that were overridden or are quiet, each order on one card only.

    Where a pack limits its cards, further ones are folded: named, and not shown.
    """
    limit = evaluation.pack.cards
    decisions = suppress_overridden(evaluation.decisions, overridden)
    decisions = without_quiet(decisions, quiet)
    decisions = in_order(fold(decisions, limit), limit)
    decisions = deduplicate_orders(decisions, evaluation.pack.orders)
    return Outcome(replace(evaluation, decisions=tuple(decisions)))


def chooser_of(program: Program, record: PatientRecord, now: datetime) -> Chooser:
    """The patient's results, facts and person, ready to be framed."""
    pack = program.pack
    ordered = {
        order.id
        for order in pack.orders.values()
        for draft in record.ordering
        if not order.equivalents.isdisjoint(draft.codes)
    }
    person = person_on(record.patient, now.date())
    facts = facts_of(program.facts, record, now, person)
    return Chooser(
        pack=pack,
        features=program.features,
        now=now,
        person=person,
        facts=facts.known,
        ordering=facts.ordering | ordered,
        by_marker=by_marker(with_hemolysis(record.results, pack, person)),
        taking=facts.taking,
    )


@dataclass(frozen=True, slots=True)
class _Silenced:
    """Why every rule is silent but for these."""

    because: SilenceReason
    but_for: tuple[str, ...] = ()


def _silences(program: Program, record: PatientRecord, frame: Frame) -> Iterator[_Silenced]:
    if program.pack.scope.silent_if_deceased and record.patient.deceased is True:
        yield _Silenced(Deceased())
    for test, silence in program.silent:
        if test(frame) is True:
            yield _Silenced(PackReason(silence.because), silence.but_for)


def _parted(
    rules: Iterable[CompiledRule], silences: Collection[_Silenced], frame: Frame
) -> tuple[list[CompiledRule], list[Decision]]:
    """The rules that are to be answered, and the decisions of those that are silent."""
    answered: list[CompiledRule] = []
    silent: list[Decision] = []
    if not silences:
        return list(rules), []
    for rule in rules:
        because = next(
            (silence.because for silence in silences if rule.rule.id not in silence.but_for), None
        )
        if because is None:
            answered.append(rule)
        else:
            silent.append(Decision(rule=rule.rule, answer="no card", frame=frame, because=because))
    return answered, silent
