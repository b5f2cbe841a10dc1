# SPDX-License-Identifier: Apache-2.0
"""Whether the next step that a card proposes was taken after the card was first shown.

The steps are the orders of the card, with the window in days that its rule gives. An order counts
as taken by a result of the test or by an order of it, whichever came first: by the codes that count
as ordered, or by all markers that answer it. What was done or ordered before the card was first
shown is counted apart, as are windows that are not over at the last result of the source.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

from cds_service.errors import RequestError
from cds_service.fhir.elements import plain_code
from cds_service.fhir.resources import Observation, ServiceRequest
from cds_service.fhir.tags import is_own_proposal
from cds_service.intake.marker_lookup import pairs_of
from cds_service.intake.patient_input import PatientInput
from cds_service.intake.read_record import read_record
from cds_service.intake.times import Times, sent_time
from cds_service.knowledge.model.pack import Order, Pack
from cds_service.rules.answer import Decision, Proposal
from cds_service.rules.reasons import AlreadyOrdered, AlreadyResulted, ResultSinceIndex
from cds_service.service import Knowledge, Served

StepOutcome: TypeAlias = Literal["already", "early", "in time", "late", "never", "not over"]
"""What became of a proposed step; `early` is before its window."""

OUTCOMES: Final[tuple[StepOutcome, ...]] = get_args(StepOutcome)
DUE: Final[tuple[StepOutcome, ...]] = ("early", "in time", "late", "never")
"""Of steps whose window is over."""

Step: TypeAlias = tuple[str, str, StepOutcome]
"""Rule, order and outcome."""

_ALREADY: Final = (AlreadyOrdered, AlreadyResulted, ResultSinceIndex)
_WITHDRAWN: Final = frozenset(("entered-in-error", "revoked", "cancelled"))
_Codes: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TakenSteps:
    """When tests of a patient were resulted and ordered, as the whole source knows it."""

    markers: Mapping[str, Sequence[datetime]]
    results: Sequence[tuple[_Codes, datetime]]
    orders: Sequence[tuple[_Codes, datetime]]

    def first(
        self, order: Order, pack: Pack, index: str | None, since: datetime
    ) -> datetime | None:
        """When the order was first taken after `since`, if it was."""
        found = [
            time
            for codes, time in (*self.results, *self.orders)
            if time > since and not order.equivalents.isdisjoint(codes)
        ]
        answered = self._answered(order, pack, index, since)
        return min((*found, *([answered] if answered else ())), default=None)

    def is_ordered(self, order: Order, since: datetime, until: datetime) -> bool:
        """Whether it was ordered after `since` and not after `until`."""
        return any(
            since < time <= until and not order.equivalents.isdisjoint(codes)
            for codes, time in self.orders
        )

    def _answered(
        self, order: Order, pack: Pack, index: str | None, since: datetime
    ) -> datetime | None:
        """When every marker that answers the order had a result, or any marker that it measures."""
        if order.answered_by:
            beside = (name for name in order.answered_beside_index if name != index)
            firsts = [self._of_marker(name, since) for name in (*order.answered_by, *beside)]
            known = [time for time in firsts if time is not None]
            return max(known) if len(known) == len(firsts) else None
        measured = (
            self._of_marker(marker.id, since)
            for marker in pack.markers.values()
            if any((code.system, code.code) in order.equivalents for code in marker.codes)
        )
        return min((time for time in measured if time is not None), default=None)

    def _of_marker(self, marker: str, since: datetime) -> datetime | None:
        return min((time for time in self.markers.get(marker, ()) if time > since), default=None)


def taken_steps(
    knowledge: Knowledge, served: Served, given: PatientInput, end: datetime
) -> TakenSteps | None:
    """What the whole source holds about the patient; `None` where it cannot be read."""
    try:
        record = read_record(served.reader, given, now=end, zone=knowledge.zone)
    except RequestError:
        return None
    markers: dict[str, list[datetime]] = {}
    for result in record.results:
        markers.setdefault(result.marker, []).append(result.time)
    times = Times(end, knowledge.zone)
    resources = [entry.resource for entry in given.entries]
    observations = (resource for resource in resources if isinstance(resource, Observation))
    requests = (resource for resource in resources if isinstance(resource, ServiceRequest))
    return TakenSteps(markers, [*_resulted(observations, times)], [*_ordered(requests, times)])


def _resulted(
    observations: Iterable[Observation], times: Times
) -> Iterator[tuple[_Codes, datetime]]:
    for observation in observations:
        sent = sent_time(observation, None, times)
        if sent and sent.moment and plain_code(observation.status) not in _WITHDRAWN:
            yield pairs_of(observation.code), sent.moment.time


def _ordered(requests: Iterable[ServiceRequest], times: Times) -> Iterator[tuple[_Codes, datetime]]:
    for request in requests:
        authored = times.moment(request.authored_on) if request.authored_on else None
        is_order = plain_code(request.intent) != "proposal" and not request.do_not_perform
        is_order = is_order and plain_code(request.status) not in _WITHDRAWN
        if authored and is_order and not is_own_proposal(request.meta):
            yield pairs_of(request.code), authored.begins


def steps_of(
    decision: Decision, pack: Pack, shown: datetime, taken: TakenSteps, end: datetime
) -> Counter[Step]:
    """What became of each step that a card proposed when it was first shown."""
    rule, index = decision.rule.id, decision.frame.index_result
    counts: Counter[Step] = Counter()
    for proposal in decision.orders:
        order = pack.orders[proposal.order]
        at = taken.first(order, pack, decision.frame.index, shown)
        outcome = _outcome(proposal, shown, at, end)
        # A card that asks for it sooner does not yield to an order that can wait; here it counts.
        if index is not None and taken.is_ordered(order, index.time, shown):
            outcome = "already"
        counts[rule, proposal.order, outcome] += 1
    for withheld in decision.withheld:
        if isinstance(withheld.because, _ALREADY):
            counts[rule, withheld.order, "already"] += 1
    return counts


def _outcome(
    proposal: Proposal, shown: datetime, taken: datetime | None, end: datetime
) -> StepOutcome:
    """What became of a step; a window that is not over is that, whatever was done so far."""
    if shown + timedelta(days=proposal.last_day) > end:
        return "not over"
    if taken is None:
        return "never"
    if taken < shown + timedelta(days=proposal.first_day):
        return "early"
    return "in time" if taken <= shown + timedelta(days=proposal.last_day) else "late"
