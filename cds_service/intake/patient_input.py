# SPDX-License-Identifier: Apache-2.0
"""What the record of one patient is made of, wherever it came from.

Every source (`cds_service.sources`) makes a `PatientInput`, so that `read_record` is the only way
from FHIR to a record.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cds_service.fhir.bundles import Fetched
from cds_service.fhir.decode import Unreadable
from cds_service.fhir.resources import Entry
from cds_service.labs.patient_record import Incomplete, IncompletePart, Lack
from cds_service.prefetch_keys import KINDS, Kind

_PARTS: dict[str, IncompletePart] = {
    "Patient": "patient",
    "Observation": "laboratory results",
    "MedicationRequest": "medicines",
    "MedicationStatement": "medicines",
    "Condition": "conditions",
    "ServiceRequest": "open orders",
}
_UNKNOWN_PART: IncompletePart = "some data"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientInput:
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
    names = {type(entry.resource).__name__ for entry in answer.entries}
    return frozenset(kind for kind in KINDS if kind in names)


def _notes(kinds: Iterable[Kind], answer: Fetched) -> list[Incomplete]:
    if answer.state == "failed":
        lack: Lack = "not fetched"
    elif answer.partial:
        lack = "only a part"
    else:
        return []
    parts = sorted({_PARTS[kind] for kind in kinds}) or [_UNKNOWN_PART]
    return [Incomplete(part, lack) for part in parts]


def _unread_notes(unreadable: Iterable[Unreadable]) -> list[Incomplete]:
    return [
        Incomplete(_PARTS[fault.resource_type], "unreadable")
        for fault in unreadable
        if fault.resource_type in _PARTS
    ]
