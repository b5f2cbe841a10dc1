# SPDX-License-Identifier: Apache-2.0
"""A patient's input, sorted: which resources there are, and which of them are the patient's."""

from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from typing import TypeAlias, TypeVar

from msgspec import Struct

from cds_service.clock import Deadline
from cds_service.copying import replace
from cds_service.errors import RequestError
from cds_service.fhir.elements import Reference, many, was_sent
from cds_service.fhir.resources import (
    Condition,
    DiagnosticReport,
    Encounter,
    MedicationRequest,
    MedicationStatement,
    Observation,
    Patient,
    ServiceRequest,
)
from cds_service.intake.pack_reader import PackReader
from cds_service.intake.panels import is_any_missing, observations_of, with_panels
from cds_service.intake.patient_input import PatientInput
from cds_service.intake.resource_index import ResourceIndex, local_name
from cds_service.intake.results import Panel, ReadContext, SourceObservation
from cds_service.intake.subjects import Owner, Subjects, are_apart, find_subjects
from cds_service.intake.times import Times
from cds_service.labs.set_aside_reasons import SetAsideReason
from cds_service.prefetch_keys import Kind

Charted: TypeAlias = MedicationRequest | MedicationStatement | Condition | ServiceRequest
UsableT = TypeVar("UsableT", MedicationRequest, ServiceRequest, Encounter)


class SortedInput(Struct, frozen=True, kw_only=True):
    """The input of one patient, sorted, with everything needed to read it."""

    given: PatientInput
    context: ReadContext
    index: ResourceIndex
    drafts: ResourceIndex
    sources: list[SourceObservation]
    subjects: Subjects
    others_seen: bool  # whether something is of another patient
    selected: frozenset[str | None] | None  # names of the drafts that were chosen; None: of all
    members_missing: bool  # whether a panel or report names results that are not here

    def has(self, *kinds: Kind) -> bool:
        """Whether one of these kinds was asked for with success."""
        return not self.given.available.isdisjoint(kinds)

    def patients(self) -> list[Patient]:
        """Every Patient that was sent, those among the orders being made too."""
        return [*self.index.all_of(Patient), *self.drafts.all_of(Patient)]

    def usable(self, resources: Iterable[UsableT]) -> list[UsableT]:
        """Those that are the patient's and say what they seem to say."""
        return [resource for resource in resources if self.why_not_usable(resource) is None]

    def why_not_usable(self, resource: Charted | Encounter) -> SetAsideReason | None:
        """Why a resource does not count, if so."""
        reason = self.why_not_of(resource.subject)
        if reason is None and was_sent(resource.modifier_extension):
            return "modifier-extension"
        return reason

    def why_not_theirs(self, result: Panel) -> SetAsideReason | None:
        """Why a result is not one of the patient, if so."""
        if (
            isinstance(result, Observation)
            and result.focus is not None
            and self.subjects.is_about_another(many(result.focus))
        ):
            return "other-patient"
        return self.why_not_of(result.subject)

    def why_not_of(self, subject: Reference | None) -> SetAsideReason | None:
        """Why what has this subject is not the patient's, if so."""
        owner = self.subjects.owner(subject)
        if owner == "patient":
            return None
        if owner == "another":
            return "other-patient"
        if owner == "unresolved":
            return "subject-unresolved"
        return "no-subject" if self.others_seen else None

    def why_not_used(self, source: SourceObservation) -> SetAsideReason | None:
        """Why nothing of a result is used, if so; what it is contained in speaks for it."""
        reason = self.why_not_theirs(source.observation)
        if reason is None and source.panel is not None:
            return self.why_not_believed(source.panel)
        return reason

    def why_not_believed(self, panel: Panel) -> SetAsideReason | None:
        """Why a panel's or report's elements do not apply to the results it names, or `None`."""
        reason = self.why_not_theirs(panel)
        if reason is None and was_sent(panel.modifier_extension):
            return "modifier-extension"
        return reason


def sort_input(
    reader: PackReader, given: PatientInput, *, now: datetime, zone: tzinfo, deadline: Deadline
) -> SortedInput:
    """The sorted input; raises `RequestError` if it is not about one patient."""
    index, drafts = ResourceIndex(given.entries), ResourceIndex(given.drafts)
    sources = observations_of(index)
    others = [*charted(index), *charted(drafts), *index.all_of(DiagnosticReport)]
    references = [source.observation.subject for source in sources]
    references.extend(resource.subject for resource in others)
    subjects = find_subjects(
        [*index.entries(Patient), *drafts.entries(Patient)],
        references,
        given.patient_id,
        given.fhir_server,
    )
    owners = [subjects.owner(reference) for reference in references]
    unnamed = [
        reference for reference, owner in zip(references, owners, strict=True) if owner == "unnamed"
    ]
    others_seen = "another" in owners or are_apart(unnamed)
    _check_results(owners[: len(sources)], others_seen=others_seen)

    context = ReadContext(
        reader=reader,
        times=Times(now, zone),
        latest=now + timedelta(hours=reader.pack.scope.future_hours),
        index=index,
        deadline=deadline,
    )
    data = SortedInput(
        given=given,
        context=context,
        index=index,
        drafts=drafts,
        sources=sources,
        subjects=subjects,
        others_seen=others_seen,
        selected=_chosen_drafts(given, drafts),
        members_missing=is_any_missing(sources, index),
    )
    return replace(data, sources=with_panels(sources, index, data.why_not_believed))


def charted(index: ResourceIndex) -> list[Charted]:
    """The medicines, conditions and orders."""
    return [
        *index.all_of(MedicationRequest),
        *index.all_of(MedicationStatement),
        *index.all_of(Condition),
        *index.all_of(ServiceRequest),
    ]


def _chosen_drafts(given: PatientInput, drafts: ResourceIndex) -> frozenset[str | None] | None:
    """The names of the drafts that the user chose, or `None` where the hook knows no choice.

    CDS Hooks 2.0.1, `selections` of order-select.
    """
    if given.selections is None:
        return None
    chosen = frozenset(
        name for selection in given.selections for name in (selection, local_name(selection))
    )
    drafted = (
        name
        for entries in (drafts.entries(MedicationRequest), drafts.entries(ServiceRequest))
        for full_url, order in entries
        for name in own_names(full_url, order)
    )
    return chosen.intersection(drafted)


def own_names(
    full_url: str | None, order: MedicationRequest | ServiceRequest
) -> frozenset[str | None]:
    """Everything by which a selection can name the draft."""
    return frozenset((full_url, order.id, f"{type(order).__name__}/{order.id}")) - {None}


def _check_results(owners: list[Owner], *, others_seen: bool) -> None:
    if set(owners) == {"another"}:
        raise RequestError("Expected results of the patient; these are all of another.")
    if owners and others_seen and "patient" not in owners:
        raise RequestError("Expected results of the patient; none of these is known to be theirs.")
