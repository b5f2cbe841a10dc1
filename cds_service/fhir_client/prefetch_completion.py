# SPDX-License-Identifier: Apache-2.0
"""A hook call that brought a part -> the call with what its FHIR server has of the rest.

CDS Hooks 2.0.1, "Prefetch Template": the service compares what came with what it asked for. A key
that is absent is asked for; one that is null, empty or failed was asked for by the client and is
not asked for again; a first page is followed. Then medicines and specimens that are only referred
to are read. What cannot be had stays missing, and is said on the card or is a 412.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from cds_service.clock import Deadline
from cds_service.errors import PayloadTooLarge
from cds_service.fhir.bundles import FAILED, Fetched, fetched, joined
from cds_service.fhir.decode import Unreadable
from cds_service.fhir.elements import Reference
from cds_service.fhir.resources import Patient
from cds_service.fhir_client.client import Access, FhirClient, Found
from cds_service.fhir_client.references import KEYS, MOST, read_of, unresolved
from cds_service.fhir_client.templates import expanded
from cds_service.hooks.request import HookRequest
from cds_service.intake.subjects import Subjects
from cds_service.prefetch_keys import kinds_of_key
from cds_service.sources.hook_request import kinds_sent

WHOLE: Final = "whole"
_NEXT: Final = "next:"

Jobs = dict[str, Callable[[], Found]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completer:
    """Completes calls; `max_depth` is that of Bundles in Bundles, `max_entries` of one query."""

    client: FhirClient
    max_depth: int
    max_entries: int

    def complete(
        self,
        request: HookRequest,
        templates: Mapping[str, str],
        access: Access,
        deadline: Deadline,
        keys: Mapping[str, str],
    ) -> HookRequest:
        """The request with everything in its prefetch that the server has of it, in time.

        `templates` are those of discovery; `keys` gives the key of discovery for what the client
        calls otherwise.
        """
        answers = self.client.at_once(
            self._missing(request, templates, access, deadline, keys), deadline
        )
        for key, found in answers.items():
            request = self._with(request, key, found)
        return self._with_referred(request, access, deadline)

    def _missing(
        self,
        request: HookRequest,
        templates: Mapping[str, str],
        access: Access,
        deadline: Deadline,
        keys: Mapping[str, str],
    ) -> Jobs:
        """What to ask for: the keys that are absent, and the next pages of those that are not."""
        sent = kinds_sent(request, keys)
        tokens = {"context.patientId": request.patient_id}
        jobs: Jobs = {}
        for key, template in templates.items():
            query = expanded(template, tokens)
            if query is not None and sent.isdisjoint(kinds_of_key(key)):
                jobs[key] = partial(self.client.ask, access, query, deadline)
        for key, one in request.prefetch.items():
            if one.next_page is not None:
                jobs[_NEXT + key] = partial(self.client.more, access, one.next_page, deadline)
        return jobs

    def _with(self, request: HookRequest, key: str, found: Found) -> HookRequest:
        """The request with what one query brought."""
        name = key.removeprefix(_NEXT)
        first = [request.prefetch[name]] if name != key else []
        pages, failure = self._pages(found, request)
        whole = failure is None
        if failure == "other-patient" or (not whole and "_sort" in found.ignored):
            # The rest may be the newest: a part that is in no order tells of nothing.
            pages = [FAILED]
        answer = joined([*first, *pages], whole=whole) if first or pages else FAILED
        # Under a name of its own, so that nothing the client sent is lost.
        place = f"({name})" if name == key and name in request.prefetch else name
        unreadable: tuple[Unreadable, ...] = tuple(
            replace(one, where=one.where.replace("$", f"$.prefetch.{name}", 1))
            for page in found.pages
            for one in page.unreadable
        )
        return replace(
            request,
            prefetch={**request.prefetch, place: answer},
            unreadable=(*request.unreadable, *unreadable),
            fetched={**request.fetched, name: failure or WHOLE},
        )

    def _pages(self, found: Found, request: HookRequest) -> tuple[list[Fetched], str | None]:
        """What each page holds, and why not all of it is there or may be used."""
        try:
            pages = [fetched(page.resource, self.max_depth) for page in found.pages]
        except PayloadTooLarge:  # the server's Bundles, not the sender's: no error of the call
            return [], "not-fhir"
        if any(_is_of_another(page, request) for page in pages):
            return [], "other-patient"
        if sum(len(page.entries) for page in pages) > self.max_entries:
            return [], "too-long"
        return pages, found.failure

    def _with_referred(
        self, request: HookRequest, access: Access, deadline: Deadline
    ) -> HookRequest:
        """The request with the medicines and specimens that are referred to and were not sent."""
        entries = [entry for one in request.prefetch.values() for entry in one.entries]
        drafts = request.draft_orders or ()
        missing = unresolved([*entries, *drafts], access.server.base)
        chosen = [name for kind, names in missing.items() for name in names[: MOST[kind]]]
        if not chosen:
            return request
        jobs: Jobs = {name: partial(self.client.ask, access, name, deadline) for name in chosen}
        answers = self.client.at_once(jobs, deadline)
        prefetch, outcomes = dict(request.prefetch), dict(request.fetched)
        for kind, names in missing.items():
            if names:
                read = [(name, answers[name]) for name in names if name in answers]
                found, outcome = read_of(read, access.server.base, cut=len(read) < len(names))
                prefetch[KEYS[kind]], outcomes[KEYS[kind].strip("()")] = found, outcome or WHOLE
        return replace(request, prefetch=prefetch, fetched=outcomes)


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
