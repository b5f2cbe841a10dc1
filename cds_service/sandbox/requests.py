# SPDX-License-Identifier: Apache-2.0
"""Hook requests of a patient from a pack, a file or a FHIR server, and the answer to one.

A request is made as the bytes that an EHR would send, and is read and answered as any other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import uuid4

from cds_service.errors import CdsServiceError, UnknownPage
from cds_service.fhir_client.queries import tokens_of
from cds_service.hooks.request import OTHERWISE_REQUIRED, REQUIRED_CONTEXT, read_request
from cds_service.hooks.response import HookResponse, write_response
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.model.pack_file import Example
from cds_service.sandbox.raw_json import Json, decoded, encoded
from cds_service.sandbox.services import ServiceOffer
from cds_service.sandbox.uploads import UploadedPatient
from cds_service.service import Answer, Knowledge, Options, answer_hook
from cds_service.trials.examples import example_request

USER: Final = "Practitioner/sandbox"
_ENCOUNTER: Final = "sandbox"
_RESULTS: Final = "Observation"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """What a call came to: an answer with its JSON, or the error that the caller gets."""

    answer: Answer | None = None
    response: bytes = b""
    error: CdsServiceError | None = None


def context_of(hook: str, patient_id: str) -> Json:
    """The context that every client of this hook sends, but for orders."""
    known = {"userId": USER, "patientId": patient_id, "encounterId": _ENCOUNTER}
    asked = REQUIRED_CONTEXT.get(hook, OTHERWISE_REQUIRED)
    return {name: value for name, value in known.items() if name in asked}


def tokens_for(hook: str, patient_id: str) -> dict[str, str]:
    """What the tokens of prefetch templates stand for."""
    return tokens_of(context_of(hook, patient_id))


def request_of_example(pack: Pack, example: Example, offer: ServiceOffer, now: datetime) -> bytes:
    """The hook request of an example, as a call that was never made before."""
    service = replace(pack.services[0], hook=offer.hook)
    request: Json = decoded(example_request(pack, example, service, now))
    return encoded({**request, "hookInstance": str(uuid4())})


def request_of_prefetch(
    offer: ServiceOffer,
    patient_id: str,
    prefetch: Mapping[str, Json],
    *,
    fhir_server: str | None = None,
) -> bytes:
    """The hook request with this prefetch; drafts among it are the orders being made."""
    drafts: list[Json] = []
    if _takes_drafts(offer):
        drafts = [
            entry for value in prefetch.values() for entry in _entries(value) if _is_draft(entry)
        ]
        prefetch = {key: _without_drafts(value) for key, value in prefetch.items()}
    return _request(offer, patient_id, prefetch, drafts, fhir_server)


def request_of_subject(offer: ServiceOffer, subject: UploadedPatient) -> bytes:
    """The hook request with the resources of a file, under the keys that ask for their types.

    A key whose type does not occur is absent: that it was not in the file says nothing.
    """
    drafts, given = list[Json](), list[Json]()
    for entry in subject.entries:
        (drafts if _takes_drafts(offer) and _is_draft(entry) else given).append(entry)
    prefetch: dict[str, Json] = {}
    for key, template in offer.prefetch.items():
        own = [entry for entry in given if _kind(entry) == _asked_kind(template)]
        if own:
            # Only an entry keeps the address by which others may refer to it.
            whole = "?" in template or _is_known_by_url(own[0])
            prefetch[key] = bundle_of(own) if whole else own[0]["resource"]
    included = [{**beside, "search": {"mode": "include"}} for beside in _besides(given, offer)]
    results = next(
        (key for key, template in offer.prefetch.items() if _asked_kind(template) == _RESULTS), ""
    )
    if included and results:
        found = _entries(prefetch.get(results, {}))
        prefetch[results] = bundle_of([*found, *included])
    return _request(offer, subject.id, prefetch, drafts, None)


def bundle_of(entries: Iterable[Json]) -> Json:
    """The entries as the answer to a search."""
    listed = list(entries)
    bundle: Json = {"resourceType": "Bundle", "type": "searchset"}
    return {**bundle, "entry": listed} if listed else bundle


def answered(
    knowledge: Knowledge,
    service_id: str,
    body: bytes,
    now: datetime,
    options: Options,
    *,
    max_depth: int,
    max_entries: int,
) -> CallResult:
    """The answer to a request, read and answered on the way of every call."""
    try:
        options.deadline.check()
        request = read_request(body, max_depth=max_depth, max_entries=max_entries)
        if request.is_of_patient:  # cards are for clinicians, as in a real call
            return CallResult(response=write_response(HookResponse(cards=())))
        answer = answer_hook(knowledge, request, service_id, now, options)
    except CdsServiceError as error:
        return CallResult(error=error)
    return CallResult(answer=answer, response=write_response(answer.response))


def find_example(knowledge: Knowledge, example_id: str) -> tuple[Pack, Example]:
    """The example and its pack; raises `UnknownPage`."""
    for pack in knowledge.packs:
        for example in pack.examples:
            if example.id == example_id:
                return pack, example
    raise UnknownPage("There is no example of this id.")


def _request(
    offer: ServiceOffer,
    patient_id: str,
    prefetch: Mapping[str, Json],
    drafts: list[Json],
    fhir_server: str | None,
) -> bytes:
    context = context_of(offer.hook, patient_id)
    asked = REQUIRED_CONTEXT.get(offer.hook, OTHERWISE_REQUIRED)
    if "draftOrders" in asked:
        context["draftOrders"] = bundle_of(drafts)
    if "selections" in asked:
        context["selections"] = [
            f"{draft['resource']['resourceType']}/{draft['resource'].get('id', '')}"
            for draft in drafts
        ]
    server = {"fhirServer": fhir_server} if fhir_server else {}
    return encoded(
        {
            "hook": offer.hook,
            "hookInstance": str(uuid4()),
            **server,
            "context": context,
            "prefetch": prefetch,
        }
    )


def _entries(value: Json) -> list[Json]:
    """The entries that hold a resource."""
    found = value.get("entry") if value.get("resourceType") == "Bundle" else None
    entries = found if isinstance(found, list) else []
    return [
        entry
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict)
    ]


def _without_drafts(value: Json) -> Json:
    found = value.get("entry") if value.get("resourceType") == "Bundle" else None
    if not isinstance(found, list):
        return value
    return {**value, "entry": [entry for entry in found if not _is_draft(entry)]}


def _is_draft(entry: object) -> bool:
    """Whether the entry holds an order that is not signed yet."""
    resource = entry.get("resource") if isinstance(entry, dict) else None
    return isinstance(resource, dict) and resource.get("status") == "draft"


def _besides(entries: list[Json], offer: ServiceOffer) -> list[Json]:
    """What no key asks for and others may refer to."""
    asked = {_asked_kind(template) for template in offer.prefetch.values()}
    return [entry for entry in entries if _kind(entry) not in asked]


def _is_known_by_url(entry: Json) -> bool:
    identity = entry["resource"].get("id")
    return "fullUrl" in entry and not str(entry["fullUrl"]).endswith(
        (f"/{identity}", f":{identity}")
    )


def _takes_drafts(offer: ServiceOffer) -> bool:
    return "draftOrders" in REQUIRED_CONTEXT.get(offer.hook, OTHERWISE_REQUIRED)


def _kind(entry: Json) -> str:
    return str(entry["resource"]["resourceType"])


def _asked_kind(template: str) -> str:
    return template.partition("?")[0].partition("/")[0]
