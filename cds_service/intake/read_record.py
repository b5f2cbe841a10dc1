# SPDX-License-Identifier: Apache-2.0
"""A patient's input -> their record: the one way from FHIR to what rules see.

A pure function of the pack, the input and the time. Nothing is dropped quietly: what is not
used is listed with its reason, what is missing is named for the card.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple, TypeVar

from cds_service.errors import RequestError
from cds_service.fhir.elements import many, plain_code, was_sent
from cds_service.fhir.resources import (
    Condition,
    Encounter,
    MedicationRequest,
    MedicationStatement,
    Observation,
    Patient,
    ServiceRequest,
)
from cds_service.intake.chart import (
    Prescribed,
    condition_in_force,
    encounter_classes,
    medicine_in_force,
    medicine_of,
    names_nothing,
    open_order,
)
from cds_service.intake.duplicates import settled
from cds_service.intake.hemolysis import is_hemolysed
from cds_service.intake.marker_lookup import (
    MarkerLookup,
    MarkerMatch,
    first_code,
    pairs_of,
    texts_of,
)
from cds_service.intake.not_usable import NotUsable
from cds_service.intake.panels import observations_with_panels
from cds_service.intake.patient_input import PatientInput, part_of, parts_of_fault
from cds_service.intake.person import person_of
from cds_service.intake.resource_index import ResourceIndex
from cds_service.intake.results import (
    ReadContext,
    SourceObservation,
    draw_of,
    read_observation,
    resulted_tests,
    set_aside_whole,
)
from cds_service.intake.selections import chosen_drafts, own_names
from cds_service.intake.subjects import Owner, Subjects, find_subjects
from cds_service.intake.times import Times
from cds_service.knowledge.model.pack import Pack
from cds_service.labs.patient_record import (
    Incomplete,
    LabResult,
    OpenOrder,
    PatientRecord,
    Recorded,
    Resulted,
    SetAside,
)
from cds_service.labs.set_aside_reasons import SetAsideReason
from cds_service.labs.specimens import Draw, mark_hemolysed
from cds_service.prefetch_keys import Kind

Charted = MedicationRequest | MedicationStatement | Condition | ServiceRequest
ChartedT = TypeVar("ChartedT", MedicationRequest, ServiceRequest, Encounter)

# Servers without statements keep every medicine as a request; the other way round none does.
_STATEMENTS_ONLY = Incomplete("medicines", "only a part")
_DRAFTS_ONLY = Incomplete("open orders", "only those being made")
_NO_DRAFT_SELECTED = Incomplete("open orders", "selected but not among the drafts")
_MEMBERS_MISSING = Incomplete("laboratory results", "named but not sent")
_UNNAMED_MEDICINE = Incomplete("medicines", "unnamed")
_UNNAMED_CONDITION = Incomplete("conditions", "unnamed")
_OVER = {"entered-in-error", "cancelled", "revoked", "stopped", "completed"}


def read_record(
    pack: Pack, given: PatientInput, *, now: datetime, zone: tzinfo, names_fallback: bool
) -> PatientRecord:
    """The record of the one patient that the input is about.

    `now` is aware; `zone` is where dates without time or zone are meant. Raises `RequestError` if
    the input is about another patient, or about several.
    """
    reader = _Reader.of(pack, given, now=now, zone=zone, names_fallback=names_fallback)
    results, of_results = reader.results()
    chart, drafts = tuple(reader.chart()), tuple(reader.drafted())
    medicines, conditions = reader.medicines(chart), reader.conditions(chart)
    orders, prescribing = reader.orders(), reader.prescribing()
    patients = reader.index.all_of(Patient)
    times = reader.context.times
    return PatientRecord(
        patient=person_of(next(iter(patients), None), reader.subjects.patient_id, times),
        results=results,
        resulted=tuple(reader.resulted()),
        set_aside=(*of_results, *_set_aside((*chart, *drafts)), *reader.unread()),
        medicines=medicines,
        conditions=conditions,
        orders=orders,
        ordering=reader.ordering(),
        prescribing=prescribing,
        encounters=reader.encounters(),
        incomplete=(
            *reader.incomplete((*(medicines or ()), *prescribing), conditions or (), orders),
            *_not_usable_parts((*chart, *drafts)),
        ),
    )


class _ChartEntry(NamedTuple):
    """A medicine, condition or order: what it says, or why it is not used."""

    resource: Charted
    recorded: Recorded | None = None
    reason: SetAsideReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """The input of one patient, sorted, with everything needed to read it."""

    given: PatientInput
    context: ReadContext
    index: ResourceIndex
    drafts: ResourceIndex
    sources: list[SourceObservation]
    subjects: Subjects
    others_seen: bool
    selected: frozenset[str | None] | None  # names of the drafts that were chosen; None: of all
    members_missing: bool  # whether a panel or report names results that are not here

    @classmethod
    def of(
        cls, pack: Pack, given: PatientInput, *, now: datetime, zone: tzinfo, names_fallback: bool
    ) -> "_Reader":
        """The sorted input; raises `RequestError` if it is not about one patient."""
        index, drafts = ResourceIndex(given.entries), ResourceIndex(given.drafts)
        sources, members_missing = observations_with_panels(index)
        charted = [*_charted(index), *_charted(drafts)]
        references = [source.observation.subject for source in sources]
        references.extend(resource.subject for resource in charted)
        subjects = find_subjects(
            [*index.entries(Patient), *drafts.entries(Patient)],
            references,
            given.patient_id,
            given.fhir_server,
        )
        owners = [subjects.owner(reference) for reference in references]
        others_seen = "another" in owners or subjects.are_apart(references)
        _check_results(owners[: len(sources)], others_seen=others_seen)
        context = ReadContext(
            pack=pack,
            times=Times(now, zone),
            latest=now + timedelta(hours=pack.scope.future_hours),
            index=index,
            lookup=MarkerLookup(pack, names_fallback=names_fallback),
        )
        return cls(
            given=given,
            context=context,
            index=index,
            drafts=drafts,
            sources=sources,
            subjects=subjects,
            others_seen=others_seen,
            selected=chosen_drafts(given, drafts),
            members_missing=members_missing,
        )

    def results(self) -> tuple[tuple[LabResult, ...], tuple[SetAside, ...]]:
        """The results that count, and those set aside."""
        read: list[LabResult] = []
        aside: list[SetAside] = []
        for source in self.sources:
            reason = self._not_about_ours(source.observation)
            if reason:
                aside.extend(set_aside_whole(source, reason, self.context))
                continue
            for one in read_observation(source, self.context):
                if isinstance(one, LabResult):
                    read.append(one)
                else:
                    aside.append(one)
        results, replaced = settled(mark_hemolysed(read, self._hemolysed()))
        return results, (*aside, *replaced)

    def resulted(self) -> Iterator[Resulted]:
        """The tests of the patient whose results make orders needless."""
        for source in self.sources:
            if not self._not_about_ours(source.observation):
                yield from resulted_tests(source, self.context)

    def _hemolysed(self) -> set[Draw]:
        """The specimens that any result of the patient, of the pack or not, reports hemolysed.

        A withdrawn result reports nothing; one that was cancelled may well say why.
        """
        return {
            draw_of(source, self.context)
            for source in self.sources
            if is_hemolysed(source.observation, self.index)
            and plain_code(source.observation.status) != "entered-in-error"
            and not self._not_ours(self.subjects.owner(source.observation.subject))
        }

    def chart(self) -> Iterator[_ChartEntry]:
        """Each medicine, condition and order on file, read once."""
        for resource in _charted(self.index):
            reason, recorded = self._not_usable(resource), None
            if reason is None and not isinstance(resource, ServiceRequest):
                try:
                    recorded = self._in_force(resource)
                except NotUsable as fault:
                    reason = fault.reason
            yield _ChartEntry(resource, recorded, reason)

    def drafted(self) -> Iterator[_ChartEntry]:
        """Each order that is being made, and why it does not count, if so."""
        for resource in _charted(self.drafts):
            yield _ChartEntry(resource, reason=self._not_usable(resource))

    def medicines(self, chart: Iterable[_ChartEntry]) -> tuple[Recorded, ...] | None:
        """The medicines in force, or `None` if nothing is known of them."""
        if not self._has("MedicationRequest", "MedicationStatement"):
            return None
        return tuple(
            one.recorded for one in chart if isinstance(one.resource, Prescribed) and one.recorded
        )

    def conditions(self, chart: Iterable[_ChartEntry]) -> tuple[Recorded, ...] | None:
        """The conditions in force, or `None` if nothing is known of them."""
        if not self._has("Condition"):
            return None
        return tuple(
            one.recorded for one in chart if isinstance(one.resource, Condition) and one.recorded
        )

    def orders(self) -> tuple[OpenOrder, ...] | None:
        """The open orders, those being made now among them, or `None` if nothing is known.

        An order being made now that carries no time is made now.
        """
        times = self.context.times
        placed = self._usable(self.index.all_of(ServiceRequest))
        drafted = self._usable(self.drafts.all_of(ServiceRequest))
        read = [
            *(open_order(order, times, None) for order in placed),
            *(open_order(order, times, times.now) for order in drafted),
        ]
        found = {one.reference or str(place): one for place, one in enumerate(read) if one}
        return tuple(found.values()) if found or self._has("ServiceRequest") else None

    def ordering(self) -> tuple[Recorded, ...]:
        """The tests that the user is ordering: the selected drafts, or all if nothing tells."""
        found: list[Recorded] = []
        for full_url, one in self.drafts.entries(ServiceRequest):
            if self._is_ordering(one, full_url):
                reference = f"ServiceRequest/{one.id}" if one.id else ""
                texts = texts_of(one.code)
                found.append(Recorded(codes=pairs_of(one.code), texts=texts, reference=reference))
        return tuple(found)

    def prescribing(self) -> tuple[Recorded, ...]:
        """The medicines that the user is ordering, chosen in the same way."""
        return tuple(
            medicine_of(request, self.drafts, self.index)
            for full_url, request in self.drafts.entries(MedicationRequest)
            if self._is_ordering(request, full_url)
        )

    def encounters(self) -> tuple[str, ...]:
        """The classes of the patient's encounters in progress."""
        return encounter_classes(self._usable(self.index.all_of(Encounter)))

    def unread(self) -> Iterator[SetAside]:
        """What could not be read at all; of a result whose code can still be read, the marker."""
        for fault in self.given.unreadable:
            named = fault.resource_type and fault.id
            match = self.context.lookup.of(fault.code) if fault.code is not None else None
            moment = self.context.times.moment(fault.time) if fault.time else None
            yield SetAside(
                reason="code-not-in-pack" if match == "code-not-in-pack" else "invalid-resource",
                marker=match.marker if isinstance(match, MarkerMatch) else "",
                code=first_code(fault.code),
                reference=f"{fault.resource_type}/{fault.id}" if named else "",
                time=moment.time if moment else None,
                is_result="laboratory results" in parts_of_fault(fault),
            )

    def incomplete(
        self,
        medicines: Iterable[Recorded],
        conditions: Iterable[Recorded],
        orders: tuple[OpenOrder, ...] | None,
    ) -> tuple[Incomplete, ...]:
        """What the card must say was missing."""
        notes = [*self.given.incomplete]
        if self.members_missing:
            notes.append(_MEMBERS_MISSING)
        if any(map(names_nothing, medicines)):
            notes.append(_UNNAMED_MEDICINE)
        if any(map(names_nothing, conditions)):
            notes.append(_UNNAMED_CONDITION)
        if self.selected == frozenset() and self.given.selections:
            notes.append(_NO_DRAFT_SELECTED)
        if self._has("MedicationStatement") and not self._has("MedicationRequest"):
            notes.append(_STATEMENTS_ONLY)
        if orders is not None and not self._has("ServiceRequest"):
            notes.append(_DRAFTS_ONLY)
        return tuple(dict.fromkeys(notes))

    def _has(self, *kinds: Kind) -> bool:
        return not self.given.available.isdisjoint(kinds)

    def _in_force(self, resource: Prescribed | Condition) -> Recorded | None:
        if isinstance(resource, Condition):
            return condition_in_force(resource, self.context.times.now, self.context.times)
        return medicine_in_force(resource, self.index)

    def _usable(self, resources: Iterable[ChartedT]) -> list[ChartedT]:
        return [resource for resource in resources if self._not_usable(resource) is None]

    def _not_usable(self, resource: Charted | Encounter) -> SetAsideReason | None:
        reason = self._not_ours(self.subjects.owner(resource.subject))
        if reason is None and was_sent(resource.modifier_extension):
            return "modifier-extension"
        return reason

    def _not_about_ours(self, result: Observation) -> SetAsideReason | None:
        if self.subjects.is_about_another(many(result.focus)):
            return "other-patient"
        return self._not_ours(self.subjects.owner(result.subject))

    def _not_ours(self, owner: Owner) -> SetAsideReason | None:
        if owner == "another":
            return "other-patient"
        if owner == "unresolved":
            return "subject-unresolved"
        return "no-subject" if owner == "unnamed" and self.others_seen else None

    def _is_ordering(
        self,
        order: MedicationRequest | ServiceRequest,
        full_url: str | None,
    ) -> bool:
        if (
            plain_code(order.status) in _OVER
            or order.do_not_perform
            or self._not_usable(order) is not None
        ):
            return False
        return self.selected is None or not self.selected.isdisjoint(own_names(full_url, order))


def _charted(index: ResourceIndex) -> list[Charted]:
    return [
        *index.all_of(MedicationRequest),
        *index.all_of(MedicationStatement),
        *index.all_of(Condition),
        *index.all_of(ServiceRequest),
    ]


def _set_aside(entries: Iterable[_ChartEntry]) -> Iterator[SetAside]:
    """What was sent beside results and is not used."""
    for resource, _, reason in entries:
        if reason is not None:
            code = "" if isinstance(resource, Prescribed) else first_code(resource.code)
            reference = f"{type(resource).__name__}/{resource.id}" if resource.id else ""
            yield SetAside(
                reason=reason, marker="", code=code, reference=reference, is_result=False
            )


def _not_usable_parts(entries: Iterable[_ChartEntry]) -> Iterator[Incomplete]:
    parts = (part_of(one.resource) for one in entries if one.reason is not None)
    return (Incomplete(part, "not usable") for part in dict.fromkeys(parts))


def _check_results(owners: list[Owner], *, others_seen: bool) -> None:
    if set(owners) == {"another"}:
        raise RequestError("Expected results of the patient; these are all of another.")
    if owners and others_seen and "patient" not in owners:
        raise RequestError("Expected results of the patient; none of these is known to be theirs.")
