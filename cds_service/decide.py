# SPDX-License-Identifier: Apache-2.0
"""THE CORE: a patient's record in, decisions out.

`evaluate` answers every rule and `settle` takes back what a clinician has overridden; between the
two a caller may ask which cards those are. Both are pure functions: they touch no clock, network,
file, log or database. Every rule leaves a decision, fired or not, with its reasons.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from cds_service.knowledge.model.conditions import (
    AllOf,
)
from cds_service.knowledge.model.leaves import (
    Present,
)
from cds_service.knowledge.model.pack import PATIENT, UNUSED_DATA, Indicator, Pack, Reason, Rule
from cds_service.labs.fact_finders import FactFinders, fact_finders
from cds_service.labs.facts import facts_of, facts_ordered, facts_taken
from cds_service.labs.features import PackFeatures, compile_features
from cds_service.labs.frames import Chooser, Frame, by_marker, with_hemolysis
from cds_service.labs.parts_of_wholes import with_impossible_parts
from cds_service.labs.patient import person_on
from cds_service.labs.patient_record import Incomplete, LabResult, PatientRecord, SetAside
from cds_service.labs.reasons import PackReason
from cds_service.labs.set_aside_reasons import SetAsideReason
from cds_service.labs.unused_data import UnusedData, unused_data
from cds_service.rules.answer import (
    CompiledRule,
    Decision,
    DecisionKey,
    answer,
    compile_rule,
)
from cds_service.rules.contest import apply_precedence, deduplicate_orders, suppress_overridden
from cds_service.rules.evaluate import Test, compiled
from cds_service.rules.measures import CompiledMeasure, compile_measure, with_measures
from cds_service.rules.reasons import (
    ConditionNotMet,
    Deceased,
    IndexPreliminary,
    NoEligible,
    SilenceReason,
)
from cds_service.rules.remarks import CompiledRemarks, compile_remarks, with_remarks
from cds_service.rules.shown_cards import at_least, fold, in_order, without_quiet

ORDER_HOOKS = frozenset(("order-select", "order-sign"))  # their context brings draft orders
# As if a result that is not final yet had been set aside for it.
PENDING: SetAsideReason = "status:preliminary"
_AGE_NOT_CLEAR = Incomplete("patient", "age not clear")


@dataclass(frozen=True, slots=True)
class Program:
    """A pack compiled once, ready for any number of patients."""

    pack: Pack
    rules: Mapping[str, tuple[CompiledRule, ...]]  # by trigger: the hooks that rules name
    measures: tuple[CompiledMeasure, ...]
    finders: FactFinders
    features: PackFeatures
    silent: tuple[tuple[Test, Reason], ...]
    least: Mapping[str, Indicator]  # the least severe card on results that is shown, by trigger
    remarks: CompiledRemarks


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Every decision about one patient at one time, as the rules alone give it.

    `silent` names why the whole pack is silent, if it is; `frames` holds the frame of each index;
    `unused` what was sent and might have raised another card.
    """

    pack: Pack
    record: PatientRecord
    now: datetime
    decisions: tuple[Decision, ...]
    frames: tuple[Frame, ...]
    unused: UnusedData
    silent: SilenceReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Evaluation):
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
        finders=fact_finders(pack),
        features=compile_features(pack),
        silent=tuple((compiled(silence.when), silence) for silence in pack.scope.silent_when),
        least=pack.least,
        remarks=compile_remarks(pack.remarks),
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
    record = with_impossible_parts(record, program.pack)
    chooser = chooser_of(program, record, now)
    if chooser.age_decides():
        record = replace(record, incomplete=(*record.incomplete, _AGE_NOT_CLEAR))
    unused = unused_data(record, program.features.reach_days, now)
    bare = chooser.bare_frame(None)
    silences = tuple(_silences(program, record, bare))
    rules, decided = _parted(program.rules.get(trigger, ()), silences, bare)
    frames = _Frames(program, chooser)
    decisions = [
        _about_results(rule, frames, record, now) for rule in rules if rule.rule.rests_on_results
    ]
    decisions = apply_precedence(decisions, program.pack.precedence)
    decisions = with_remarks(decisions, program.remarks, chooser)
    decisions = at_least(decisions, program.least.get(trigger, "info"))
    for rule in rules:
        if not rule.rule.about:
            decisions.extend(_about_set_aside(rule, chooser, record, now))
    is_alone = not any(decision.shown for decision in decisions)
    for rule in rules:
        if rule.rule.about == (UNUSED_DATA,):
            frame = chooser.unused_data_frame(unused if is_alone else unused.beside_cards())
            decisions.append(answer(rule, frame, record, now, program.pack.scope.order_days))
    return Evaluation(
        pack=program.pack,
        record=record,
        now=now,
        decisions=(*decisions, *decided),
        frames=tuple(frames.all()),
        unused=unused,
        silent=silences[0].because if silences and not rules else None,
    )


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
    decisions = deduplicate_orders(decisions, dict(evaluation.pack.orders))
    return Outcome(
        pack=evaluation.pack,
        record=evaluation.record,
        now=evaluation.now,
        decisions=tuple(decisions),
        frames=evaluation.frames,
        unused=evaluation.unused,
        silent=evaluation.silent,
    )


