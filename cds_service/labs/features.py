# SPDX-License-Identifier: Apache-2.0
"""Which results rules read, as data: nodes made once from the marker files and scope of a pack.

`labs.result_selection` chooses the results of one patient by these nodes, and any other engine can
be written to them. A node reads aloud: `Latest(of=Usable("alpha", FINAL, hemolysed=True),
within_days=90)` is the latest usable alpha of the last 90 days, where "usable" names the statuses,
and whether results of a hemolysed specimen count. "The index" in a node is the index of the frame
that it is read in. Which of several results of one time counts is `labs.same_time`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal, TypeAlias

from cds_service.knowledge.model.bounds import Earlier, LimitKind
from cds_service.knowledge.model.conditions import leaves
from cds_service.knowledge.model.dependencies import (
    answers_of,
    conditions_for,
    dependencies_of,
    measures_about,
    parts_of_measure,
)
from cds_service.knowledge.model.marker_parts import MarkerPart, parts_of
from cds_service.knowledge.model.pack import (
    PATIENT,
    UNUSED_DATA,
    WITHOUT_RESULT,
    Marker,
    Measure,
    Pack,
    Rule,
    Scope,
)
from cds_service.labs.patient_record import ResultStatus

_HOURS_A_DAY = 24
FINAL: frozenset[ResultStatus] = frozenset({"final", "amended", "corrected"})
FINAL_OR_PRELIMINARY: frozenset[ResultStatus] = FINAL | {"preliminary"}


@dataclass(frozen=True, slots=True)
class Usable:
    """The results of a marker that may count.

    `hemolysed` says whether those of a hemolysed specimen are among them.
    """

    marker: str
    statuses: frozenset[ResultStatus]
    hemolysed: bool


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest usable result, unless it is more than `within_days` days old: the index.

    A time that is a mere date does not tell which result of that day came last. If the newest has
    such a time, the highest of all usable results since that date began is the index.
    """

    of: Usable
    within_days: int


@dataclass(frozen=True, slots=True)
class Previous:
    """The newest usable result more than `before_minutes` before the index.

    Until then it is of the same draw. With `earlier` the newest that is at least so many days older
    than the index, unless it is more than the greatest number of days older.
    """

    of: Usable
    before_minutes: int
    earlier: Earlier | None = None


@dataclass(frozen=True, slots=True)
class Recent:
    """Every usable result that is at most `within_days` days old, whatever the index."""

    of: Usable
    within_days: int


@dataclass(frozen=True, slots=True)
class Paired:
    """The usable result that belongs to an index of another marker.

    Around the index: the one nearest to it in time, at most `within_hours` hours before or after
    it, and the later of two equally near ones. Around now: the newest, at most that many hours old.
    """

    of: Usable
    around: Literal["index", "now"]
    within_hours: int


@dataclass(frozen=True, slots=True)
class Later:
    """Whether there is a usable result more than `after_minutes` after the index, however long.

    Until then it is of the same draw, whatever its specimen is called. What was sent as a mere date
    counts from the beginning of the day.
    """

    of: Usable
    after_minutes: int


@dataclass(frozen=True, slots=True)
class LimitOf:
    """The limit of this kind that the marker's policy finds for a result."""

    of: Latest | Paired
    kind: LimitKind


@dataclass(frozen=True, slots=True)
class MeasureOf:
    """The value of a measure around the index, and all that its computation can read."""

    measure: str
    inputs: tuple["Feature", ...]


Feature: TypeAlias = Latest | Previous | Recent | Paired | Later | LimitOf | MeasureOf


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerFeatures:
    """The nodes of one marker, as the index and beside an index of another marker."""

    latest: Latest
    previous: Previous
    paired: Paired
    paired_if_hemolysed: Paired | None  # None where results of hemolysed specimens count anyway
    later: Later


@dataclass(frozen=True, slots=True)
class PackFeatures:
    """The nodes of every marker of a pack by its id; without and with preliminary results.

    `reach_days` says how many days back a result of the marker can be read at all: as an index, as
    the previous test of one, or paired with one.
    """

    final: Mapping[str, MarkerFeatures]
    final_or_preliminary: Mapping[str, MarkerFeatures]
    reach_days: Mapping[str, int]

    def of(self, *, with_preliminary: bool) -> Mapping[str, MarkerFeatures]:
        """The nodes for frames that may, or may not, rest on preliminary results."""
        return self.final_or_preliminary if with_preliminary else self.final


@dataclass(frozen=True, slots=True)
class FrameFeatures:
    """What a rule reads around one index; without an index it is about the patient."""

    index: Latest | None
    read: tuple[Feature, ...]


