# SPDX-License-Identifier: Apache-2.0
"""What the record of one patient is made of, wherever it came from.

A hook request, a file and later a FHIR server or a notification all become `Material`, so that
`read_record` is the only way from FHIR to a record.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from cds_service.fhir.bundles import Fetched
from cds_service.fhir.decode import Unreadable
from cds_service.fhir.elements import many
from cds_service.fhir.resources import DiagnosticReport, Entry, Observation
from cds_service.hooks.request import HookRequest
from cds_service.intake.marker_lookup import Claims

Kind: TypeAlias = Literal[
    "Patient",
    "Observation",
    "MedicationRequest",
    "MedicationStatement",
    "Condition",
    "ServiceRequest",
]
KINDS: frozenset[str] = frozenset(get_args(Kind))

_MEDICINES: frozenset[Kind] = frozenset({"MedicationRequest", "MedicationStatement"})
_USUAL_KEYS: dict[str, frozenset[Kind]] = {
    "patient": frozenset({"Patient"}),
    **dict.fromkeys(
        ("observation", "observations", "labs", "laboratory", "labresults", "results"),
        frozenset[Kind]({"Observation"}),
    ),
    **dict.fromkeys(("medications", "medicines", "meds"), _MEDICINES),
    **dict.fromkeys(
        ("medicationrequest", "medicationrequests", "prescriptions"),
        frozenset[Kind]({"MedicationRequest"}),
    ),
    **dict.fromkeys(
        ("medicationstatement", "medicationstatements"), frozenset[Kind]({"MedicationStatement"})
    ),
    **dict.fromkeys(
        ("condition", "conditions", "problems", "problemlist"), frozenset[Kind]({"Condition"})
    ),
    **dict.fromkeys(
        ("servicerequest", "servicerequests", "orders", "openorders"),
        frozenset[Kind]({"ServiceRequest"}),
    ),
}

_WORDS: dict[str, str] = {
    "Patient": "the patient's own data",
    "Observation": "laboratory results",
    "MedicationRequest": "medicines",
    "MedicationStatement": "medicines",
    "Condition": "conditions",
    "ServiceRequest": "open orders",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
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
    incomplete: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    fhir_server: str | None = None


def material_from_request(
    request: HookRequest, keys: Mapping[str, str] | None = None, claims: Claims | None = None
) -> Material:
    """The material of a hook request.

    What a key holds counts by its type, whatever the key is called: Epic's analysts choose the
    names. Only for a key that holds nothing, or that failed, its name says what was asked for;
    `keys` gives the key of discovery for names that are not among the usual ones. With `claims`,
    results under any other name are laboratory results only if one of them is of the pack: an
    EHR may send vital signs and leave the laboratory out.
    """
    available: set[Kind] = set()
    notes: list[str] = []
    for key, found in request.prefetch.items():
        kinds = _kinds_of(key, found, keys)
        if claims and not kinds_of_key(_ours(key, keys)) and not _has_claimed(found, claims):
            kinds -= {"Observation"}
        notes.extend(_notes(kinds, found))
        # A page without a single resource that is not the whole answer says nothing at all.
        if found.state != "failed" and (found.entries or not found.partial):
            available |= kinds
    return Material(
        patient_id=request.patient_id,
        entries=tuple(entry for found in request.prefetch.values() for entry in found.entries),
        available=frozenset(available),
        drafts=request.draft_orders or (),
        selections=request.selections if request.hook == "order-select" else None,
        incomplete=_once((*notes, *_unread_notes(request.unreadable))),
        unreadable=request.unreadable,
        fhir_server=request.fhir_server,
    )


def kinds_sent(request: HookRequest, keys: Mapping[str, str] | None = None) -> frozenset[Kind]:
    """The kinds that the client asked for, also where it failed or found nothing.

    For laboratory results the name of the key has to say so: what is under another name may be
    vital signs, and asking twice does no harm.
    """
    sent: set[Kind] = set()
    for key, found in request.prefetch.items():
        kinds = _kinds_of(key, found, keys)
        sent |= kinds if kinds_of_key(_ours(key, keys)) else kinds - {"Observation"}
    return frozenset(sent)


def kinds_of_key(key: str) -> frozenset[Kind]:
    """The kinds that a key of discovery brings."""
    return _USUAL_KEYS.get(_plain(key), frozenset[Kind]())


def material_from_resources(
    found: Fetched,
    *,
    patient_id: str | None = None,
    available: Collection[Kind] = (),
    unreadable: tuple[Unreadable, ...] = (),
    fhir_server: str | None = None,
) -> Material:
    """The material of resources from a file, a notification or a FHIR server.

    Kinds that occur among them are available; `available` names those that were asked for too.
    """
    kinds = _kinds_in(found)
    return Material(
        patient_id=patient_id,
        entries=found.entries,
        available=frozenset(available) | kinds,
        incomplete=_once((*_notes(kinds, found), *_unread_notes(unreadable))),
        unreadable=unreadable,
        fhir_server=fhir_server,
    )


def _kinds_of(key: str, found: Fetched, keys: Mapping[str, str] | None) -> frozenset[Kind]:
    asked, inside = kinds_of_key(_ours(key, keys)), _kinds_in(found)
    # Other resources than those asked for are no answer: to take them for one would be silence.
    if found.entries and asked.isdisjoint(inside) and not _is_report(found):
        return inside
    return asked | inside


def _ours(key: str, keys: Mapping[str, str] | None) -> str:
    return keys.get(key, key) if keys else key


def _has_claimed(found: Fetched, claims: Claims) -> bool:
    """Whether a result among them is one of the pack, itself or as a part of a panel."""
    results = (one.resource for one in found.entries if isinstance(one.resource, Observation))
    return any(
        not isinstance(claims.of(part.code), str)
        for result in results
        for part in (result, *many(result.component))
    )


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalpha())


def _is_report(found: Fetched) -> bool:
    return any(isinstance(entry.resource, DiagnosticReport) for entry in found.entries)


def _kinds_in(found: Fetched) -> frozenset[Kind]:
    names = {type(entry.resource).__name__ for entry in found.entries}
    return frozenset(kind for kind in get_args(Kind) if kind in names)


def _notes(kinds: Iterable[Kind], found: Fetched) -> list[str]:
    if found.state == "failed":
        said = "could not be fetched"
    elif found.partial:
        said = "only a part was sent"
    else:
        return []
    words = sorted({_WORDS[kind] for kind in kinds}) or ["some data"]
    return [f"{one}: {said}" for one in words]


def _unread_notes(unreadable: Iterable[Unreadable]) -> list[str]:
    return [
        f"{_WORDS[one.resource_type]}: some could not be read"
        for one in unreadable
        if one.resource_type in _WORDS
    ]


def _once(notes: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(notes))
