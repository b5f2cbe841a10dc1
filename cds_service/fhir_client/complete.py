# SPDX-License-Identifier: Apache-2.0
"""A hook call that brought a part -> the call with what its FHIR server has of the rest.

CDS Hooks 2.0.1, "Prefetch Template": the service compares what came with what it asked for. A key
that is absent is asked for; one that is null, empty or failed was asked for by the client and is
not asked for again; a first page is followed. Then medicines and specimens that are only referred
to are read. What cannot be had stays missing, and is said on the card or is a 412.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from urllib.parse import quote

from cds_service.clock import Left
from cds_service.errors import PayloadTooLarge
from cds_service.fhir.bundles import FAILED, Fetched, fetched, joined
from cds_service.fhir.decode import Unreadable
from cds_service.fhir.elements import Reference
from cds_service.fhir.resources import (
    Entry,
    MedicationRequest,
    MedicationStatement,
    Observation,
    Patient,
)
from cds_service.fhir_client.client import Access, FhirClient, Found
from cds_service.fhir_client.templates import expanded
from cds_service.hooks.request import HookRequest
from cds_service.intake.material import kinds_of_key, kinds_sent
from cds_service.intake.shelves import Shelves
from cds_service.intake.subjects import Subjects, parts_of

WHOLE: Final = "whole"
REFERRED: Final = "referred"  # the key of what was read because something refers to it
_MOST_REFERRED: Final = 50
READ: Final = ("Medication", "Specimen")
_NEXT: Final = "next:"

Jobs = dict[str, Callable[[], Found]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completer:
    """Completes calls; `max_depth` is that of Bundles in Bundles."""

    client: FhirClient
    max_depth: int

    def complete(
        self,
        request: HookRequest,
        templates: Mapping[str, str],
        access: Access,
        left: Left,
        keys: Mapping[str, str],
    ) -> HookRequest:
        """The request with everything in its prefetch that the server has of it, in time.

        `templates` are those of discovery; `keys` gives the key of discovery for what the client
        calls otherwise.
        """
        answers = self.client.at_once(self._missing(request, templates, access, left, keys), left)
        for key, found in answers.items():
            request = self._with(request, key, found)
        return self._with_referred(request, access, left)

    def _missing(
        self,
        request: HookRequest,
        templates: Mapping[str, str],
        access: Access,
        left: Left,
        keys: Mapping[str, str],
    ) -> Jobs:
        """What to ask for: the keys that are absent, and the next pages of those that are not."""
        sent = kinds_sent(request, keys)
        tokens = {"context.patientId": request.patient_id}
        jobs: Jobs = {}
        for key, template in templates.items():
            query = expanded(template, tokens)
            if query is not None and sent.isdisjoint(kinds_of_key(key)):
                jobs[key] = partial(self.client.ask, access, query, left)
        for key, one in request.prefetch.items():
            if one.next_page is not None:
                jobs[_NEXT + key] = partial(self.client.more, access, one.next_page, left)
        return jobs

    def _with(self, request: HookRequest, key: str, found: Found) -> HookRequest:
        """The request with what one query brought."""
        name = key.removeprefix(_NEXT)
        pages = [request.prefetch[name]] if name != key else []
        failure = found.failure
        try:
            pages.extend(fetched(page.resource, self.max_depth) for page in found.pages)
        except PayloadTooLarge:  # the server's Bundles, not the sender's: no error of the call
            failure = "not-fhir"
        whole = failure is None
        answer = joined(pages, whole=whole) if pages else FAILED
        if _is_of_another(answer, request):
            answer, failure = FAILED, "other-patient"
        elif not whole and "_sort" in found.ignored:
            # The rest may be the newest: a part that is in no order tells of nothing.
            answer = FAILED
        unreadable: tuple[Unreadable, ...] = tuple(
            replace(one, where=one.where.replace("$", f"$.prefetch.{name}", 1))
            for page in found.pages
            for one in page.unreadable
        )
        return replace(
            request,
            prefetch={**request.prefetch, name: answer},
            unreadable=(*request.unreadable, *unreadable),
            fetched={**request.fetched, name: failure or WHOLE},
        )

    def _with_referred(self, request: HookRequest, access: Access, left: Left) -> HookRequest:
        """The request with the medicines and specimens that are referred to and were not sent."""
        entries = [entry for one in request.prefetch.values() for entry in one.entries]
        drafts = request.draft_orders or ()
        missing = _unresolved([*entries, *drafts], access.server.base)
        if not missing:
            return request
        jobs: Jobs = {
            name: partial(self.client.ask, access, name, left) for name in missing[:_MOST_REFERRED]
        }
        answers = self.client.at_once(jobs, left)
        found = tuple(
            Entry(full_url=f"{access.server.base}/{name}", resource=page.resource)
            for name, answer in answers.items()
            for page in answer.pages
        )
        failures = [answer.failure for answer in answers.values() if answer.failure]
        return replace(
            request,
            prefetch={**request.prefetch, REFERRED: Fetched(state="found", entries=found)},
            fetched={**request.fetched, REFERRED: failures[0] if failures else WHOLE},
        )


def _is_of_another(answer: Fetched, request: HookRequest) -> bool:
    """Whether the server sent anything of another patient in answer to a query about this one."""
    subjects = Subjects(request.patient_id, (), request.fhir_server)
    for entry in answer.entries:
        resource = entry.resource
        if isinstance(resource, Patient) and resource.id not in {None, request.patient_id}:
            return True
        subject = getattr(resource, "subject", None)
        if isinstance(subject, Reference) and subjects.owner(subject) == "another":
            return True
    return False


def _unresolved(entries: Iterable[Entry], base: str) -> list[str]:
    """`Type/id` of every medicine and specimen on this server that is referred to only."""
    listed = list(entries)
    shelves = Shelves(listed)
    names: dict[str, None] = {}
    for entry in listed:
        resource = entry.resource
        if isinstance(resource, MedicationRequest | MedicationStatement):
            reference = resource.medication_reference
        elif isinstance(resource, Observation):
            reference = resource.specimen
        else:
            continue
        if shelves.referred(reference, resource.contained) is None:
            parts = parts_of((reference.reference if reference else None) or "")
            if parts.kind in READ and parts.id and (not parts.base or _is_of(parts.base, base)):
                names[f"{parts.kind}/{quote(parts.id, safe='')}"] = None
    return list(names)


def _is_of(base: str, server: str) -> bool:
    return server.partition("://")[2].lower() == base
