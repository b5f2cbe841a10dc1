# SPDX-License-Identifier: Apache-2.0
"""Which results count: the index of a rule and the frame of results around it.

This is the only place that chooses results. Rules, texts and orders read a frame; they never
search. See `docs/reference/language.md`, "Frames".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from fractions import Fraction
from itertools import pairwise

from cds_service.amounts import compare, exactly
from cds_service.knowledge.model.pack import PATIENT, Marker, Pack
from cds_service.labs.facts import FactAnswer
from cds_service.labs.limits import Limit, limit_of
from cds_service.labs.ordering import precedence, value_order
from cds_service.labs.patient import Person
from cds_service.labs.patient_record import LabResult, SetAside
from cds_service.labs.reasons import Hemolyzed, MeasureReason


@dataclass(frozen=True, slots=True)
class Reading:
    """A chosen result with its limits and the previous test of the same marker."""

    result: LabResult
    upper: Limit | None
    lower: Limit | None
    screening: Limit | None
    previous: LabResult | None = None


@dataclass(frozen=True, slots=True)
class MeasureValue:
    """A measure: its exact value, or the reason why it is withheld (neither: inputs missing)."""

    value: Fraction | None = None
    because: MeasureReason | None = None
    called: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Everything that conditions may look at, around one index result."""

    index: str  # marker id; empty for rules about set-aside results
    person: Person
    facts: Mapping[str, FactAnswer]
    ordering: frozenset[str]
    readings: Mapping[str, Reading] = field(default_factory=dict)
    later: frozenset[str] = frozenset()  # markers with a result strictly after the index
    not_used: Mapping[str, Hemolyzed] = field(default_factory=dict)  # by marker
    measures: Mapping[str, MeasureValue] = field(default_factory=dict)
    set_aside: SetAside | None = None

    @property
    def index_result(self) -> LabResult | None:
        """The result that the rule is about."""
        reading = self.readings.get(self.index)
        return reading.result if reading else None

    @property
    def preliminary(self) -> bool:
        """Whether the index is a preliminary result."""
        result = self.index_result
        return result is not None and result.status == "preliminary"