def chooser_of(program: Program, record: PatientRecord, now: datetime) -> Chooser:
    """The patient's results, facts and person, ready to be framed."""
    pack = program.pack
    ordered = {
        order.id
        for order in pack.orders.values()
        for one in record.ordering
        if not order.equivalents.isdisjoint(one.codes)
    }
    person = person_on(record.patient, now.date())
    return Chooser(
        pack=pack,
        features=program.features,
        now=now,
        person=person,
        facts=facts_of(pack, program.finders, record, now, person),
        ordering=facts_ordered(pack, program.finders, record) | ordered,
        by_marker=by_marker(with_hemolysis(record.results, pack, person)),
        taking=facts_taken(pack, program.finders, record, now, person),
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
    rules: Iterable[CompiledRule], silences: Iterable[_Silenced], frame: Frame
) -> tuple[list[CompiledRule], list[Decision]]:
    """The rules that are to be answered, and the decisions of those that are silent."""
    answered: list[CompiledRule] = []
    silent: list[Decision] = []
    for rule in rules:
        because = next((one.because for one in silences if rule.rule.id not in one.but_for), None)
        if because is None:
            answered.append(rule)
        else:
            silent.append(Decision(rule=rule.rule, answer="no card", frame=frame, because=because))
    return answered, silent


class _Frames:
    """The frames of one patient, each made when first asked for."""

    def __init__(self, program: Program, chooser: Chooser) -> None:
        self.pack = program.pack
        self._measures = program.measures
        self._chooser = chooser
        self._has_preliminary = chooser.has_preliminary
        self._made: dict[tuple[str, bool], Frame | None] = {}

    def get(self, marker: str, *, with_preliminary: bool) -> Frame | None:
        """The frame around the newest result of the marker."""
        if marker == PATIENT or not self._has_preliminary:
            with_preliminary = False  # the two frames are one
        key = (marker, with_preliminary)
        if key not in self._made:
            if marker == PATIENT:
                frame: Frame | None = self._chooser.patient_frame()
            else:
                frame = self._chooser.frame(marker, with_preliminary=with_preliminary)
            self._made[key] = None if frame is None else with_measures(frame, self._measures)
        return self._made[key]

    def all(self) -> Iterator[Frame]:
        """Every frame that was made."""
        return (frame for frame in self._made.values() if frame is not None)

    def empty(self) -> Frame:
        """A frame without results."""
        return self._chooser.bare_frame(None)


def _about_results(
    rule: CompiledRule, frames: _Frames, record: PatientRecord, now: datetime
) -> Decision:
    """The first card of the frames that the rule may read, else the most telling other answer."""
    found: list[Decision] = []
    for frame, with_preliminary in _readable(rule, frames):
        decision = answer(rule, frame, record, now, frames.pack.scope.order_days)
        if with_preliminary and decision.shown:
            decision = _as_preliminary(decision)
        if decision.shown:
            return decision
        found.append(decision)
    if found:
        # What one index leaves open, a plain "no" of another does not settle.
        open_first = sorted(found, key=lambda d: d.answer != "not enough data")
        return next((d for d in found if d.answer == "no card" and d.withheld), open_first[0])
    return _without_frame(rule, frames)


