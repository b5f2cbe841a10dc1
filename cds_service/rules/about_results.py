# SPDX-License-Identifier: Apache-2.0
"""A rule about results: which frames it may read, and its decision in them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from cds_service.knowledge.model.leaves import Present
from cds_service.knowledge.model.pack import PATIENT, Rule
from cds_service.labs.frames import Chooser, Frame
from cds_service.labs.patient_record import PatientRecord
from cds_service.rules.answer import CompiledRule, Decision, answer
from cds_service.rules.measures import CompiledMeasure, with_measures
from cds_service.rules.reasons import IndexPreliminary, NoEligible


class Frames:
    """The frames of one patient, each made when first asked for."""

    def __init__(self, chooser: Chooser, measures: Sequence[CompiledMeasure]) -> None:
        self.pack = chooser.pack
        self._measures = measures
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


def about_results(
    rule: CompiledRule, frames: Frames, record: PatientRecord, now: datetime
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


def _readable(rule: CompiledRule, frames: Frames) -> Iterator[tuple[Frame, bool]]:
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


def _without_frame(rule: CompiledRule, frames: Frames) -> Decision:
    about = rule.rule.about
    for marker in about:
        frame = frames.get(marker, with_preliminary=True)
        if frame is not None:
            reason = IndexPreliminary()
            return Decision(rule=rule.rule, answer="no card", frame=frame, because=reason)
    return Decision(
        rule=rule.rule,
        answer="not enough data",
        frame=frames.empty(),
        because=NoEligible(about[0]),
        missing=tuple(Present(marker) for marker in about),
    )


def _as_preliminary(decision: Decision) -> Decision:
    """A card on a preliminary result carries no orders; one that is not critical is no card."""
    if decision.indicator != "critical":
        rule, frame = decision.rule, decision.frame
        return Decision(rule=rule, answer="no card", frame=frame, because=IndexPreliminary())
    return replace(decision, preliminary=True, orders=())
