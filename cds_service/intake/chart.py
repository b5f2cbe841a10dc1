# SPDX-License-Identifier: Apache-2.0
"""Medicines, conditions and orders that are in force.

A reader returns `None` for what is known not to be in force, and raises `NotUsable` for what does
not say clearly enough whether it is.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from cds_service.fhir.deferred import codes_in, period_in, text_in
from cds_service.fhir.elements import CodeableConcept, Many, Reference, many, plain_code
from cds_service.fhir.resources import (
    Condition,
    Encounter,
    Medication,
    MedicationRequest,
    MedicationStatement,
    Resource,
    ServiceRequest,
)
from cds_service.fhir.tags import is_own_proposal
from cds_service.intake.marker_lookup import displays_of, pairs_of, texts_of
from cds_service.intake.not_usable import NotUsable
from cds_service.intake.resource_index import ResourceIndex
from cds_service.intake.times import Times
from cds_service.knowledge.model.code_systems import ICD_10_CM, RXNORM, SNOMED, is_well_formed
from cds_service.knowledge.model.pack import PRIORITIES, Priority
from cds_service.labs.patient_record import OpenOrder, Recorded
from cds_service.labs.set_aside_reasons import SetAsideReason

Prescribed: TypeAlias = MedicationRequest | MedicationStatement

# The statuses of FHIR R4 for a medicine that the patient is not on (now).
_NOT_ON = {
    "on-hold", "cancelled", "completed", "entered-in-error", "stopped", "draft", "intended",
    "not-taken",
}  # fmt: skip
# Intents that authorise; a proposal, a plan or an option puts nobody on a medicine.
_ORDERED = {
    "", "order", "original-order", "reflex-order", "filler-order", "instance-order",
}  # fmt: skip
_NOT_ORDERED = {"proposal", "plan", "option"}
_UNCLEAR: Mapping[str, SetAsideReason] = {"": "status:missing", "unknown": "status:unknown"}
_OPEN = {"draft", "active", "on-hold"}
_IN_FORCE = {"active", "recurrence", "relapse"}
_NOT_IN_FORCE = {"inactive", "remission", "resolved"}
_DENIED = {"refuted", "entered-in-error"}
# The systems whose codes the facts of a pack read.
MEDICINE_SYSTEMS = frozenset({RXNORM})
CONDITION_SYSTEMS = frozenset({SNOMED, ICD_10_CM})
_PRIORITIES: dict[str | None, Priority] = {priority: priority for priority in PRIORITIES}


def medicine_in_force(resource: Prescribed, index: ResourceIndex) -> Recorded | None:
    """The medicine that the patient is on, or `None` if this does not put them on one.

    Raises `NotUsable` for a status or an intent that FHIR does not have: they may be on it.
    """
    status = plain_code(resource.status)
    if status in _NOT_ON:
        return None
    if isinstance(resource, MedicationRequest):
        intent = plain_code(resource.intent)
        if intent in _NOT_ORDERED or resource.do_not_perform:
            return None
        if intent not in _ORDERED:
            raise NotUsable("status:invalid")
    if status != "active":
        raise NotUsable(_UNCLEAR.get(status, "status:invalid"))
    return medicine_of(resource, index)


def is_unnamed(record: Recorded, systems: frozenset[str]) -> bool:
    """Whether neither a text nor a code that could be one of the systems says what it is."""
    return not record.texts and not any(
        system in systems and is_well_formed(system, code) for system, code in record.codes
    )


def medicine_of(resource: Prescribed, *indexes: ResourceIndex) -> Recorded:
    """The codes and names of a medicine, its product's and its ingredients'.

    The product is the one of the first index that has it.
    """
    concepts: list[CodeableConcept | None] = [resource.medication_codeable_concept]
    product = _product(resource.medication_reference, resource.contained, indexes)
    if product is not None:
        concepts.append(product.code)
        for ingredient in many(product.ingredient):
            inside = _product(ingredient.item_reference, product.contained, indexes)
            concepts.append(ingredient.item_codeable_concept)
            concepts.append(inside.code if inside is not None else None)
    texts = texts_of(*concepts)
    pointer = resource.medication_reference
    if pointer and pointer.display and pointer.display not in texts:
        texts = (*texts, pointer.display)
    return Recorded(
        codes=pairs_of(*concepts), texts=texts, reference=_reference(resource, resource.id)
    )


def _product(
    reference: Reference | None, contained: Many[Resource], indexes: Iterable[ResourceIndex]
) -> Medication | None:
    found = (index.referred(reference, contained) for index in indexes)
    return next((product for product in found if isinstance(product, Medication)), None)


def condition_in_force(resource: Condition, now: datetime, times: Times) -> Recorded | None:
    """The condition, or `None` if it is over or refuted.

    Raises `NotUsable` for a clinical status that FHIR does not have.
    """
    clinical = _words(resource.clinical_status)
    if clinical and not clinical & _IN_FORCE:
        if not clinical <= _NOT_IN_FORCE:
            raise NotUsable("status:invalid")
        return None
    if not clinical and _has_ended(resource, now, times):
        return None
    if _words(resource.verification_status) & _DENIED:
        return None
    return Recorded(
        codes=pairs_of(resource.code),
        texts=texts_of(resource.code),
        reference=_reference(resource, resource.id),
        displays=displays_of(resource.code),
        recorded=_recorded(resource, times),
    )


def open_order(
    resource: ServiceRequest, times: Times, default: datetime | None
) -> OpenOrder | None:
    """The order if it is open and was made by a person; `default` is the time of one without."""
    if plain_code(resource.status) not in _OPEN or plain_code(resource.intent) == "proposal":
        return None
    if resource.do_not_perform:
        return None
    codes = pairs_of(resource.code)
    if not codes or is_own_proposal(resource.meta):
        return None
    authored = times.moment(resource.authored_on) if resource.authored_on else None
    return OpenOrder(
        codes=codes,
        priority=_PRIORITIES.get(plain_code(resource.priority), "routine"),
        authored=authored.time if authored else default,
        reference=_reference(resource, resource.id),
    )


def encounter_classes(resources: Iterable[Encounter]) -> tuple[str, ...]:
    """The classes of the encounters that are in progress, each once."""
    codes = (
        code.strip().upper()
        for resource in resources
        if plain_code(resource.status) == "in-progress"
        for code in codes_in(resource.encounter_class)
    )
    return tuple(sorted(set(codes)))


def _recorded(resource: Condition, times: Times) -> datetime | None:
    """When it was recorded, else when it began; `None` if nothing that was sent can be read.

    A day without a time is its start in UTC. A month or a year is its last moment, for the entry
    may be as young as that.
    """
    onset = period_in(resource.onset_period)
    sent = (
        text_in(resource.recorded_date),
        text_in(resource.onset_date_time),
        onset.start if onset else None,
    )
    moment = next(
        (first_moment for text in sent if text and (first_moment := times.moment(text))), None
    )
    if moment is None:
        return None
    return moment.begins.replace(tzinfo=UTC) if moment.precision == "day" else moment.time


def _has_ended(resource: Condition, now: datetime, times: Times) -> bool:
    ended = times.moment(resource.abatement_date_time) if resource.abatement_date_time else None
    return ended is not None and ended.begins <= now


def _words(status: CodeableConcept | str | None) -> set[str]:
    """The codes of a status; a plain code stands for itself."""
    if isinstance(status, str):
        return {plain_code(status)} - {""}
    found: Iterable[tuple[str, str]] = pairs_of(status)
    return {plain_code(code) for _, code in found}


def _reference(resource: object, resource_id: str | None) -> str:
    return f"{type(resource).__name__}/{resource_id}" if resource_id else ""
