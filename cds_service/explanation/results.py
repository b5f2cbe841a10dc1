# SPDX-License-Identifier: Apache-2.0
"""The results of a patient for the eye: the newest of each marker on its scale, and how it went."""

from collections.abc import Iterator
from datetime import tzinfo

from cds_service.decide import Outcome, Program, chooser_of
from cds_service.explanation.scale import LimitView, ScaleView, limit_in_words, scale_of
from cds_service.explanation.view import View
from cds_service.knowledge.model.pack import Marker
from cds_service.labs.limits import limit_of
from cds_service.labs.patient_record import LabResult
from cds_service.labs.result_selection import Chooser, Frame
from cds_service.render.result_units import limit_amount
from cds_service.render.values import (
    converted_value,
    limit_source,
    moment_of,
    multiple_of,
    value_of,
)
from cds_service.rules.grades import grade_of

_LEAST = 2  # results that make a trend


class NewestResult(View, frozen=True, kw_only=True):
    """The newest result of a marker, as the rules take it."""

    marker: str
    title: str
    sent: str
    at: str
    unit: str
    converted: str = ""
    multiple: str = ""
    band: str = ""
    grade: str = ""
    notes: tuple[str, ...] = ()
    upper_limit: LimitView | None = None
    lower_limit: LimitView | None = None
    scale: ScaleView | None = None
    explained: bool = False  # there is an explainer to read


class TrendPoint(View, frozen=True, kw_only=True):
    """One result of a trend: `value` is where it is drawn, -1 and 1 say that it lies beyond."""

    moment: float  # seconds, for drawing alone
    at: str
    sent: str
    value: float
    towards: int = 0
    limit: float | None = None
    limit_said: str = ""
    note: str = ""


class Trend(View, frozen=True, kw_only=True):
    """The results of a marker from old to new."""

    marker: str
    title: str
    unit: str
    points: tuple[TrendPoint, ...]


class Results(View, frozen=True, kw_only=True):
    """Everything that was usable."""

    newest: tuple[NewestResult, ...] = ()
    older: tuple[str, ...] = ()  # titles of markers whose results are all too old for an index
    trends: tuple[Trend, ...] = ()


def results_of(outcome: Outcome, program: Program, zone: tzinfo) -> Results:
    """The results of an outcome; every value and limit is the one that was decided by."""
    chooser = chooser_of(program, outcome.record, outcome.now)
    markers = [marker for name, marker in program.pack.markers.items() if name in chooser.by_marker]
    newest = {marker.id: _newest(marker, chooser, zone) for marker in markers}
    return Results(
        newest=tuple(result for result in newest.values() if result is not None),
        older=tuple(marker.title for marker in markers if newest[marker.id] is None),
        trends=tuple(
            _trend(marker, chooser, zone)
            for marker in markers
            if len(chooser.by_marker[marker.id]) >= _LEAST
        ),
    )


def _newest(marker: Marker, chooser: Chooser, zone: tzinfo) -> NewestResult | None:
    frame = chooser.frame(marker.id, with_preliminary=True)
    if frame is None:
        return None
    reading, messages = frame.readings[marker.id], chooser.pack.messages_in()
    result = reading.result
    scale = scale_of(marker, frame, asked=True)
    return NewestResult(
        marker=marker.id,
        title=marker.title,
        sent=value_of(result, marker),
        at=moment_of(result, zone),
        unit=marker.unit,
        converted=converted_value(result, marker, messages) or "",
        multiple=multiple_of(result.value, reading.upper, messages) or "",
        band=_graded(marker, frame, "bands"),
        grade=_graded(marker, frame, "grades"),
        notes=tuple(_notes(result)),
        upper_limit=limit_in_words(reading.upper, marker, result, chooser.pack),
        lower_limit=limit_in_words(reading.lower, marker, result, chooser.pack),
        scale=scale,
        explained=marker.id in chooser.pack.explainers,
    )


def _graded(marker: Marker, frame: Frame, kind: str) -> str:
    found = grade_of(marker.bands if kind == "bands" else marker.grades, frame)
    if found is None:
        return ""
    title = found.grade.title
    return f"at least {title[:1].lower()}{title[1:]}" if found.at_least else title


def _notes(result: LabResult) -> Iterator[str]:
    if result.status != "final":
        yield result.status
    if result.hemolysed:
        yield "hemolysed"
    if result.issued_only:
        yield "time of issue, no time of collection"


def _trend(marker: Marker, chooser: Chooser, zone: tzinfo) -> Trend:
    points = (_point(result, marker, chooser, zone) for result in chooser.by_marker[marker.id])
    return Trend(
        marker=marker.id,
        title=marker.title,
        unit=marker.unit,
        points=tuple(point for point in points if point is not None),
    )


def _point(result: LabResult, marker: Marker, chooser: Chooser, zone: tzinfo) -> TrendPoint | None:
    value = result.value
    drawn = value.low if value.low is not None else value.high
    if drawn is None:
        return None
    beyond = 0 if value.exact is not None else 1 if value.high is None else -1
    limit = limit_of(marker, "upper limit", result, chooser.person)
    messages = chooser.pack.messages_in()
    judged_by = (
        f"{limit_amount(limit, marker, result, messages)}, {limit_source(limit.named, messages)}"
        if limit
        else ""
    )
    converted = converted_value(result, marker, messages)
    sent = value_of(result, marker)
    return TrendPoint(
        moment=result.time.timestamp(),
        at=moment_of(result, zone),
        sent=f"{sent} ({converted})" if converted else sent,
        value=float(drawn),
        towards=0 if value.low is not None and value.high is not None else beyond,
        limit=float(limit.exact) if limit and limit.exact is not None else None,
        limit_said=judged_by,
        note="; ".join(_notes(result)),
    )
