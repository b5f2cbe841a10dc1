# SPDX-License-Identifier: Apache-2.0
"""Searches and reads on a FHIR server: all pages of the result, or a code for why not.

Only GET requests are sent, so each may be repeated: a few times, with growing pauses, before the
deadline. A token is sent to the server it is for and to no other; the next page of a search is
requested only there (SMART App Launch 2.2, "Backend Services": tokens are not forwarded).
"""

import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from random import uniform
from threading import Lock
from time import sleep
from typing import TYPE_CHECKING, Final, Protocol, TypeVar
from urllib.parse import urljoin

from msgspec import DecodeError

from cds_service.clock import Deadline
from cds_service.fhir.bundles import next_of
from cds_service.fhir.decode import Unreadable, read_loosely, unread_parts
from cds_service.fhir.depth import is_deeper
from cds_service.fhir.json_checks import outline_of
from cds_service.fhir.references import is_inside
from cds_service.fhir.resources import Bundle, OperationOutcome, Resource
from cds_service.fhir_client.failures import QueryError, QueryFailure, error_of
from cds_service.fhir_client.queries import (
    REFUSALS,
    ignored_in,
    parameters_of,
    to_leave_out,
    without,
)
from cds_service.fhir_client.servers import Server
from cds_service.log import log_crash
from cds_service.outgoing.address_policy import AddressNotAllowed, AddressPolicy
from cds_service.outgoing.messages import (
    DeadlineExceeded,
    HttpRequest,
    HttpResponse,
    PermanentTransportError,
    ResponseTooLarge,
    TransportError,
)
from cds_service.tracing.calls import carried

if TYPE_CHECKING:
    from cds_service.outgoing.transport import Transport

_K = TypeVar("_K", bound=Hashable)

TRIES: Final = 3
_FIRST_WAIT: Final = 0.1  # seconds, before the second attempt; doubled before the third
_TRANSIENT: Final = frozenset((429, 502, 503, 504))
_MOST_LEVELS: Final = 64
_PARALLEL: Final = 64  # a server that hangs must not keep the others waiting
# Whose data are asked for: a server that does not read these may send those of others.
_WHOSE: Final = frozenset(("patient", "subject", "_id"))
# HAPI answers a search that it has run in the last minute from memory, without what is new.
_HEADERS: Final = {"Accept": "application/fhir+json", "Cache-Control": "no-cache"}
_GRACE: Final = 0.1  # seconds for a request that was cut off at the deadline to report that


class Bearer(Protocol):
    """The source of access tokens for a server."""

    def token(self, deadline: Deadline) -> str | None:
        """The token to send, or `None` to send none; raises `QueryError` without a valid one."""

    def renewed(self, refused: str, deadline: Deadline) -> str | None:
        """A replacement for a token that the server refused, or `None`; raises `QueryError`."""

    def lacks(self, kind: str, deadline: Deadline) -> bool:
        """Whether the token is known not to cover this resource type; raises `QueryError`."""


@dataclass(frozen=True, slots=True)
class NoToken:
    """The server requires no token."""

    def token(self, deadline: Deadline) -> None:
        """None is sent."""

    def renewed(self, refused: str, deadline: Deadline) -> None:
        """There is no replacement."""

    def lacks(self, kind: str, deadline: Deadline) -> bool:  # noqa: ARG002 - its scopes are not ours to read
        """Not known: a scope may be any text (CDS Hooks 2.0.1, "Passing the Access Token")."""
        return False


@dataclass(frozen=True, slots=True)
class GivenToken:
    """The token that came with a hook call; valid for its `life`, and never renewed."""

    value: str = field(repr=False)
    life: Deadline

    def token(self, deadline: Deadline) -> str | None:  # noqa: ARG002 - it is there already
        """The token while it is valid; raises `QueryError` (`token-over`) after that."""
        if self.life.expired:
            raise QueryError("token-over")
        return self.value

    def renewed(self, refused: str, deadline: Deadline) -> None:
        """There is no replacement."""

    def lacks(self, kind: str, deadline: Deadline) -> bool:  # noqa: ARG002 - its scopes are not ours to read
        """Not known: a scope may be any text (CDS Hooks 2.0.1, "Passing the Access Token")."""
        return False