def _readable(rule: CompiledRule, frames: _Frames) -> Iterator[tuple[Frame, bool]]:
    """The frames that a rule may read, those of final results first.

    A critical card may also rest on preliminary results: for a rule that can be critical that
    frame is tried when the first gave no card.
    """
    for with_preliminary in (False, True) if rule.rule.can_be_critical else (False,):
        every = (
            frames.get(marker, with_preliminary=with_preliminary) for marker in rule.rule.about
        )
        found = [frame for frame in every if frame is not None]
        for frame in _index_frames(rule.rule, found):
            yield frame, with_preliminary


def _index_frames(rule: Rule, frames: list[Frame]) -> list[Frame]:
    """The frame around the newest of the results that the rule is about, of two alike the first.

    Where one marker only stands in for another, its frame comes first if it holds none of that one,
    and else not at all.
    """
    if rule.stands_in is None:
        return [max(frames, key=_index_time)] if frames else []
    own = [frame for frame in frames if frame.index != rule.stands_in]
    others = (frame for frame in frames if frame.index == rule.stands_in)
    alone = [frame for frame in others if frame.readings.keys().isdisjoint(rule.about[:-1])]
    return [*alone, *own]


def _index_time(frame: Frame) -> datetime:
    index = frame.index_result
    return frame.now if index is None else index.time


def _without_frame(rule: CompiledRule, frames: _Frames) -> Decision:
    marker = rule.rule.about[0]
    frame = frames.get(marker, with_preliminary=True)
    if frame is not None:
        return Decision(rule=rule.rule, answer="no card", frame=frame, because=IndexPreliminary())
    return Decision(
        rule=rule.rule,
        answer="not enough data",
        frame=frames.empty(),
        because=NoEligible(marker),
        missing=(Present(marker),),
    )


def _as_preliminary(decision: Decision) -> Decision:
    """A card on a preliminary result carries no orders; one that is not critical is no card."""
    if decision.indicator != "critical":
        rule, frame = decision.rule, decision.frame
        return Decision(rule=rule, answer="no card", frame=frame, because=IndexPreliminary())
    return replace(decision, preliminary=True, orders=())


def _about_set_aside(
    rule: CompiledRule, chooser: Chooser, record: PatientRecord, now: datetime
) -> Iterator[Decision]:
    """One card a marker that has a recent result set aside for the rule's reason."""
    seen: set[str] = set()
    for item in (*record.set_aside, *_pending(record)):
        if not item.marker or item.marker in seen or not chooser.is_recent(item.time):
            continue
        decision = _of_set_aside(rule, item, chooser, record, now)
        if decision.shown:
            seen.add(item.marker)
            yield decision
    if not seen:
        yield Decision(
            rule=rule.rule,
            answer="no card",
            frame=chooser.bare_frame(None),
            because=ConditionNotMet(),
        )


def _pending(record: PatientRecord) -> Iterator[SetAside]:
    """Preliminary results, which rules may call pending as they do those registered."""
    for result in record.results:
        if result.status == "preliminary" and not _settled(result, record):
            yield SetAside(
                reason=PENDING,
                marker=result.marker,
                code=result.code,
                reference=result.reference,
                time=result.time,
            )


def _settled(result: LabResult, record: PatientRecord) -> bool:
    """Whether a later result of the marker is final."""
    return any(
        one.marker == result.marker and one.status != "preliminary" and one.time >= result.time
        for one in record.results
    )


def _of_set_aside(
    rule: CompiledRule, item: SetAside, chooser: Chooser, record: PatientRecord, now: datetime
) -> Decision:
    frame = chooser.bare_frame(item)
    return answer(rule, frame, record, now, chooser.pack.scope.order_days)
