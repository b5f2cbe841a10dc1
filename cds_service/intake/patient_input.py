# SPDX-License-Identifier: Apache-2.0
"""What the record of one patient is made of, wherever it came from.

Every source (`cds_service.sources`) makes a `PatientInput`, so that `read_record` is the only way
from FHIR to a record.
"""

from collections.abc import Iterable

from msgspec import Struct

from cds_service.fhir.bundles import Fetched
from cds_service.fhir.decode import Unreadable
from cds_service.fhir.resources import Entry, Resource
from cds_service.labs.patient_record import Incomplete, IncompletePart, Lack
from cds_service.prefetch_keys import KINDS, Kind, kinds_of_key

_PARTS: dict[str, IncompletePart] = {
    "Patient": "patient",
    "Observation": "laboratory results",
    "DiagnosticReport": "laboratory results",
    "Medication": "medicines",
    "MedicationRequest": "medicines",
    "MedicationStatement": "medicines",
    "Condition": "conditions",
    "ServiceRequest": "open orders",
}
_UNKNOWN_PART: IncompletePart = "some data"
_KINDS = frozenset(KINDS)


class PatientInput(Struct, frozen=True, kw_only=True, gc=False):
    """The resources about one patient, and how complete they are.

    `available` holds the kinds that were asked for with success, even if nothing was there: a
    kind outside it is not known. `drafts` are orders being made now; `selections` names those of
    them that the user just chose (`None`: all of them).
    """

    patient_id: str | None
    entries: tuple[Entry, ...]
    available: frozenset[Kind]
    drafts: tuple[Entry, ...] = ()
    selections: tuple[str, ...] | None = None
    incomplete: tuple[Incomplete, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    fhir_server: str | None = None


def input_from_answers(
    answers: Iterable[tuple[Fetched, frozenset[Kind]]],
    *,
    patient_id: str | None = None,
    drafts: tuple[Entry, ...] = (),
    selections: tuple[str, ...] | None = None,
    unreadable: tuple[Unreadable, ...] = (),
    fhir_server: str | None = None,
) -> PatientInput:
    """The input that these answers make, each with the kinds that it is an answer about."""
    entries: list[Entry] = []
    available: set[Kind] = set()
    notes: list[Incomplete] = []
    for answer, kinds in answers:
        entries.extend(answer.entries)
        notes.extend(_notes(kinds, answer))
        # A page without a single resource that is not the whole answer says nothing at all.
        if answer.state != "failed" and (answer.entries or not answer.partial):
            available |= kinds
    return PatientInput(
        patient_id=patient_id,
        entries=tuple(entries),
        available=frozenset(available),
        drafts=drafts,
        selections=selections,
        incomplete=tuple(dict.fromkeys((*notes, *_unread_notes(unreadable)))),
        unreadable=unreadable,
        fhir_server=fhir_server,
    )


def kinds_in(answer: Fetched) -> frozenset[Kind]:
    """The kinds that occur among the resources of an answer."""
    types = {type(entry.resource) for entry in answer.entries}
    return _KINDS.intersection({resource_type.__name__ for resource_type in types})


def _notes(kinds: Iterable[Kind], answer: Fetched) -> list[Incomplete]:
    if answer.state == "failed":
        lack: Lack = "not fetched"
    elif answer.partial:
        lack = "only a part"
    else:
        return []
    parts = sorted({_PARTS[kind] for kind in kinds}) or [_UNKNOWN_PART]
    return [Incomplete(part, lack) for part in parts]


def unread_results(given: PatientInput) -> tuple[Unreadable, ...]:
    """What could not be read and may have been laboratory results."""
    return tuple(
        fault
        for fault in given.unreadable
        if not {"laboratory results", _UNKNOWN_PART}.isdisjoint(parts_of_fault(fault))
    )


def part_of(resource: Resource) -> IncompletePart:
    """What the resource belongs to."""
    return _PARTS.get(type(resource).__name__, _UNKNOWN_PART)


def parts_of_fault(fault: Unreadable) -> list[IncompletePart]:
    """What the unreadable resource belonged to: by its type, or by the key that it came under."""
    if fault.resource_type in _PARTS:
        return [_PARTS[fault.resource_type]]
    if fault.resource_type and fault.resource_type != "Bundle":
        return []  # of a type that no rule reads
    return sorted({_PARTS[kind] for kind in kinds_of_key(fault.key)}) or [_UNKNOWN_PART]


def _unread_notes(unreadable: Iterable[Unreadable]) -> list[Incomplete]:
    """The parts that could not be read; for results `read_record` tells which of them count."""
    return [
        Incomplete(part, "unreadable")
        for fault in unreadable
        for part in parts_of_fault(fault)
        if part != "laboratory results"
    ]
