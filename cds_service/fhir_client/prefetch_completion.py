# SPDX-License-Identifier: Apache-2.0
"""Complete a hook request's prefetch from its FHIR server.

CDS Hooks 2.0.1, "Prefetch Template": a key that is absent is queried; one that is null, empty or
failed was queried by the client and is not queried again; a first page is followed by the rest.
Then medicines and specimens that are only referred to are read. What the server does not send stays
missing: a card names it, or the response is a 412.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeAlias, TypeVar

from cds_service.clock import Deadline
from cds_service.copying import replace
from cds_service.errors import PayloadTooLarge
from cds_service.fhir.bundles import FAILED, Fetched, fetched, joined, unreadable_entries
from cds_service.fhir.decode import Unreadable
from cds_service.fhir.elements import Reference
from cds_service.fhir.resources import Entry, Patient
from cds_service.fhir_client.client import Access, QueryResult
from cds_service.fhir_client.failures import QueryFailure
from cds_service.fhir_client.queries import expanded
from cds_service.fhir_client.references import KEYS, MOST, read_of, unresolved
from cds_service.hooks.request import HookRequest
from cds_service.intake.subjects import Subjects
from cds_service.prefetch_keys import kinds_of_key
from cds_service.sources.hook_request import kinds_sent

# Beside the codes of `QueryFailure`, how a query may end: with all of it, also if the server was
# asked again because it refused to sort, or to send so many at once.
WHOLE: Final = "whole"
WHOLE_WITHOUT: Final = "whole-without-parameters"

_K = TypeVar("_K", bound=Hashable)


class _Gap(NamedTuple):
    """What the prefetch of a call lacks: all of a key, or the `rest` after a first page."""

    key: str
    rest: bool = False


_Jobs: TypeAlias = dict[_Gap, Callable[[], QueryResult]]


class QueryClient(Protocol):
    """What queries are sent by: `FhirClient`, or what keeps its answers."""

    def ask(self, access: Access, query: str, deadline: Deadline) -> QueryResult:
        """The result of a relative query."""

    def more(self, access: Access, next_page: str, deadline: Deadline) -> QueryResult:
        """The pages of a search from a `next` link on."""

    def in_parallel(
        self, jobs: Mapping[_K, Callable[[], QueryResult]], deadline: Deadline
    ) -> dict[_K, QueryResult]:
        """The results of several independent queries, by their keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completer:
    """Completes hook requests.

    `max_depth` limits Bundles within Bundles, `max_entries` the resources of one query.
    """

    client: QueryClient
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
        """The request with what its prefetch lacks, as far as the server sends it in time.

        `templates` are those of discovery; `keys` gives the key of discovery for what the client
        calls otherwise. `fetched` of the result says how each query ended.
        """
        jobs = self._jobs(request, templates, access, deadline, keys)
        results = self.client.in_parallel(jobs, deadline)
        request = _without_faults_of(results, request, keys)
        for gap, result in results.items():
            request = self._filled(request, gap, result)
        return self._with_referred(request, access, deadline)

    def is_whole(
        self,
        request: HookRequest,
        templates: Mapping[str, str],
        access: Access,
        deadline: Deadline,
        keys: Mapping[str, str],
    ) -> bool:
        """Whether `complete` would ask for nothing, so that the request is what it gives back."""
        return not self._jobs(request, templates, access, deadline, keys) and not any(
            unresolved(_entries_of(request), access.server.base).values()
        )

    def _jobs(
        self,
        request: HookRequest,
        templates: Mapping[str, str],
        access: Access,
        deadline: Deadline,
        keys: Mapping[str, str],
    ) -> _Jobs:
        """A query for each key that is absent, and for the next page of each that is not whole."""
        sent = kinds_sent(request, keys)
        tokens = {"context.patientId": request.patient_id}
        jobs: _Jobs = {}
        for key, template in templates.items():
            query = expanded(template, tokens)
            if query is not None and sent.isdisjoint(kinds_of_key(key)):
                jobs[_Gap(key)] = partial(self.client.ask, access, query, deadline)
        for key, part in request.prefetch.items():
            if part.next_page is not None:
                jobs[_Gap(key, rest=True)] = partial(
                    self.client.more, access, part.next_page, deadline
                )
        return jobs

    def _filled(self, request: HookRequest, gap: _Gap, result: QueryResult) -> HookRequest:
        """The request with the result of one query."""
        pages, failure = self._pages(result, request)
        if failure == "other-patient" or (failure is not None and "_sort" in result.ignored):
            # Pages in no order may lack the newest result, so none of them is used.
            pages = [FAILED]
        if gap.rest:
            key, parts = gap.key, [request.prefetch[gap.key], *pages]
        else:
            # What the client sent under this key is of another kind, and stays.
            key = own_key(gap.key) if gap.key in request.prefetch else gap.key
            parts = pages or [FAILED]
        unreadable: tuple[Unreadable, ...] = tuple(
            replace(fault, where=fault.where.replace("$", f"$.prefetch.{gap.key}", 1), key=gap.key)
            for page in result.pages
            for fault in page.unreadable
        )
        answer = joined(parts, whole=failure is None)
        empty = (
            fault
            for page in pages
            for fault in unreadable_entries(page, f"$.prefetch.{gap.key}", gap.key)
        )
        return replace(
            request,
            prefetch={**request.prefetch, key: answer},
            unreadable=(*request.unreadable, *unreadable, *empty),
            fetched={**request.fetched, gap.key: failure or _whole(result)},
        )

    def _pages(
        self, result: QueryResult, request: HookRequest
    ) -> tuple[list[Fetched], QueryFailure | None]:
        """The content of each page, and why it is incomplete or not used."""
        try:
            pages = [fetched(page.resource, self.max_depth) for page in result.pages]
        except PayloadTooLarge:  # the server's Bundles, not the client's: no error of the call
            return [], "not-fhir"
        if any(_is_of_another(page, request) for page in pages):
            return [], "other-patient"
        if sum(len(page.entries) for page in pages) > self.max_entries:
            return [], "too-long"
        return pages, result.failure

    def _with_referred(
        self, request: HookRequest, access: Access, deadline: Deadline
    ) -> HookRequest:
        """The request with the medicines and specimens that it refers to and does not contain."""
        missing = unresolved(_entries_of(request), access.server.base)
        chosen = [name for kind, names in missing.items() for name in names[: MOST[kind]]]
        if not chosen:
            return request
        jobs = {name: partial(self.client.ask, access, name, deadline) for name in chosen}
        results = self.client.in_parallel(jobs, deadline)
        prefetch, outcomes = dict(request.prefetch), dict(request.fetched)
        for kind, names in missing.items():
            if names:
                read = [(name, results[name]) for name in names if name in results]
                part, failure = read_of(read, access.server.base, cut=len(read) < len(names))
                prefetch[own_key(KEYS[kind])] = part
                outcomes[KEYS[kind]] = failure or WHOLE
        return replace(request, prefetch=prefetch, fetched=outcomes)


