# SPDX-License-Identifier: Apache-2.0
"""A rule about results: which frames it may read, and its decision in them."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from cds_service.copying import replace
from cds_service.knowledge.model.pack import PATIENT
from cds_service.labs.patient_record import PatientRecord
from cds_service.labs.result_selection import Chooser, Frame
from cds_service.rules.answer import CompiledRule, Decision, Indexes, answer
from cds_service.rules.measures import CompiledMeasure, with_measures
from cds_service.rules.reasons import IndexPreliminary


class Frames:
    """The frames of one patient, each made when first asked for.

    `empty` is a frame without results. Where no result is preliminary, `has_preliminary` is false
    and a frame that may rest on one is the same as one that may not.
    """

    def __init__(self, chooser: Chooser, measures: Sequence[CompiledMeasure]) -> None:
        self.order_days = chooser.pack.scope.order_days
        self.has_preliminary = chooser.has_preliminary
        self.empty = chooser.bare_frame(None)
        self._measures = measures
        self._chooser = chooser
        self._final: dict[str, Frame | None] = {}
        self._with_preliminary: dict[str, Frame | None] = {}
        self._every: list[Frame | None] = []
        self._readable: dict[Indexes, tuple[Frame, ...]] = {}
        self._readable_preliminary: dict[Indexes, tuple[Frame, ...]] = {}

    def get(self, marker: str, *, with_preliminary: bool) -> Frame | None:
        """The frame around the newest result of the marker."""
        if marker == PATIENT or not self.has_preliminary:
            with_preliminary = False  # the two frames are one
        made = self._with_preliminary if with_preliminary else self._final
        if marker not in made:
            if marker == PATIENT:
                frame: Frame | None = self._chooser.patient_frame()
            else:
                frame = self._chooser.frame(marker, with_preliminary=with_preliminary)
            made[marker] = None if frame is None else with_measures(frame, self._measures)
            self._every.append(made[marker])
        return made[marker]

    def readable(self, indexes: Indexes, *, with_preliminary: bool) -> tuple[Frame, ...]:
        """The frames that a rule may read; rules about the same markers share theirs."""
        read = self._readable_preliminary if with_preliminary else self._readable
        known = read.get(indexes)
        if known is None:
            made = (self.get(name, with_preliminary=with_preliminary) for name in indexes.about)
            found = [frame for frame in made if frame is not None]
            known = read[indexes] = tuple(_index_frames(indexes, found))
        return known

    def all(self) -> Iterator[Frame]:
        """Every frame that was made, in that order."""
        return (frame for frame in self._every if frame is not None)


def about_results(
    rule: CompiledRule, frames: Frames, record: PatientRecord, now: datetime
) -> Decision:
    """The first card of the frames that the rule may read, else the most telling other answer.

    A critical card may also rest on preliminary results: for a rule that can be critical the frame
    with them is tried when the one of final results gave no card.
    """
    order_days = frames.order_days
    final = frames.readable(rule.indexes, with_preliminary=False)
    may_be_preliminary = rule.can_be_critical and frames.has_preliminary
    if len(final) == 1 and not may_be_preliminary:
        return answer(rule, final[0], record, now, order_days)
    found: list[Decision] = []
    for frame in final:
        decision = answer(rule, frame, record, now, order_days)
        if decision.answer == "card":
            return decision
        found.append(decision)
    if may_be_preliminary:
        for frame in frames.readable(rule.indexes, with_preliminary=True):
            decision = answer(rule, frame, record, now, order_days)
            if decision.answer == "card":
                decision = _as_preliminary(decision)
            if decision.answer == "card":
                return decision
            found.append(decision)
    return _most_telling(found) if found else _without_frame(rule, frames)


def _most_telling(found: Sequence[Decision]) -> Decision:
    """What one index leaves open, a plain "no" of another does not settle."""
    if len(found) == 1:
        return found[0]
    withheld = (
        decision for decision in found if decision.answer == "no card" and decision.withheld
    )
    undecided = (decision for decision in found if decision.answer == "not enough data")
    return next(withheld, None) or next(undecided, found[0])


def _index_frames(indexes: Indexes, frames: list[Frame]) -> list[Frame]:
    """The frame around the newest of the results that a rule is about, of two alike the first.

    Where one marker only stands in for another, its frame comes first if it holds none of that one,
    and else not at all.
    """
    stands_in = indexes.stands_in
    if stands_in is None:
        return [max(frames, key=_index_time)] if frames else []
    own = [frame for frame in frames if frame.index != stands_in]
    others = (frame for frame in frames if frame.index == stands_in)
    alone = [frame for frame in others if frame.readings.keys().isdisjoint(indexes.about[:-1])]
    return [*alone, *own]


def _index_time(frame: Frame) -> datetime:
    index = frame.index_result
    return frame.now if index is None else index.time


def _without_frame(rule: CompiledRule, frames: Frames) -> Decision:
    if frames.has_preliminary:
        for marker in rule.rule.about:
            frame = frames.get(marker, with_preliminary=True)
            if frame is not None and frame.preliminary:
                return Decision(
                    rule=rule.rule, answer="no card", frame=frame, because=IndexPreliminary()
                )
    return Decision(
        rule=rule.rule,
        answer="not enough data",
        frame=frames.empty,
        because=rule.no_index,
        undecided=rule.any_index,
    )


def _as_preliminary(decision: Decision) -> Decision:
    """A card on a preliminary result carries no orders; one that is not critical is no card."""
    if decision.indicator != "critical":
        rule, frame = decision.rule, decision.frame
        return Decision(rule=rule, answer="no card", frame=frame, because=IndexPreliminary())
    return replace(decision, preliminary=True, orders=())
