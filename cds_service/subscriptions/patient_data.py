# SPDX-License-Identifier: Apache-2.0
"""What is known of a patient when a result arrives, read by the queries of the hooks.

A patient on a server → a `HookRequest` that nobody sent, with everything its prefetch would bring.
Every answer is kept as it came, so that the decision can be derived again without the server.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final, TypeVar
from urllib.parse import quote

from msgspec import Raw, Struct, structs

from cds_service.clock import NO_DEADLINE, Deadline
from cds_service.copying import replace
from cds_service.fhir.bundles import Fetched
from cds_service.fhir.decode import read_loosely
from cds_service.fhir.elements import NOTHING, was_sent
from cds_service.fhir.references import parts_of
from cds_service.fhir.resources import Entry, Observation
from cds_service.fhir_client.client import Access, NoToken, Page, QueryResult
from cds_service.fhir_client.failures import QueryFailure
from cds_service.fhir_client.prefetch_completion import (
    WHOLE,
    WHOLE_WITHOUT,
    Completer,
    QueryClient,
)
from cds_service.fhir_client.servers import Server
from cds_service.hooks.request import HookRequest
from cds_service.iso_times import moment_of
from cds_service.prefetch_keys import OBSERVATIONS, PATIENT
from cds_service.subscriptions.work import Item, Retry

_K = TypeVar("_K", bound=Hashable)
_BETWEEN: Final = re.compile(r"[?&=,]|%2C")
_BOM: Final = b"\xef\xbb\xbf"
# Another time may give what these kept back; what the other failures hide stays not known.
_PASSING: Final = frozenset(("unreachable", "late", "busy", "broken", "token-over", "unauthorized"))
# FHIR R4, "Observation.status": of results that never were, or that no longer hold.
_TAKEN_BACK: Final = frozenset(("entered-in-error", "cancelled"))
_PATIENT_WAIT: Final = timedelta(hours=1)
_NEEDED: Final = (OBSERVATIONS, PATIENT)
_ENOUGH: Final = frozenset((WHOLE, WHOLE_WITHOUT, "too-many-pages", "too-long"))


class RecordedAnswer(Struct, frozen=True, omit_defaults=True):
    """The answer of a server to one query, as it came."""

    query: str
    pages: tuple[Raw, ...] = ()
    failure: QueryFailure | None = None
    ignored: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()


class ArrivedVersion(Struct, frozen=True, omit_defaults=True):
    """A result that arrived: its reference, and what is known of it without a query.

    `withdrawn`: it may take back what an earlier version said, so that older results count again.
    """

    reference: str
    version: str = ""
    gone: bool = False
    body: Raw = NOTHING
    withdrawn: bool = False


def arrived_version(item: Item) -> ArrivedVersion:
    """An item of the inbox as what arrived."""
    body = NOTHING if item.body is None else Raw(item.body)
    return ArrivedVersion(
        reference=item.reference,
        version=item.version,
        gone=item.gone,
        body=body,
        withdrawn=takes_back(body),
    )


class AnswerNotRecorded(Exception):
    """The recorded answers lack one to a query that is asked today."""

    def __init__(self) -> None:
        super().__init__("What was read then does not answer the queries of today.")


@dataclass(frozen=True, slots=True)
class RecordingClient:
    """Asks by another client and keeps each answer. Thread-safe."""

    client: QueryClient
    answers: dict[str, RecordedAnswer] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def ask(self, access: Access, query: str, deadline: Deadline) -> QueryResult:
        """As the other client does."""
        return self._kept(query, self.client.ask(access, query, deadline))

    def more(self, access: Access, next_page: str, deadline: Deadline) -> QueryResult:
        """As the other client does."""
        return self._kept(next_page, self.client.more(access, next_page, deadline))

    def in_parallel(
        self, jobs: Mapping[_K, Callable[[], QueryResult]], deadline: Deadline
    ) -> dict[_K, QueryResult]:
        """As the other client does."""
        return self.client.in_parallel(jobs, deadline)

    def _kept(self, query: str, result: QueryResult) -> QueryResult:
        answer = RecordedAnswer(
            query=query,
            pages=tuple(Raw(page.body.removeprefix(_BOM)) for page in result.pages),
            failure=result.failure,
            ignored=result.ignored,
            left_out=result.left_out,
        )
        with self._lock:
            self.answers[query] = answer
        return result


@dataclass(frozen=True, slots=True)
class RecordedAnswers:
    """Answers as a server gave them in the past.

    What was not asked then is answered by what was asked of the same type and is most like it.
    """

    answers: Mapping[str, RecordedAnswer]

    def ask(self, access: Access, query: str, deadline: Deadline) -> QueryResult:  # noqa: ARG002 - nobody is asked
        """The answer to this query then."""
        kept = self.answers.get(query) or self._most_like(query)
        return QueryResult(
            pages=tuple(_page(body) for body in kept.pages),
            failure=kept.failure,
            ignored=kept.ignored,
            left_out=kept.left_out,
        )

    def _most_like(self, query: str) -> RecordedAnswer:
        same = [answer for answer in self.answers if _type_in(answer) == _type_in(query)]
        if not same:
            return RecordedAnswer(query=query, failure="not-allowed")
        return self.answers[max(same, key=lambda answer: len(_words_of(answer) & _words_of(query)))]

    def more(self, access: Access, next_page: str, deadline: Deadline) -> QueryResult:
        """The answer to the query of this address then."""
        return self.ask(access, next_page, deadline)

    def in_parallel(
        self,
        jobs: Mapping[_K, Callable[[], QueryResult]],
        deadline: Deadline,  # noqa: ARG002 - nobody is asked
    ) -> dict[_K, QueryResult]:
        """Every answer, one after another."""
        return {key: job() for key, job in jobs.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientReader:
    """Reads what rules need to know of a patient; limits as those of a hook's prefetch."""

    client: QueryClient
    max_depth: int
    max_entries: int

    def read(
        self,
        access: Access,
        patient: str,
        hook: str,
        templates: Mapping[str, str],
        deadline: Deadline,
    ) -> HookRequest:
        """The request; raises `Retry` if another time is likely to give more."""
        completer = Completer(
            client=self.client, max_depth=self.max_depth, max_entries=self.max_entries
        )
        nothing = HookRequest(
            hook=hook, hook_instance="", patient_id=patient, fhir_server=access.server.base
        )
        found = completer.complete(nothing, templates, access, deadline, {})
        if found.fetched.get(PATIENT) == "not-found":  # it may be stored after the result
            raise Retry("no-such-patient", within=_PATIENT_WAIT)
        for key, outcome in found.fetched.items():
            if outcome in _PASSING or (key in _NEEDED and outcome not in _ENOUGH):
                raise Retry(outcome)
        return found