@dataclass(frozen=True, slots=True)
class Access:
    """A server, and the token that requests to it carry."""

    server: Server
    bearer: Bearer


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One resource that the server sent: a page of a search, or the resource read."""

    body: bytes = field(repr=False)
    resource: Resource = field(repr=False)
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """The pages of a query, and why they are not all; without a failure they are complete.

    `ignored` names the search parameters that the server did not use, `left_out` those among them
    that it refused, so that it was asked again without. `refusal` is the response that is no 200.
    """

    pages: tuple[Page, ...] = ()
    failure: QueryFailure | None = None
    refusal: HttpResponse | None = field(default=None, repr=False, compare=False)
    ignored: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()

    @property
    def is_gone(self) -> bool:
        """Whether the server says that what was read was there, and was deleted (410)."""
        return self.refusal is not None and self.refusal.status == HTTPStatus.GONE


class FhirClient:
    """Sends queries to FHIR servers. Thread-safe; connections are kept and reused."""

    def __init__(self, *, most_bytes: int, most_pages: int, patience: float | None = None) -> None:
        """Read at most `most_bytes` and `most_pages` for one query."""
        self._patience = patience
        self._most_bytes = most_bytes
        self._most_pages = most_pages
        self._transports: dict[AddressPolicy, Transport] = {}
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="fhir")

    def ask(self, access: Access, query: str, deadline: Deadline) -> QueryResult:
        """The result of a relative query, such as `Patient/1` or `Observation?patient=1`."""
        url = f"{access.server.base}/{query.replace('|', '%7C')}"
        if not is_inside(url, access.server.base):  # such as `Patient/../../admin`
            return QueryResult(failure="not-allowed")
        try:
            # A server may leave out what the token is not for, as if there were nothing.
            if access.bearer.lacks(re.split(r"[/?]", query, maxsplit=1)[0], deadline):
                return QueryResult(failure="forbidden")
        except QueryError as error:
            return QueryResult(failure=error.code)
        result = self._collected(access, url, deadline, asked=parameters_of(query))
        if result.pages or result.refusal is None or result.refusal.status not in REFUSALS:
            return result
        refused = to_leave_out(query, result.refusal.body)
        if not refused:
            return result
        again = self.ask(access, without(query, refused), deadline)
        if not again.pages:
            return result
        return replace(again, ignored=again.ignored | refused, left_out=again.left_out | refused)

    def more(self, access: Access, next_page: str, deadline: Deadline) -> QueryResult:
        """The pages of a search from a `next` link on."""
        url = _next_url(f"{access.server.base}/", next_page, access.server.base)
        if url is None:
            return QueryResult(failure="foreign-page")
        return self._collected(access, url, deadline)

    def in_parallel(
        self, jobs: Mapping[_K, Callable[[], QueryResult]], deadline: Deadline
    ) -> dict[_K, QueryResult]:
        """The results of several independent queries, by their keys, run in parallel.

        A job that is not done at the deadline is `late`, whatever it waits for: a lookup of a name
        has no timeout of its own.
        """
        waiting = {key: self._threads.submit(carried(job)) for key, job in jobs.items()}
        wait(waiting.values(), timeout=max(deadline.remaining(), 0) + _GRACE)
        return {key: _ended(job) for key, job in waiting.items()}

    @staticmethod
    def prepare() -> None:
        """Import now what the first request would import, which takes longer than most calls."""
        import cds_service.outgoing.transport  # noqa: F401

    def _transport(self, policy: AddressPolicy) -> "Transport":
        """The transport of this policy, with its pool of connections."""
        from cds_service.outgoing.transport import Transport  # it imports requests

        with self._lock:
            if policy not in self._transports:
                self._transports[policy] = Transport(policy, self._patience)
            return self._transports[policy]

    def _collected(
        self, access: Access, url: str, deadline: Deadline, *, asked: frozenset[str] = frozenset()
    ) -> QueryResult:
        pages: list[Page] = []
        failure, refusal = None, None
        try:
            for page in self._pages(access, url, deadline, asked):
                pages.append(page)  # noqa: PERF402 - what came before a failure is kept
        except QueryError as error:
            failure, refusal = error.code, error.response
        ignored = ignored_in(pages[0].resource, asked) if pages else frozenset[str]()
        return QueryResult(pages=tuple(pages), failure=failure, refusal=refusal, ignored=ignored)

    def _pages(
        self, access: Access, url: str, deadline: Deadline, asked: frozenset[str]
    ) -> Iterator[Page]:
        """Each page; raises `QueryError` where the next one is not available."""
        seen: set[str] = set()
        room = self._most_bytes
        while True:
            page = self._page(access, url, deadline, room)
            room -= len(page.body)
            if asked and not isinstance(page.resource, Bundle):
                raise QueryError("not-fhir")
            if not seen and not ignored_in(page.resource, asked).isdisjoint(_WHOSE):
                raise QueryError("ignored")
            yield page
            seen.add(url)
            next_page = next_of(page.resource) if isinstance(page.resource, Bundle) else None
            if next_page is None:
                return
            following = _next_url(url, next_page, access.server.base)
            if following is None:
                raise QueryError("foreign-page")
            if following in seen or len(seen) >= self._most_pages:
                raise QueryError("too-many-pages")
            url = following

    def _page(self, access: Access, url: str, deadline: Deadline, room: int) -> Page:
        response = self._response(access, url, deadline, room)
        if error := error_of(response):
            raise error
        body = response.body.removeprefix(b"\xef\xbb\xbf")  # some servers put it before JSON
        try:
            body.decode()  # what is kept for later is not looked at now
            if is_deeper(body, _MOST_LEVELS):
                raise QueryError("not-fhir")
            resource, unreadable = read_loosely(body, "$")
            outline = outline_of(body)
        except (UnicodeDecodeError, DecodeError, RecursionError):
            raise QueryError("not-fhir") from None
        if isinstance(resource, OperationOutcome):
            raise QueryError("outcome")
        if resource is None or outline.repeated is not None:  # one of two values would be lost
            raise QueryError("not-fhir")
        unread = unread_parts(body, outline, [resource], unreadable)
        return Page(body=body, resource=resource, unreadable=(*unreadable, *unread))

    def _response(self, access: Access, url: str, deadline: Deadline, room: int) -> HttpResponse:
        """The response to one request, of whatever status; raises `QueryError`.

        A broken connection and a status of `_TRANSIENT` are tried again, up to `TRIES` in all, and
        a token that is refused is renewed once.
        """
        replacement: str | None = None  # of a token that was refused
        is_renewed = False
        response = None
        for attempt in range(TRIES):
            token = replacement or access.bearer.token(deadline)  # it may have expired by now
            response = self._sent(access, url, token, deadline, room)
            if response is None or response.status in _TRANSIENT:
                if attempt + 1 < TRIES:
                    wait_before_next(attempt, response, deadline)
            elif response.status == 401 and token and not is_renewed:
                is_renewed = True
                replacement = access.bearer.renewed(token, deadline)
                if replacement is None:
                    return response
            else:
                return response
        raise _error_in(response) or QueryError("unreachable")

    def _sent(
        self, access: Access, url: str, token: str | None, deadline: Deadline, room: int
    ) -> HttpResponse | None:
        """One request: its response, `None` if the connection broke; raises `QueryError`."""
        request = HttpRequest(url=url, headers=_HEADERS, most_bytes=room)
        transport = self._transport(access.server.policy)
        return send_once(transport.send, access, request, token, deadline)


def send_once(
    send: Callable[[HttpRequest, Deadline], HttpResponse],
    access: Access,
    request: HttpRequest,
    token: str | None,
    deadline: Deadline,
) -> HttpResponse | None:
    """The response to a request that carries the token, if the server may see it.

    `None` if the connection broke; raises `QueryError` where repeating cannot help.
    """
    if token is not None and access.server.may_see_token:
        headers = {**request.headers, "Authorization": f"Bearer {token}"}
        request = replace(request, headers=headers)
    try:
        return send(request, deadline)
    except AddressNotAllowed:
        raise QueryError("not-allowed") from None
    except DeadlineExceeded:
        raise QueryError("late") from None
    except ResponseTooLarge:
        raise QueryError("too-long") from None
    except PermanentTransportError:
        raise QueryError("unreachable") from None
    except TransportError:
        return None


def _ended(job: "Future[QueryResult]") -> QueryResult:
    """The result of a job; a failure if it is not done, or raised an error."""
    if not job.done():
        job.cancel()
        return QueryResult(failure="late")
    error = job.exception()
    if error is not None:  # a fault of ours in one query does not cost the others
        log_crash(error)
        return QueryResult(failure="not-fhir")
    return job.result()


def _next_url(url: str, link: str, base: str) -> str | None:
    """The URL of a link on the page at `url`, or `None` if it does not lie below the base."""
    try:
        joined = urljoin(url, link)
    except ValueError:
        return None
    return joined if is_inside(joined, base) else None


def wait_before_next(attempt: int, response: HttpResponse | None, deadline: Deadline) -> None:
    """Pause before the next attempt; raises `QueryError` if that would last to the deadline."""
    # With a random share, queries that failed together are not repeated at the same time.
    backoff = _FIRST_WAIT * 2**attempt * uniform(0.5, 1.5)  # noqa: S311
    seconds = max(backoff, retry_after(response))
    if seconds >= deadline.remaining():
        raise _error_in(response) or QueryError("late")
    sleep(seconds)


def _error_in(response: HttpResponse | None) -> QueryError | None:
    return None if response is None else error_of(response)


def retry_after(response: HttpResponse | None) -> float:
    """How long the server asks to wait, in seconds (RFC 9110, section 10.2.3)."""
    header = None if response is None else response.headers.get("Retry-After")
    if header is None:
        return 0.0
    from urllib3.exceptions import InvalidHeader
    from urllib3.util.retry import Retry

    try:
        return float(Retry().parse_retry_after(header))
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0