def _entries_of(request: HookRequest) -> list[Entry]:
    entries = [entry for part in request.prefetch.values() for entry in part.entries]
    return [*entries, *(request.draft_orders or ())]


def _without_faults_of(
    results: Mapping[_Gap, QueryResult], request: HookRequest, keys: Mapping[str, str]
) -> HookRequest:
    """The request without the faults of values that the server gave whole in their place."""
    replaced = {gap.key for gap, result in results.items() if not gap.rest and not result.failure}
    kinds = frozenset().union(*(kinds_of_key(key) for key in replaced))

    def is_replaced(fault: Unreadable) -> bool:
        asked = kinds_of_key(keys.get(fault.key, fault.key))
        return fault.key not in request.prefetch and bool(asked) and asked <= kinds

    kept = tuple(fault for fault in request.unreadable if not is_replaced(fault))
    return replace(request, unreadable=kept)


def own_key(name: str) -> str:
    """A prefetch key for what the service fetched beside a key that the client may have sent."""
    return f"({name})"


def _whole(result: QueryResult) -> str:
    return WHOLE_WITHOUT if result.left_out else WHOLE


def _is_of_another(page: Fetched, request: HookRequest) -> bool:
    """Whether a page holds anything of another patient than the one queried."""
    subjects = Subjects(request.patient_id, (), request.fhir_server)
    for entry in page.entries:
        resource = entry.resource
        if isinstance(resource, Patient) and resource.id not in {None, request.patient_id}:
            return True
        subject = getattr(resource, "subject", None)
        if isinstance(subject, Reference) and subjects.owner(subject) == "another":
            return True
    return False