def confirmed(
    client: QueryClient,
    access: Access,
    patient: str,
    arrived: Sequence[ArrivedVersion],
    request: HookRequest,
    deadline: Deadline,
    *,
    again: bool,
) -> tuple[ArrivedVersion, ...]:
    """What arrived, where a search does not show it as a read does; raises `Retry`.

    It may have been deleted or moved to another patient since. With `again` a 404 is a `Retry` too.
    """
    seen = {
        f"Observation/{entry.resource.id}"
        for answer in request.prefetch.values()
        for entry in answer.entries
        if isinstance(entry.resource, Observation)
    }

    def read(version: ArrivedVersion) -> ArrivedVersion:
        if version.reference in seen or _observation(version) is None:
            return version
        kind, _, identity = version.reference.partition("/")
        found = client.ask(access, f"{kind}/{quote(identity, safe='')}", deadline)
        if found.failure in _PASSING:
            raise Retry(found.failure or "")
        if found.failure == "not-found" and again and not found.is_gone:
            raise Retry("not-found")  # a copy of the server may be behind
        resource = found.pages[0].resource if found.pages else None
        is_elsewhere = isinstance(resource, Observation) and _is_of_another(resource, patient)
        if found.failure == "not-found" or is_elsewhere:
            return structs.replace(version, gone=True, withdrawn=True)
        return version

    return tuple(read(version) for version in arrived)


