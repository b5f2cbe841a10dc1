# SPDX-License-Identifier: Apache-2.0
"""The explainer's page: a value on its scale, what it may mean, and what the rules say to it.

The value takes the way of every call, intake to decisions to cards; this module only gathers what
came of it and sets the explainer's text beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from cds_service.amounts import plain
from cds_service.errors import UnknownPage
from cds_service.knowledge.conditions import Compare, TimesLimit, leaves
from cds_service.knowledge.model import Grade, Marker, Pack
from cds_service.knowledge.standing import approval
from cds_service.labs.frames import Frame
from cds_service.labs.limits import Limit as KnownLimit
from cds_service.pages.judged import Judged, judge
from cds_service.pages.prose import Filled, filled
from cds_service.pages.question import Question
from cds_service.pages.scale import Stretch, blank_frame, stretches, where_is
from cds_service.pages.view import (
    DISCLAIMER,
    Named,
    SiteLine,
    View,
    pack_named,
    site_lines,
    values_in,
)
from cds_service.render.values import limit_amount, limit_source
from cds_service.rules.grades import grade_of
from cds_service.service import Knowledge

_LANGUAGE = "en"


class Band(View, frozen=True, kw_only=True):
    """One row of a table of bands or grades."""

    id: str
    title: str
    range: str
    of_limit: str = ""  # as a multiple of the upper limit
    current: bool = False


class Scale(View, frozen=True, kw_only=True):
    """The bands from low to high, and where the value lies on them, from 0 to 1."""

    bands: tuple[Band, ...]
    edges: tuple[str, ...]
    place: float | None = None
    open_below: bool = False
    open_above: bool = False


class Limit(View, frozen=True, kw_only=True):
    """The upper limit that the value is judged by."""

    amount: str
    named: str


class ExplainPage(View, frozen=True, kw_only=True):
    """Everything about a marker and, if one was asked about, its value."""

    marker: Named
    name: str
    unit: str
    units: tuple[str, ...]
    plausible: str
    upper_limit: Limit | None = None
    scale: Scale | None = None
    grades: tuple[Band, ...] = ()
    judged: Judged | None = None
    text: Filled
    rules: tuple[Named, ...]
    markers: tuple[Named, ...]
    site: tuple[SiteLine, ...] = ()
    pack: str
    disclaimer: str = ""
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explainers:
    """The explainers of every pack; texts are filled when first asked for."""

    knowledge: Knowledge
    _filled: dict[str, Filled] = field(default_factory=dict)

    def markers(self) -> tuple[Named, ...]:
        """Every marker that has an explainer."""
        return tuple(
            Named(id=name, title=pack.markers[name].title)
            for pack in self.knowledge.packs
            for name in pack.markers
            if name in pack.explainers
        )

    def find(self, marker_id: str) -> tuple[Marker, Pack]:
        """The marker and its pack; raises `UnknownPage`."""
        for pack in self.knowledge.packs:
            if marker_id in pack.explainers:
                return pack.markers[marker_id], pack
        known = ", ".join(one.id for one in self.markers())
        raise UnknownPage(f"There is no explainer of this name; there are: {known}.")

    def page(self, question: Question, now: datetime) -> ExplainPage:
        """The page that answers a question; raises `RequestError` if it cannot be put."""
        marker, pack = question.marker, question.pack
        judged, frame = None, blank_frame(marker)
        if question.given:
            judged, own = judge(self.knowledge, question, now)
            frame = own or frame
        return _page(self._text(marker, pack), question, judged, frame, self.markers())

    def _text(self, marker: Marker, pack: Pack) -> Filled:
        if marker.id not in self._filled:
            by_language = pack.explainers[marker.id]
            explainer = by_language.get(_LANGUAGE) or next(iter(by_language.values()))
            self._filled[marker.id] = filled(explainer, marker, pack)
        return self._filled[marker.id]


def _page(
    text: Filled,
    question: Question,
    judged: Judged | None,
    frame: Frame,
    markers: tuple[Named, ...],
) -> ExplainPage:
    marker, pack = question.marker, question.pack
    upper = frame.readings[marker.id].upper
    asked = judged is not None and judged.value is not None
    return ExplainPage(
        marker=Named(id=marker.id, title=marker.title),
        name=marker.name,
        unit=marker.unit,
        units=tuple(dict.fromkeys(marker.units.values())),
        plausible=_plausible(marker),
        upper_limit=limit_in_words(upper, marker),
        scale=scale_of(marker, frame, asked=asked),
        grades=tuple(_rows(marker.grades, marker, frame, asked=asked)),
        judged=judged,
        text=text,
        rules=tuple(
            Named(id=rule.id, title=rule.title)
            for rule in pack.rules.values()
            if rule.status == "active" and marker.id in rule.about
        ),
        markers=markers,
        site=site_lines(pack, values_in(f"markers/{marker.id}.yaml", pack)),
        pack=pack_named(pack),
        disclaimer=f"{DISCLAIMER} {approval(pack)}",
        notices=pack.notices,
    )


def limit_in_words(limit: KnownLimit | None, marker: Marker) -> Limit | None:
    """The limit as a page says it."""
    if limit is None:
        return None
    return Limit(amount=limit_amount(limit, marker) or "", named=limit_source(limit.named))


def scale_of(marker: Marker, frame: Frame, *, asked: bool) -> Scale | None:
    """The bands of the marker, if it has any, with the value of the frame if it was asked for."""
    row = stretches(marker.bands, marker, frame)
    if not row:
        return None
    place = where_is(frame.readings[marker.id].result.value, row) if asked else None
    return Scale(
        bands=tuple(_rows(marker.bands, marker, frame, asked=asked)),
        edges=tuple(plain(one.high) for one in row if one.high is not None),
        place=float(place[0]) if place else None,
        open_below=bool(place and place[1]),
        open_above=bool(place and place[2]),
    )


def _rows(
    grades: tuple[Grade, ...], marker: Marker, frame: Frame, *, asked: bool
) -> Iterator[Band]:
    found = grade_of(grades, frame) if asked else None
    for one in stretches(grades, marker, frame):
        yield Band(
            id=one.grade.id,
            title=one.grade.title,
            range=one.words(marker.unit),
            of_limit=_of_limit(one, marker, frame),
            current=found is not None and found.grade.title == one.grade.title,
        )


def _of_limit(one: Stretch, marker: Marker, frame: Frame) -> str:
    """The stretch in multiples of the upper limit, if that is how its grade is worded."""
    upper = frame.readings[marker.id].upper
    bounds = (leaf.bound for leaf in leaves(one.grade.when) if isinstance(leaf, Compare))
    if upper is None or upper.amount <= 0 or not any(isinstance(b, TimesLimit) for b in bounds):
        return ""
    if one.high is not None:
        return f"up to {plain(one.high / upper.amount)} ×"
    return f"above {plain(one.low / upper.amount)} ×" if one.low is not None else ""


def _plausible(marker: Marker) -> str:
    low, high = marker.plausible.low, marker.plausible.high
    ends = [plain(one) for one in (low, high) if one is not None]
    return f"{' to '.join(ends)} {marker.unit}".strip()
