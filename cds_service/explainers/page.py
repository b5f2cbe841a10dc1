# SPDX-License-Identifier: Apache-2.0
"""The explainer's page: a value on its scale, its meaning, and the rules' answers.

The value takes the way of every call, intake to decisions to cards; this module only gathers what
came of it and sets the explainer's text beside it.
"""

from dataclasses import dataclass, field
from datetime import datetime

from cds_service.catalogue.rules import by_severity
from cds_service.explainers.addresses import AskedMarker, marker_named, typed_question, unknown_test
from cds_service.explainers.prose import FilledExplainer, filled
from cds_service.explainers.question import Question, takes_lower_limit
from cds_service.explainers.value import ValueAssessment, judge
from cds_service.explanation.scale import (
    Band,
    LimitView,
    ScaleView,
    blank_frame,
    grade_rows,
    limit_in_words,
    scale_of,
)
from cds_service.explanation.view import (
    DISCLAIMER,
    NamedView,
    SiteLine,
    View,
    pack_named,
    site_lines,
    values_in,
)
from cds_service.knowledge.model.pack import Marker, Pack
from cds_service.knowledge.model.status import approval
from cds_service.labs.result_selection import Frame
from cds_service.render.result_units import (
    ResultUnit,
    unit_of_marker,
    unit_of_scale,
    unit_of_system,
)
from cds_service.service import Knowledge

_LANGUAGE = "en"


class UnitSystem(View, frozen=True, kw_only=True):
    """One of the two systems of units in which the page can be read, and its unit."""

    id: str
    unit: str
    current: bool = False


class ExplainPage(View, frozen=True, kw_only=True):
    """Everything about a marker and, if one was asked about, its value."""

    marker: NamedView
    name: str
    unit: str
    units: tuple[str, ...]
    systems: tuple[UnitSystem, ...] = ()
    plausible: str
    upper_limit: LimitView | None = None
    lower_limit: LimitView | None = None
    takes_lower_limit: bool = False
    scale: ScaleView | None = None
    grades: tuple[Band, ...] = ()
    judged: ValueAssessment | None = None
    text: FilledExplainer
    rules: tuple[NamedView, ...]
    markers: tuple[NamedView, ...]
    site: tuple[SiteLine, ...] = ()
    pack: str
    disclaimer: str = ""
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explainers:
    """The explainers of every pack; texts are filled when first asked for."""

    knowledge: Knowledge
    _filled: dict[tuple[str, str], FilledExplainer] = field(default_factory=dict)

    def markers(self) -> tuple[NamedView, ...]:
        """Every marker that has an explainer."""
        return tuple(
            NamedView(id=name, title=pack.markers[name].title)
            for pack in self.knowledge.packs
            for name in pack.markers
            if name in pack.explainers
        )

    def find(self, word: str) -> tuple[Marker, Pack]:
        """The marker that an id, a name or a code means, and its pack; raises `UnknownPage`."""
        found = marker_named(word, self.knowledge.packs)
        if found is None:
            raise unknown_test(word, self.knowledge.packs)
        return found

    def asked(self, text: str) -> AskedMarker:
        """The test and the value of one line that was typed; raises `UnknownPage`."""
        return typed_question(text, self.knowledge.packs)

    def page(self, question: Question, now: datetime, system: str = "") -> ExplainPage:
        """The page that answers a question; raises `RequestError` if it cannot be put.

        Its amounts are in the unit of this system (US or SI), else as they were sent.
        """
        marker, pack = question.marker, question.pack
        judged, frame = None, blank_frame(marker)
        if question.given:
            judged, own = judge(self.knowledge, question, now, system)
            frame = own or frame
        text = self._text(marker, pack, system)
        return _page(text, question, judged, frame, self.markers(), system)

    def _text(self, marker: Marker, pack: Pack, system: str) -> FilledExplainer:
        if (marker.id, system) not in self._filled:
            by_language = pack.explainers[marker.id]
            explainer = by_language.get(_LANGUAGE) or next(iter(by_language.values()))
            self._filled[marker.id, system] = filled(explainer, marker, pack, system)
        return self._filled[marker.id, system]


def _page(
    text: FilledExplainer,
    question: Question,
    judged: ValueAssessment | None,
    frame: Frame,
    markers: tuple[NamedView, ...],
    system: str,
) -> ExplainPage:
    marker, pack = question.marker, question.pack
    reading, unit = frame.readings[marker.id], unit_of_system(marker, system)
    asked = judged is not None and judged.value is not None
    shown_in = unit or unit_of_scale(reading, marker)
    return ExplainPage(
        marker=NamedView(id=marker.id, title=marker.title),
        name=marker.name,
        unit=marker.unit,
        units=tuple(dict.fromkeys(marker.units.values())),
        systems=tuple(
            UnitSystem(id=name, unit=unit_text, current=unit_text == shown_in.text)
            for name, unit_text in marker.shown_in.items()
        ),
        plausible=_plausible(marker, unit or unit_of_marker(marker)),
        upper_limit=limit_in_words(reading.upper, marker, reading.result, pack, unit),
        lower_limit=limit_in_words(reading.lower, marker, reading.result, pack, unit),
        takes_lower_limit=takes_lower_limit(marker),
        scale=scale_of(marker, frame, asked=asked, unit=unit),
        grades=tuple(
            row
            for row in grade_rows(marker.grades, marker, frame, asked=asked, unit=unit)
            if row.title
        ),
        judged=judged,
        text=text,
        rules=tuple(
            NamedView(id=rule.id, title=rule.title)
            for rule in by_severity(pack)
            if rule.status == "active" and marker.id in rule.about
        ),
        markers=markers,
        site=site_lines(pack, values_in(f"markers/{marker.id}.yaml", pack)),
        pack=pack_named(pack),
        disclaimer=f"{DISCLAIMER} {approval(pack)}",
        notices=pack.notices,
    )


def _plausible(marker: Marker, unit: ResultUnit) -> str:
    low, high = marker.plausible.low, marker.plausible.high
    ends = [unit.number(end) for end in (low, high) if end is not None]
    return f"{' to '.join(ends)} {unit.text}".strip()
