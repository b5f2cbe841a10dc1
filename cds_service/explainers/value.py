# SPDX-License-Identifier: Apache-2.0
"""What the service says to a value: the same call as any other, and what came of it as views."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from cds_service.amounts import shortened
from cds_service.catalogue.rules import program_of
from cds_service.decide import Outcome, chooser_of
from cds_service.explainers.question import Question, request_for
from cds_service.explanation.view import NamedView, View
from cds_service.knowledge.model.dependencies import inputs_of
from cds_service.knowledge.model.marker_parts import markers_of
from cds_service.knowledge.model.pack import Indicator, Marker, Measure, Pack, Priority
from cds_service.labs.reading_limits import is_doubtful
from cds_service.labs.reasons import PackReason
from cds_service.labs.result_selection import Frame, MeasureValue
from cds_service.render.card import Card
from cds_service.render.reason_text import reason_text
from cds_service.render.result_units import unit_of_system
from cds_service.render.values import (
    converted_value,
    multiple_of,
    value_in,
    value_of,
    window_of,
)
from cds_service.rules.answer import Decision
from cds_service.rules.grades import grade_of
from cds_service.service import Answer, Knowledge, Options, answer_hook

_ASKED_BY = "patient-view"


class ValueView(View, frozen=True, kw_only=True):
    """The value that was asked about, as it was read."""

    sent: str
    shown: str  # as the page says it
    converted: str = ""  # the same in the other unit, if there is one to say
    band: NamedView | None = None
    band_at_least: bool = False
    grade: NamedView | None = None
    grade_at_least: bool = False
    multiple: str = ""
    near_boundary: bool = False


class OrderView(View, frozen=True, kw_only=True):
    """What a card proposes."""

    id: str
    title: str
    code: str
    window: str
    priority: Priority
    recommended: bool | None = None
    instruction: str = ""


class CardView(View, frozen=True, kw_only=True):
    """A card that appears."""

    rule: str
    title: str
    indicator: Indicator
    time_critical: bool = False
    summary: str
    orders: tuple[OrderView, ...] = ()


class ComputedMeasure(View, frozen=True, kw_only=True):
    """A measure, or why it is withheld."""

    id: str
    title: str
    value: str = ""
    called: str = ""
    because: str = ""


class OtherResult(View, frozen=True, kw_only=True):
    """Another result that was given."""

    marker: str
    title: str
    sent: str
    multiple: str = ""


class MissingMarker(View, frozen=True, kw_only=True):
    """A marker that would let more rules answer."""

    marker: str
    title: str
    rules: int


class ValueAssessment(View, frozen=True, kw_only=True):
    """What came of the call."""

    value: ValueView | None = None
    not_used: str = ""
    silent: str = ""
    others: tuple[OtherResult, ...] = ()
    cards: tuple[CardView, ...] = ()
    measures: tuple[ComputedMeasure, ...] = ()
    wanting: tuple[MissingMarker, ...] = ()


def judge(
    knowledge: Knowledge, question: Question, now: datetime, system: str = ""
) -> tuple[ValueAssessment, Frame | None]:
    """What the rules say, and the frame around the value if it was used.

    The value is said in the unit of the system (US or SI), else as it was sent.
    """
    pack, marker = question.pack, question.marker
    service = next(
        (service for service in pack.services if service.hook == _ASKED_BY), pack.services[0]
    )
    request = request_for(question, now, service.hook)
    answer = answer_hook(knowledge, request, service.id, now, Options())
    outcome = answer.outcome
    chooser = chooser_of(program_of(knowledge, pack), outcome.record, outcome.now)
    frame = chooser.frame(marker.id, with_preliminary=False)
    frames = [*outcome.frames, *([frame] if frame else [])]
    judged = ValueAssessment(
        value=_value(marker, frame, pack, system) if frame and question.has_value else None,
        not_used=_not_used(outcome, marker) if question.has_value and frame is None else "",
        silent=_silent(outcome, marker),
        others=tuple(_others(question, frames)),
        cards=tuple(_fired(answer, pack)),
        measures=tuple(_measures(frames, question)),
        wanting=tuple(_wanting(outcome, question)),
    )
    return judged, frame


def _value(marker: Marker, frame: Frame, pack: Pack, system: str) -> ValueView:
    reading, messages = frame.readings[marker.id], pack.messages_in()
    sent, unit = value_of(reading.result, marker), unit_of_system(marker, system)
    shown = value_in(reading.result, unit, messages) if unit else None
    converted = converted_value(reading.result, marker, messages) or ""
    band, grade = grade_of(marker.bands, frame), grade_of(marker.grades, frame)
    return ValueView(
        sent=sent,
        shown=shown or sent,
        converted=sent if shown else converted,
        band=NamedView(id=band.grade.id, title=band.grade.title) if band else None,
        band_at_least=band is not None and band.at_least,
        grade=NamedView(id=grade.grade.id, title=grade.grade.title) if grade else None,
        grade_at_least=grade is not None and grade.at_least,
        multiple=multiple_of(reading.result.value, reading.upper, messages) or "",
        near_boundary=is_doubtful(marker, reading),
    )


def _silent(outcome: Outcome, marker: Marker) -> str:
    """Why every rule is silent, or every one that is about the marker."""
    pack, silent = outcome.pack, outcome.silent
    if silent is None:
        codes = {silence.because for silence in pack.scope.silent_when}
        reasons = [
            decision.because for decision in outcome.decisions if marker.id in decision.rule.about
        ]
        found = [
            reason for reason in reasons if isinstance(reason, PackReason) and reason.code in codes
        ]
        silent = found[0] if found and len(found) == len(reasons) else None
    return reason_text(silent, pack.messages_in()) if silent else ""


def _not_used(outcome: Outcome, marker: Marker) -> str:
    reasons = (item.reason for item in outcome.record.set_aside if item.marker == marker.id)
    reason = next(reasons, None)
    return "not used" if reason is None else reason_text(reason, outcome.pack.messages_in())


def _others(question: Question, frames: list[Frame]) -> Iterator[OtherResult]:
    messages = question.pack.messages_in()
    for name in question.given:
        marker = question.pack.markers.get(name)
        reading = next((frame.readings[name] for frame in frames if name in frame.readings), None)
        if marker is None or reading is None or name == question.marker.id:
            continue
        yield OtherResult(
            marker=name,
            title=marker.title,
            sent=value_of(reading.result, marker),
            multiple=multiple_of(reading.result.value, reading.upper, messages) or "",
        )


def _fired(answer: Answer, pack: Pack) -> Iterator[CardView]:
    shown = [decision for decision in answer.outcome.decisions if decision.shown]
    for decision, card in zip(shown, answer.response.cards, strict=True):
        yield _card(decision, card, pack)


def _card(decision: Decision, card: Card, pack: Pack) -> CardView:
    return CardView(
        rule=decision.rule.id,
        title=decision.rule.title,
        indicator=card.indicator,
        time_critical=decision.rule.time_critical,
        summary=card.summary,
        orders=tuple(
            OrderView(
                id=order.order,
                title=pack.orders[order.order].title,
                code=pack.orders[order.order].code.code,
                window=window_of(order, pack.messages_in()).window,
                priority=order.priority,
                recommended=order.recommended,
                instruction=pack.orders[order.order].instruction or "",
            )
            for order in decision.orders
        ),
    )


def _measures(frames: list[Frame], question: Question) -> Iterator[ComputedMeasure]:
    """What was computed, and what was withheld although everything it needs was given."""
    by_name: dict[str, MeasureValue] = {}
    for frame in frames:
        for name, value in frame.measures.items():
            by_name.setdefault(name, value)
    for name, value in by_name.items():
        measure = question.pack.measures[name]
        if value.value is not None:
            number = shortened(value.value, measure.decimals)
            called = value.called or ""
            yield ComputedMeasure(id=name, title=measure.title, value=number, called=called)
        elif value.because and _is_asked(measure, question):
            because = reason_text(value.because, question.pack.messages_in())
            yield ComputedMeasure(id=name, title=measure.title, because=because)


def _is_asked(measure: Measure, question: Question) -> bool:
    earlier = any(item.part == "previous" for item in measure.formula.inputs)
    return not earlier and question.given.keys() >= set(inputs_of(measure))


def _wanting(outcome: Outcome, question: Question) -> Iterator[MissingMarker]:
    """Markers that were not given and that open rules ask for, the most wanted first."""
    counted: Counter[str] = Counter()
    for decision in outcome.decisions:
        if decision.answer == "not enough data":
            markers = {marker for leaf in decision.missing for marker in markers_of(leaf)}
            counted.update(sorted(markers - question.given.keys()))
    for name, times in counted.most_common():
        yield MissingMarker(marker=name, title=question.pack.markers[name].title, rules=times)