def compile_features(pack: Pack) -> PackFeatures:
    """The nodes of every marker of the pack; equal sets of usable results are one object."""
    final: dict[str, MarkerFeatures] = {}
    final_or_preliminary: dict[str, MarkerFeatures] = {}
    for name, marker in pack.markers.items():
        usable = Usable(name, FINAL, hemolysed=marker.used_if_hemolysed)
        any_status = replace(usable, statuses=FINAL_OR_PRELIMINARY)
        final[name] = _of_marker(marker, pack.scope, usable, final=usable)
        final_or_preliminary[name] = _of_marker(marker, pack.scope, any_status, final=usable)
    looked_back = _looked_back(pack)
    reach_days = {
        name: _reach_days(marker, pack.scope, looked_back) for name, marker in pack.markers.items()
    }
    return PackFeatures(final, final_or_preliminary, reach_days)


def _looked_back(pack: Pack) -> frozenset[MarkerPart]:
    """Every part that the pack's rules read some days back."""
    conditions = {when for rule in pack.rules.values() for when in conditions_for(rule, pack)}
    read = {leaf for when in conditions for leaf in leaves(when)}
    return frozenset(part for leaf in read for part in parts_of(leaf) if part.earlier is not None)


def _reach_days(marker: Marker, scope: Scope, looked_back: Iterable[MarkerPart]) -> int:
    """The days before now in which a result of the marker can still count for something."""
    days: dict[str, list[int]] = {"previous": [], "recent": []}
    for part in looked_back:
        if part.marker == marker.id and part.earlier is not None:
            days[part.part].append(part.earlier.most_days)
    paired = ceil(marker.pairing.hours / _HOURS_A_DAY)
    return max(scope.index_days + max((paired, *days["previous"])), *days["recent"], 0)


def _of_marker(marker: Marker, scope: Scope, usable: Usable, *, final: Usable) -> MarkerFeatures:
    paired = Paired(usable, marker.pairing.around, marker.pairing.hours)
    with_hemolysed = replace(paired, of=replace(usable, hemolysed=True))
    return MarkerFeatures(
        latest=Latest(usable, scope.index_days),
        previous=Previous(final, scope.draw_minutes),
        paired=paired,
        paired_if_hemolysed=None if usable.hemolysed else with_hemolysed,
        later=Later(final, scope.draw_minutes),
    )


def features_of(rule: Rule, pack: Pack, features: PackFeatures) -> tuple[FrameFeatures, ...]:
    """What the rule reads in each frame that it may be answered in, in the order they are tried.

    A rule about set-aside results has no frame. A rule that can be critical has each of its frames
    twice, since its card may then also rest on preliminary results.
    """
    parts = dict.fromkeys((*dependencies_of(rule, pack).parts, *answers_of(rule, pack)))
    return tuple(
        FrameFeatures(
            index=None if index in WITHOUT_RESULT else nodes[index].latest,
            read=tuple(dict.fromkeys(_read(parts, rule, index, pack, nodes))),
        )
        for nodes in _may_read(rule, features)
        for index in rule.about
    )


def _may_read(rule: Rule, features: PackFeatures) -> Iterator[Mapping[str, MarkerFeatures]]:
    yield features.final
    if rule.can_be_critical and not set(rule.about) & set(WITHOUT_RESULT):
        yield features.final_or_preliminary


def _read(
    parts: Mapping[MarkerPart, None],
    rule: Rule,
    index: str,
    pack: Pack,
    nodes: Mapping[str, MarkerFeatures],
) -> Iterator[Feature]:
    for part in parts:
        yield from _of_part(part, index, nodes[part.marker])
    measures = dependencies_of(rule, pack).measures
    for measure in measures_about(rule, pack):
        if measure.about == index and measure.id in measures:
            yield MeasureOf(measure.id, tuple(_inputs(measure, index, nodes)))


def _inputs(measure: Measure, index: str, nodes: Mapping[str, MarkerFeatures]) -> Iterator[Feature]:
    withheld = (leaf for reason in measure.not_computed for leaf in leaves(reason.when))
    behind = (part for leaf in withheld for part in parts_of(leaf))
    for part in dict.fromkeys((*parts_of_measure(measure), *behind)):
        yield from _of_part(part, index, nodes[part.marker])


def _of_part(part: MarkerPart, index: str, nodes: MarkerFeatures) -> Iterator[Feature]:
    """The node of a part in the frame of this index; none if such a frame never has it."""
    is_index = part.marker == index
    if index == UNUSED_DATA or (index == PATIENT and nodes.paired.around == "index"):
        return
    result = nodes.latest if is_index else nodes.paired
    match part.part:
        case "result":
            yield result
        case "previous":
            if part.earlier is not None or is_index:
                yield replace(nodes.previous, earlier=part.earlier)
        case "recent":
            if part.earlier is not None:
                yield Recent(nodes.previous.of, part.earlier.most_days)
        case "later":
            if not is_index and index != PATIENT:
                yield nodes.later
        case kind:
            yield LimitOf(result, kind)