def _is_of_another(resource: Observation, patient: str) -> bool:
    reference = resource.subject.reference if resource.subject else None
    there = parts_of(reference or "")
    return bool(reference) and there.kind == "Patient" and there.id != patient


def read_again(
    answers: Iterable[RecordedAnswer],
    server: str,
    patient: str,
    hook: str,
    templates: Mapping[str, str],
) -> HookRequest:
    """The request that these answers made; the limits of its reading are in them already.

    Raises `AnswerNotRecorded` where the queries of today ask for what was not read then.
    """
    kept = RecordedAnswers({answer.query: answer for answer in answers})
    reader = PatientReader(client=kept, max_depth=64, max_entries=1_000_000)
    access = Access(Server(base=server), NoToken())
    try:
        return reader.read(access, patient, hook, templates, NO_DEADLINE)
    except Retry:
        raise AnswerNotRecorded from None


def _type_in(query: str) -> str:
    return query.partition("?")[0].partition("/")[0]


def _words_of(query: str) -> set[str]:
    return set(_BETWEEN.split(query))


def with_arrived(request: HookRequest, arrived: Iterable[ArrivedVersion]) -> HookRequest:
    """The request with each result in its newest version: a server's index may be late.

    A result that is gone is left out though a search still finds it.
    """
    newest = {version.reference: version for version in arrived}
    seen: set[str] = set()
    prefetch: dict[str, Fetched] = {}
    for key, answer in request.prefetch.items():
        entries = tuple(_newest_of(answer.entries, newest, seen))
        if entries != answer.entries:
            answer = replace(answer, entries=entries, state="found" if entries else "nothing")  # noqa: PLW2901
        prefetch[key] = answer
    late = tuple(
        Entry(resource=observation)
        for reference, version in newest.items()
        if reference not in seen and (observation := _observation(version)) is not None
    )
    results = prefetch.get(OBSERVATIONS)
    if late and results is not None and results.state != "failed":
        entries = (*results.entries, *late)
        prefetch[OBSERVATIONS] = replace(results, entries=entries, state="found")
    return replace(request, prefetch=prefetch)


def takes_back(body: Raw) -> bool:
    """Whether a version of a result says that it does not count."""
    if not was_sent(body):
        return False
    resource, _ = read_loosely(body, "$")
    return isinstance(resource, Observation) and resource.status in _TAKEN_BACK


def _newest_of(
    entries: Iterable[Entry], newest: Mapping[str, ArrivedVersion], seen: set[str]
) -> Iterator[Entry]:
    for entry in entries:
        resource = entry.resource
        reference = f"Observation/{resource.id}" if isinstance(resource, Observation) else ""
        arrived = newest.get(reference)
        if arrived is None:
            yield entry
            continue
        seen.add(reference)
        sent = _observation(arrived)
        if isinstance(resource, Observation) and sent is not None and _is_newer(sent, resource):
            yield Entry(full_url=entry.full_url, resource=sent, search=entry.search)
        elif not arrived.gone:
            yield entry


def _observation(arrived: ArrivedVersion) -> Observation | None:
    if arrived.gone or not was_sent(arrived.body):
        return None
    resource, _ = read_loosely(arrived.body, "$")
    return resource if isinstance(resource, Observation) else None


def _is_newer(observation: Observation, other: Observation) -> bool:
    """Whether the one is a newer version than the other: by its number, else by its time."""
    first, second = (each.meta.version_id if each.meta else None for each in (observation, other))
    if first and second and first.isdigit() and second.isdigit():
        return int(first) > int(second)
    begun, ended = (_updated(each) for each in (observation, other))
    return begun is not None and ended is not None and begun > ended


def _updated(resource: Observation) -> datetime | None:
    try:
        found = moment_of((resource.meta and resource.meta.last_updated) or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _page(body: Raw) -> Page:
    resource, unreadable = read_loosely(body, "$")
    if resource is None:
        message = "a page that was read once is readable"
        raise ValueError(message)
    return Page(body=bytes(body), resource=resource, unreadable=unreadable)
