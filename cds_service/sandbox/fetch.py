# SPDX-License-Identifier: Apache-2.0
"""What a service wants to know of a patient, asked of a FHIR server as a CDS Client asks.

Each prefetch template becomes a query. What comes is handed on as it came, the pages of a search
as one Bundle; what could not be had stays absent, and the query says why.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import quote

from cds_service.clock import Deadline
from cds_service.errors import Forbidden, PayloadTooLarge, RequestError
from cds_service.fhir.bundles import fetched, next_of
from cds_service.fhir.resources import Bundle, Entry
from cds_service.fhir_client.client import Access, FhirClient, NoToken, QueryResult
from cds_service.fhir_client.failures import QUERY_FAILURES
from cds_service.fhir_client.queries import expanded
from cds_service.fhir_client.references import MOST, is_named, unresolved
from cds_service.fhir_client.servers import Servers
from cds_service.outgoing.address_policy import url_problem
from cds_service.sandbox.raw_json import Json, decoded, items, resource_in

_MOST_BUNDLES: Final = 16
_UNFILLED: Final = "the template holds a token that this hook does not give"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query that was asked of the server, and how it ended.

    `failure` is a word of `QUERY_FAILURES`, and `because` what it means.
    """

    key: str
    query: str
    url: str = ""
    resources: int = 0
    pages: int = 0
    failure: str = ""
    because: str = ""
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The prefetch of a request, by key, and how each query ended."""

    prefetch: Mapping[str, Json]
    queries: tuple[Query, ...]

    @property
    def is_nothing(self) -> bool:
        """Whether the patient is not there, or no query was answered."""
        failed = all(query.failure for query in self.queries)
        return bool(self.queries) and (failed or any(map(lacks_patient, self.queries)))


def gather(
    client: FhirClient,
    access: Access,
    templates: Mapping[str, str],
    tokens: Mapping[str, str],
    deadline: Deadline,
) -> Gathered:
    """The answers to the templates, asked at the same time."""
    filled = {key: expanded(template, tokens) for key, template in templates.items()}
    asked = {key: query for key, query in filled.items() if query is not None}
    answers = ask_all(client, access, asked, deadline)
    prefetch = {key: joined(answer) for key, answer in answers.items() if answer.pages}
    # The service would read them itself; a page of an EHR has them included.
    names = _referred(answers.values(), access.server.base)
    read = ask_all(client, access, {name: name for name in names}, deadline)
    queries = [
        *((key, filled[key] or template, answers.get(key)) for key, template in templates.items()),
        *((name, name, answer) for name, answer in read.items()),
    ]
    return Gathered(
        prefetch=_with_included(prefetch, read, access.server.base),
        queries=tuple(query_report(*query, access.server.base) for query in queries),
    )


def lacks_patient(query: Query) -> bool:
    """Whether the query was for the patient, and the server has no such one."""
    return query.query.startswith("Patient/") and query.failure == "not-found"


def open_access(servers: Servers, base: str) -> Access:
    """The server, if it may be asked without a token; raises `Forbidden` and `RequestError`."""
    server = servers.find(base)
    if server is None or not (server.anonymous or servers.development):
        raise Forbidden(
            "This FHIR server may not be asked from here. The administrator can list it in "
            "CDS_FHIR_SERVERS with 'anonymous: yes'."
        )
    if problem := url_problem(base, server.policy):
        raise RequestError(f"Expected the base URL of a FHIR server; {problem}.")
    return Access(server=server, bearer=NoToken())


def _referred(results: Iterable[QueryResult], base: str) -> list[str]:
    """`Type/id` of the medicines and specimens that are only referred to."""
    entries: list[Entry] = []
    for page in (page for answer in results for page in answer.pages):
        with suppress(PayloadTooLarge):  # Bundles in Bundles without end: the service says so
            entries.extend(fetched(page.resource, _MOST_BUNDLES).entries)
    missing = unresolved(entries, base)
    return [name for kind, names in missing.items() for name in names[: MOST[kind]]]


def _with_included(
    prefetch: dict[str, Json], read: Mapping[str, QueryResult], base: str
) -> dict[str, Json]:
    """The prefetch with what was read, as entries of its first Bundle."""
    included = [
        {"fullUrl": f"{base}/{name}", "resource": decoded(answer.pages[0].body)}
        | {"search": {"mode": "include"}}
        for name, answer in read.items()
        if answer.pages and is_named(answer.pages[0].resource, name)
    ]
    place = next((key for key, value in prefetch.items() if "entry" in value), None)
    if place is None or not included:
        return prefetch
    whole = prefetch[place]
    return {**prefetch, place: {**whole, "entry": [*whole["entry"], *included]}}


def ask_all(
    client: FhirClient, access: Access, queries: Mapping[str, str], deadline: Deadline
) -> dict[str, QueryResult]:
    """The answers to the queries, by their keys, asked at the same time."""
    return client.in_parallel(
        {key: partial(client.ask, access, query, deadline) for key, query in queries.items()},
        deadline,
    )


def joined(result: QueryResult) -> Json:
    """Everything that came, as one resource.

    If pages are missing it keeps the link to the next one, so that the service sees a part.
    """
    pages: list[Json] = [decoded(page.body) for page in result.pages]
    last = result.pages[-1].resource
    if not isinstance(last, Bundle):
        return pages[-1]
    entries = [entry for page in pages for entry in items(page.get("entry"))]
    whole: Json = {"resourceType": "Bundle", "type": "searchset"}
    if result.failure and (next_page := next_of(last)):
        whole["link"] = [{"relation": "next", "url": next_page}]
    return {**whole, "entry": entries} if entries else whole


def resources_in(result: QueryResult) -> list[Json]:
    """The resources that came, in their order."""
    whole = joined(result) if result.pages else {}
    if whole.get("resourceType") != "Bundle":
        return [whole] if whole else []
    entries = (item for item in items(whole.get("entry")) if isinstance(item, dict))
    held = (resource_in(entry.get("resource")) for entry in entries)
    return [resource for resource in held if resource is not None]


def url_of(base: str, query: str) -> str:
    """The whole address of a query, as it can be typed elsewhere."""
    return f"{base}/{quote(query, safe='/?&=,:%$._~+-')}"


def query_report(key: str, query: str, result: QueryResult | None, base: str) -> Query:
    """How the query ended; without an answer it was not asked."""
    if result is None:
        return Query(key=key, query=query, failure="not-asked", because=_UNFILLED)
    failure = result.failure or ""
    return Query(
        key=key,
        query=query,
        url=url_of(base, query),
        resources=len(resources_in(result)),
        pages=len(result.pages),
        failure=failure,
        because=QUERY_FAILURES[failure] if failure else "",
        ignored=tuple(sorted(result.ignored)),
    )
