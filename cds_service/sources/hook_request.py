# SPDX-License-Identifier: Apache-2.0
"""A CDS Hooks request -> the input that it brings."""

from collections.abc import Iterator, Mapping

from cds_service.copying import replace
from cds_service.fhir.bundles import Fetched
from cds_service.fhir.resources import DiagnosticReport, Observation, parts_of
from cds_service.hooks.request import HookRequest
from cds_service.intake.marker_lookup import MarkerLookup
from cds_service.intake.patient_input import PatientInput, input_from_answers, kinds_in
from cds_service.labs.patient_record import Incomplete, IncompletePart
from cds_service.prefetch_keys import Kind, kinds_of_key

# The lists that facts are read from; without orders on file nothing but a proposal comes again.
_LISTS: Mapping[IncompletePart, frozenset[Kind]] = {
    "medicines": frozenset(("MedicationRequest", "MedicationStatement")),
    "conditions": frozenset(("Condition",)),
}


def input_from_request(
    request: HookRequest, keys: Mapping[str, str] | None = None, lookup: MarkerLookup | None = None
) -> PatientInput:
    """The input of a hook request.

    What a key holds counts by its type, whatever the key is called: Epic's analysts choose the
    names. Only for a key that holds nothing, or that failed, its name says what was asked for;
    `keys` gives the key of discovery for names that are not among the usual ones. With `claims`,
    results under any other name are laboratory results only if one of them is of the pack: an
    EHR may send vital signs and leave the laboratory out.
    """
    given = input_from_answers(
        [
            (answer, _kinds_that_count(key, answer, keys, lookup))
            for key, answer in request.prefetch.items()
        ],
        patient_id=request.patient_id,
        drafts=request.draft_orders or (),
        selections=request.selections if request.hook == "order-select" else None,
        unreadable=tuple(
            replace(fault, key=_ours(fault.key, keys)) for fault in request.unreadable
        ),
        fhir_server=request.fhir_server,
    )
    return replace(given, incomplete=(*given.incomplete, *_not_sent(given)))


def _not_sent(given: PatientInput) -> Iterator[Incomplete]:
    """The lists of which the client sent nothing, not even that it failed."""
    named = {lack.part for lack in given.incomplete}
    for part, kinds in _LISTS.items():
        if part not in named and given.available.isdisjoint(kinds):
            yield Incomplete(part, "not sent")


def kinds_sent(request: HookRequest, keys: Mapping[str, str] | None = None) -> frozenset[Kind]:
    """The kinds that the client asked for, also where it failed or found nothing.

    For laboratory results the name of the key has to say so: what is under another name may be
    vital signs, and asking twice does no harm.
    """
    sent: set[Kind] = set()
    for key, answer in request.prefetch.items():
        asked = kinds_of_key(_ours(key, keys))
        kinds = _kinds_of(asked, answer)
        sent |= kinds if asked else kinds - {"Observation"}
    return frozenset(sent)


def _kinds_that_count(
    key: str, answer: Fetched, keys: Mapping[str, str] | None, lookup: MarkerLookup | None
) -> frozenset[Kind]:
    asked = kinds_of_key(_ours(key, keys))
    kinds = _kinds_of(asked, answer)
    if lookup and not asked and not _has_claimed(answer, lookup):
        return kinds - {"Observation"}
    return kinds


def _kinds_of(asked: frozenset[Kind], answer: Fetched) -> frozenset[Kind]:
    inside = kinds_in(answer)
    # Other resources than those asked for are no answer: to take them for one would be silence.
    # Reports are one about results alone.
    if answer.entries and asked.isdisjoint(inside):
        return inside | (asked & {"Observation"} if _is_report(answer) else frozenset())
    return asked | inside


def _ours(key: str, keys: Mapping[str, str] | None) -> str:
    return keys.get(key, key) if keys else key


def _has_claimed(answer: Fetched, lookup: MarkerLookup) -> bool:
    """Whether a result among them is one of the pack, itself or as a part of a panel."""
    results = (
        entry.resource for entry in answer.entries if isinstance(entry.resource, Observation)
    )
    return any(
        not isinstance(lookup.of(part.code), str)
        for result in results
        for part in (result, *parts_of(result))
    )


def _is_report(answer: Fetched) -> bool:
    return any(isinstance(entry.resource, DiagnosticReport) for entry in answer.entries)
