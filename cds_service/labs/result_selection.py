# SPDX-License-Identifier: Apache-2.0
"""Which results count: the index of a rule and the frame of results around it.

This is the only place that chooses results, by the nodes of `labs.features`. Rules, texts and
orders read a frame; they never search. See `docs/reference/language.md`, "Frames".
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from fractions import Fraction
from itertools import pairwise
from operator import attrgetter

from msgspec import Struct, field

from cds_service.amounts import Ternary, compare
from cds_service.copying import replace
from cds_service.knowledge.model.bounds import Earlier
from cds_service.knowledge.model.pack import PATIENT, UNUSED_DATA, Pack
from cds_service.labs.facts import FactAnswer
from cds_service.labs.features import Later, Latest, PackFeatures, Paired, Previous, Usable
from cds_service.labs.limits import Limit, limit_of
from cds_service.labs.patient import Person
from cds_service.labs.patient_record import LabResult, SetAside
from cds_service.labs.reasons import Hemolyzed, MeasureReason
from cds_service.labs.same_time import precedence, value_order
from cds_service.labs.spans import span_of_days, span_of_hours, span_of_minutes
from cds_service.labs.specimens import Draw, mark_hemolysed
from cds_service.labs.unused_data import UnusedData

_time = attrgetter("time")


class Reading(Struct, frozen=True, gc=False):
    """A chosen result with its limits and the previous test of the same marker."""

    result: LabResult
    upper: Limit | None
    lower: Limit | None
    screening: Limit | None
    previous: LabResult | None = None


class MeasureValue(Struct, frozen=True, gc=False):
    """A measure: its exact value, or the reason why it is withheld (neither: inputs missing)."""

    value: Fraction | None = None
    because: MeasureReason | None = None
    called: str | None = None


class Frame(Struct, frozen=True, kw_only=True):
    """Everything that conditions may look at, around one index result."""

    index: str  # marker id or what the rule is about; empty for one about set-aside results
    now: datetime
    person: Person
    facts: Mapping[str, FactAnswer]
    ordering: frozenset[str]
    taking: Mapping[str, Ternary] = field(default_factory=dict)  # by fact
    readings: Mapping[str, Reading] = field(default_factory=dict)
    history: Mapping[str, Sequence[LabResult]] = field(default_factory=dict)  # final, oldest first
    later: frozenset[str] = frozenset()  # markers with a result since the draw of the index
    not_used: Mapping[str, Hemolyzed] = field(default_factory=dict)  # by marker
    measures: Mapping[str, MeasureValue] = field(default_factory=dict)
    set_aside: SetAside | None = None
    unused: UnusedData | None = None  # in the frame of rules about it
    draw_minutes: int = 0  # what is older than the index by no more is no previous test

    @property
    def index_result(self) -> LabResult | None:
        """The result that the rule is about."""
        reading = self.readings.get(self.index)
        return reading.result if reading else None

    def previous(self, marker: str, earlier: Earlier) -> LabResult | None:
        """The previous test of a marker, counted from the index, if it is not too far back."""
        index = self.index_result
        if index is None:
            return None
        results = self.history.get(marker, ())
        latest = index.time - max(
            span_of_days(earlier.least_days), span_of_minutes(self.draw_minutes)
        )
        cut = bisect_right if earlier.least_days else bisect_left
        before = cut(results, latest, key=_time)
        if not before or index.time - results[before - 1].time > span_of_days(earlier.most_days):
            return None
        return results[before - 1]

    @property
    def preliminary(self) -> bool:
        """Whether the index is a preliminary result."""
        result = self.index_result
        return result is not None and result.status == "preliminary"


class _Beside(Struct, frozen=True):
    """What lies around a time, of every marker; an index has no place beside itself."""

    readings: Mapping[str, Reading]
    later: frozenset[str]
    not_used: Mapping[str, Hemolyzed]


class Chooser(Struct, frozen=True):
    """The results of one patient by marker, oldest first, ready to be framed by the features."""

    pack: Pack
    features: PackFeatures
    now: datetime
    person: Person
    facts: Mapping[str, FactAnswer]
    ordering: frozenset[str]
    by_marker: Mapping[str, tuple[LabResult, ...]]
    taking: Mapping[str, Ternary] = field(default_factory=dict)
    _usable: dict[int, Sequence[LabResult]] = field(default_factory=dict)
    _possible: dict[int, Sequence[LabResult]] = field(default_factory=dict)
    _readings: dict[int, Reading] = field(default_factory=dict)
    _beside: dict[tuple[datetime, bool], _Beside] = field(default_factory=dict)
    _history: dict[str, Sequence[LabResult]] = field(default_factory=dict)

    @property
    def has_preliminary(self) -> bool:
        """Whether any result is preliminary."""
        return any(
            result.status == "preliminary"
            for results in self.by_marker.values()
            for result in results
        )

    def frame(self, index_marker: str, *, with_preliminary: bool) -> Frame | None:
        """The frame around the newest result of this marker, or `None` if none is recent enough."""
        features = self.features.of(with_preliminary=with_preliminary)
        index = self._latest(features[index_marker].latest)
        if index is None:
            return None
        beside = self._around(index.time, with_preliminary=with_preliminary)
        own = self._reading_after(index, self._previous(features[index_marker].previous, index))
        not_used = beside.not_used
        if index_marker in not_used:
            not_used = {name: why for name, why in not_used.items() if name != index_marker}
        return Frame(
            index=index_marker,
            now=self.now,
            person=self.person,
            facts=self.facts,
            ordering=self.ordering,
            taking=self.taking,
            readings=self._in_order(beside.readings, index_marker, own),
            history=self._final(),
            later=beside.later - {index_marker},
            not_used=not_used,
            draw_minutes=self.pack.scope.draw_minutes,
        )

    def _in_order(
        self, others: Mapping[str, Reading], index_marker: str, own: Reading
    ) -> Mapping[str, Reading]:
        """The readings with that of the index in its place, by marker as the results came."""
        if index_marker in others or not others:
            return {**others, index_marker: own}
        return {
            name: own if name == index_marker else others[name]
            for name in self.by_marker
            if name == index_marker or name in others
        }

    def _around(self, time: datetime, *, with_preliminary: bool) -> _Beside:
        """What lies around the time of an index; the markers of a panel share theirs."""
        key = (time, with_preliminary)
        if key in self._beside:
            return self._beside[key]
        features = self.features.of(with_preliminary=with_preliminary)
        readings: dict[str, Reading] = {}
        not_used: dict[str, Hemolyzed] = {}
        later: set[str] = set()
        for name in self.by_marker:
            nodes = features[name]
            if self._is_later(nodes.later, time):
                later.add(name)
            chosen = self._paired(nodes.paired, time)
            if chosen is not None:
                readings[name] = self._reading(chosen)
            elif self._paired(nodes.paired_if_hemolysed, time) is not None:
                not_used[name] = Hemolyzed()
        self._beside[key] = _Beside(readings, frozenset(later), not_used)
        return self._beside[key]

    def with_newest(self, frame: Frame) -> Frame:
        """The frame with the newest final result of each marker where it is newer than the index.

        What lies in the frame stays otherwise; a result in the future of the index may be far
        outside the window of its marker.
        """
        index = frame.index_result
        newer = {
            name: self._reading(newest)
            for name, results in frame.history.items()
            if name != frame.index
            and (newest := _newest_possible(results))
            and (not index or newest.time > index.time)
        }
        return replace(frame, readings={**frame.readings, **newer})

    def patient_frame(self) -> Frame:
        """The frame without an index: the newest results of markers that pair with now."""
        readings: dict[str, Reading] = {}
        for name in self.by_marker:
            paired = self.features.final[name].paired
            if paired.around == "now":
                chosen = self._paired(paired, self.now)
                if chosen is not None:
                    readings[name] = self._reading(chosen)
        return replace(
            self.bare_frame(None), index=PATIENT, readings=readings, history=self._final()
        )

    def unused_data_frame(self, unused: UnusedData) -> Frame:
        """A frame without results, for rules about data that could not be used."""
        return replace(self.bare_frame(None), index=UNUSED_DATA, unused=unused)

    def bare_frame(self, set_aside: SetAside | None) -> Frame:
        """A frame without results, for rules about one that was set aside."""
        return Frame(
            index="",
            now=self.now,
            person=self.person,
            facts=self.facts,
            ordering=self.ordering,
            taking=self.taking,
            set_aside=set_aside,
        )

    def age_decides(self) -> bool:
        """Whether a newest result is above its limit at only some of the possible ages."""
        if self.person.is_of_one_age:
            return False
        newest = (self._latest(features.latest) for features in self.features.final.values())
        return any(self._depends_on_age(result) for result in newest if result is not None)

    def _depends_on_age(self, result: LabResult) -> bool:
        limit = limit_of(self.pack.markers[result.marker], "upper limit", result, self.person)
        if limit is None or limit.exact is not None:
            return False
        return compare(result.value, "above", limit.interval) is None

    def is_recent(self, time: datetime | None) -> bool:
        """Whether a result of that time could still be an index."""
        return time is None or self.now - time <= span_of_days(self.pack.scope.index_days)

    def _final(self) -> Mapping[str, Sequence[LabResult]]:
        """The final results of every marker."""
        if not self._history:
            final = self.features.final
            self._history.update(
                (name, self._results(final[name].previous.of)) for name in self.by_marker
            )
        return self._history

    def _results(self, usable: Usable) -> Sequence[LabResult]:
        """The usable results, oldest first; most frames share them, so each list is made once."""
        results = self._usable.get(id(usable))
        if results is None:
            results = self._usable[id(usable)] = [
                result
                for result in self.by_marker.get(usable.marker, ())
                if result.status in usable.statuses and (usable.hemolysed or not result.hemolysed)
            ]
        return results

    def _latest(self, node: Latest) -> LabResult | None:
        results = self._results(node.of)
        if not results or self.now - results[-1].time > span_of_days(node.within_days):
            return None
        newest = results[-1]
        if newest.precision == "instant":
            return newest
        begins = _begins(newest, self.now.tzinfo)
        since = results[bisect_left(results, begins, key=_time) :]
        return max(since, key=lambda result: value_order(result.value))

    def _previous(self, node: Previous, index: LabResult) -> LabResult | None:
        results = self._results(node.of)
        draw = index.time - span_of_minutes(node.before_minutes)
        earlier = bisect_left(results, draw, key=_time)
        return results[earlier - 1] if earlier else None

    def _is_later(self, node: Later, time: datetime) -> bool:
        results = self._results(node.of)
        after = time + span_of_minutes(node.after_minutes)
        if not results or results[-1].time <= after:
            return False
        since = results[bisect_right(results, after, key=_time) :]
        return any(_begins(result, self.now.tzinfo) > after for result in since)

    def _paired(self, node: Paired | None, index_time: datetime) -> LabResult | None:
        if node is None:
            return None
        results = self._possible.get(id(node.of))
        if results is None:
            results = self._possible[id(node.of)] = [
                result for result in self._results(node.of) if not result.impossible
            ]
        if not results:
            return None
        reach = span_of_hours(node.within_hours)
        if node.around == "now":
            return results[-1] if self.now - results[-1].time <= reach else None
        nearest = _nearest(results, index_time)
        return nearest if abs(nearest.time - index_time) <= reach else None

    def _reading_after(self, result: LabResult, previous: LabResult | None) -> Reading:
        """The reading of an index, which has a previous test if there is one."""
        alone = self._reading(result)
        if previous is None:
            return alone
        return Reading(result, alone.upper, alone.lower, alone.screening, previous)

    def _reading(self, result: LabResult) -> Reading:
        """The reading beside an index; frames share theirs, so each is made once."""
        known = self._readings.get(id(result))
        if known is None:
            marker = self.pack.markers[result.marker]
            known = self._readings[id(result)] = Reading(
                result,
                limit_of(marker, "upper limit", result, self.person),
                limit_of(marker, "lower limit", result, self.person),
                limit_of(marker, "screening limit", result, self.person),
            )
        return known


def _newest_possible(results: Sequence[LabResult]) -> LabResult | None:
    return next((result for result in reversed(results) if not result.impossible), None)


def _nearest(results: Sequence[LabResult], time: datetime) -> LabResult:
    """The result nearest to a time, of results oldest first; of two equally near the later."""
    after = bisect_right(results, time, key=_time)
    if after == len(results):
        return results[-1]
    following = results[bisect_right(results, results[after].time, lo=after, key=_time) - 1]
    if after == 0:
        return following
    before = results[after - 1]
    return before if time - before.time < following.time - time else following


def by_marker(results: Iterable[LabResult]) -> dict[str, tuple[LabResult, ...]]:
    """The results of each marker, oldest first; of one time the one that counts stands last."""
    groups: dict[str, list[LabResult]] = {}
    for result in results:
        groups.setdefault(result.marker, []).append(result)
    return {marker: tuple(_oldest_first(group)) for marker, group in groups.items()}


def _oldest_first(results: list[LabResult]) -> list[LabResult]:
    if len(results) == 1:
        return results
    ordered = sorted(results, key=_time)
    if all(earlier.time < later.time for earlier, later in pairwise(ordered)):
        return ordered  # hardly any times are equal, and the full key costs more
    return sorted(results, key=lambda result: (result.time, precedence(result)))


def _begins(result: LabResult, zone: tzinfo | None) -> datetime:
    """The first moment that the time of a result can mean."""
    day = result.time.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    match result.precision:
        case "instant":
            return result.time
        case "day":
            return day
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)


def with_hemolysis(
    results: Iterable[LabResult], pack: Pack, person: Person
) -> tuple[LabResult, ...]:
    """The results, those of a specimen that a hemolysis index shows to be hemolysed marked so.

    An index speaks for its specimen; it counts above its own upper limit.
    """
    every = tuple(results)
    hemolysed = {
        Draw(result.specimen, result.time)
        for result in every
        if pack.markers[result.marker].shows_hemolysis
        and (limit := limit_of(pack.markers[result.marker], "upper limit", result, person))
        and compare(result.value, "above", limit.interval) is True
    }
    return mark_hemolysed(every, hemolysed)