@dataclass(frozen=True, slots=True)
class Chooser:
    """The results of one patient by marker, oldest first, ready to be framed."""

    pack: Pack
    now: datetime
    person: Person
    facts: Mapping[str, FactAnswer]
    ordering: frozenset[str]
    by_marker: Mapping[str, tuple[LabResult, ...]]
    _paired_readings: dict[int, Reading] = field(default_factory=dict, compare=False)

    @property
    def has_preliminary(self) -> bool:
        """Whether any result is preliminary."""
        return any(
            one.status == "preliminary" for results in self.by_marker.values() for one in results
        )

    def frame(self, index_marker: str, *, with_preliminary: bool) -> Frame | None:
        """The frame around the newest result of this marker, or `None` if none is recent enough."""
        index = self._index(index_marker, with_preliminary=with_preliminary)
        if index is None:
            return None
        readings: dict[str, Reading] = {}
        not_used: dict[str, Hemolyzed] = {}
        later: set[str] = set()
        for name, results in self.by_marker.items():
            marker = self.pack.markers[name]
            if name == index_marker:
                readings[name] = self._reading(marker, index, results)
                continue
            usable = [one for one in results if with_preliminary or one.status != "preliminary"]
            intact = [one for one in usable if marker.used_if_hemolysed or not one.hemolysed]
            if any(one.time > index.time for one in intact if one.status != "preliminary"):
                later.add(name)
            chosen = self._paired(marker, intact, index.time)
            if chosen is not None:
                readings[name] = self._paired_reading(marker, chosen)
            elif self._paired(marker, usable, index.time) is not None:
                not_used[name] = Hemolyzed()
        return Frame(
            index=index_marker,
            person=self.person,
            facts=self.facts,
            ordering=self.ordering,
            readings=readings,
            later=frozenset(later),
            not_used=not_used,
        )

    def patient_frame(self) -> Frame:
        """The frame without an index: the newest results of markers that pair with now."""
        readings: dict[str, Reading] = {}
        for name, results in self.by_marker.items():
            marker = self.pack.markers[name]
            usable = [
                one
                for one in results
                if one.status != "preliminary" and (marker.used_if_hemolysed or not one.hemolysed)
            ]
            if marker.pairing.around == "now":
                chosen = self._paired(marker, usable, self.now)
                if chosen is not None:
                    readings[name] = self._paired_reading(marker, chosen)
        return replace(self.bare_frame(None), index=PATIENT, readings=readings)

    def bare_frame(self, set_aside: SetAside | None) -> Frame:
        """A frame without results, for rules about one that was set aside."""
        return Frame(
            index="",
            person=self.person,
            facts=self.facts,
            ordering=self.ordering,
            set_aside=set_aside,
        )

    def is_recent(self, time: datetime | None) -> bool:
        """Whether a result of that time could still be an index."""
        return time is None or self.now - time <= timedelta(days=self.pack.scope.index_days)

    def _index(self, marker: str, *, with_preliminary: bool) -> LabResult | None:
        used_if_hemolysed = self.pack.markers[marker].used_if_hemolysed
        usable = [
            one
            for one in self.by_marker.get(marker, ())
            if (with_preliminary or one.status != "preliminary")
            and (used_if_hemolysed or not one.hemolysed)
        ]
        if not usable or not self.is_recent(usable[-1].time):
            return None
        newest = usable[-1]
        if newest.precision == "instant":
            return newest
        # A date without a time does not say which came first: the higher counts.
        begins = _begins(newest, self.now.tzinfo)
        return max(
            (one for one in usable if one.time >= begins), key=lambda one: value_order(one.value)
        )

    def _paired(
        self, marker: Marker, results: Iterable[LabResult], index_time: datetime
    ) -> LabResult | None:
        """The result nearest to the index (of two equally near the later), or the newest."""
        reach = timedelta(hours=marker.pairing.hours)
        if marker.pairing.around == "now":
            recent = [one for one in results if self.now - one.time <= reach]
            return recent[-1] if recent else None
        near = [one for one in results if abs(one.time - index_time) <= reach]
        return min(reversed(near), key=lambda one: abs(one.time - index_time), default=None)

    def _paired_reading(self, marker: Marker, result: LabResult) -> Reading:
        """The reading beside an index; most frames share theirs, so each is made once."""
        known = self._paired_readings.get(id(result))
        if known is None:
            known = self._paired_readings[id(result)] = self._reading(marker, result, ())
        return known

    def _reading(
        self, marker: Marker, result: LabResult, history: tuple[LabResult, ...]
    ) -> Reading:
        earlier = [
            one
            for one in history
            if one.time < result.time
            and one.status != "preliminary"
            and (marker.used_if_hemolysed or not one.hemolysed)
        ]
        return Reading(
            result=result,
            upper=limit_of(marker, "upper limit", result, self.person),
            lower=limit_of(marker, "lower limit", result, self.person),
            screening=limit_of(marker, "screening limit", result, self.person),
            previous=earlier[-1] if earlier else None,
        )


def by_marker(results: Iterable[LabResult]) -> dict[str, tuple[LabResult, ...]]:
    """The results of each marker, oldest first; of one time the one that counts stands last."""
    groups: dict[str, list[LabResult]] = {}
    for result in results:
        groups.setdefault(result.marker, []).append(result)
    return {marker: tuple(_oldest_first(group)) for marker, group in groups.items()}


def _oldest_first(results: list[LabResult]) -> list[LabResult]:
    ordered = sorted(results, key=lambda result: result.time)
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


def mark_hemolysed(
    results: Iterable[LabResult], pack: Pack, person: Person
) -> tuple[LabResult, ...]:
    """The results, those of a specimen that a hemolysis index shows to be hemolysed marked so.

    An index speaks for the specimen taken at the same time; it counts above its own upper limit.
    """
    every = tuple(results)
    times = {
        result.time
        for result in every
        if pack.markers[result.marker].shows_hemolysis
        and (limit := limit_of(pack.markers[result.marker], "upper limit", result, person))
        and compare(result.value, "above", exactly(limit.amount)) is True
    }
    if not times:
        return every
    return tuple(replace(one, hemolysed=True) if one.time in times else one for one in every)
