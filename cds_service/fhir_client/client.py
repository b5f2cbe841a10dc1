# SPDX-License-Identifier: Apache-2.0
"""Searches and reads on a FHIR server: every page of an answer, or a word for why not.

Only reads are sent, so each may be sent again: a few times, later each time, and only while there
is time. A token goes to the server it is for and nowhere else; a next page is asked for only there
(SMART App Launch 2.2, "Backend Services": tokens are not forwarded to other servers).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from random import uniform
from threading import Lock
from time import sleep
from typing import Final, Protocol
from urllib.parse import parse_qsl, urljoin

from msgspec import DecodeError
from urllib3.exceptions import InvalidHeader
from urllib3.util.retry import Retry

from cds_service.clock import Deadline
from cds_service.fhir.bundles import link_of, next_of
from cds_service.fhir.decode import Unreadable, read_loosely
from cds_service.fhir.depth import is_deeper
from cds_service.fhir.references import is_inside
from cds_service.fhir.resources import Bundle, OperationOutcome, Resource
from cds_service.fhir_client.failures import Failed, of_status
from cds_service.fhir_client.servers import Server
from cds_service.log import log_crash
from cds_service.outgoing.address_policy import Closed, Reach
from cds_service.outgoing.transport import (
    Answer,
    Call,
    Hopeless,
    TooLate,
    TooLong,
    Transport,
    Unanswered,
)

TRIES: Final = 3
_FIRST_WAIT: Final = 0.1  # seconds; twice as long before the next
_AGAIN: Final = frozenset((429, 502, 503, 504))
_MOST_LEVELS: Final = 64
_PARALLEL: Final = 64  # a server that hangs must not keep the others waiting
# Whose data are asked for: a server that does not read these may send those of others.
_WHOSE: Final = frozenset(("patient", "subject", "_id"))


_GRACE: Final = 0.1  # seconds for what was cut off in time to say so


class Bearer(Protocol):
    """Where the access token for a server comes from."""

    def token(self, deadline: Deadline) -> str | None:
        """The token to send, `None` to send none; raises `Failed` if there is none to be had."""

    def renewed(self, refused: str, deadline: Deadline) -> str | None:
        """Another token in place of one that the server refused, if there can be another."""

    def lacks(self, kind: str, deadline: Deadline) -> bool:
        """Whether the token is known not to be for this type of resource; raises `Failed`."""


@dataclass(frozen=True, slots=True)
class NoToken:
    """The server is open."""

    def token(self, deadline: Deadline) -> None:
        """None is sent."""

    def renewed(self, refused: str, deadline: Deadline) -> None:
        """There is no other."""

    def lacks(self, kind: str, deadline: Deadline) -> bool:  # noqa: ARG002 - its scopes are not ours to read
        """Not that we know: a scope is any text (CDS Hooks 2.0.1, "Passing the Access Token")."""
        return False


@dataclass(frozen=True, slots=True)
class GivenToken:
    """The token that came with a call; it ends when its time is over and is never renewed."""

    value: str = field(repr=False)
    life: Deadline

    def token(self, deadline: Deadline) -> str | None:  # noqa: ARG002 - it is there already
        """The token while it is valid; raises `Failed` after that."""
        if self.life.expired:
            raise Failed("token-over")
        return self.value

    def renewed(self, refused: str, deadline: Deadline) -> None:
        """There is no other."""

    def lacks(self, kind: str, deadline: Deadline) -> bool:  # noqa: ARG002 - its scopes are not ours to read
        """Not that we know: a scope is any text (CDS Hooks 2.0.1, "Passing the Access Token")."""
        return False


@dataclass(frozen=True, slots=True)
class Access:
    """A server with the right to ask it."""

    server: Server
    bearer: Bearer


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One resource that the server sent: a page of a search, or what was read."""

    body: bytes = field(repr=False)
    resource: Resource = field(repr=False)
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a query gave: its pages, and the word of `FAILURES` if they are not all.

    `ignored` names the parameters that the server did not use.
    """

    pages: tuple[Page, ...] = ()
    failure: str | None = None
    ignored: frozenset[str] = frozenset()


class FhirClient:
    """Asks FHIR servers; for all threads of a process. Connections are kept and used again."""

    def __init__(self, *, most_bytes: int, most_pages: int, patience: float | None = None) -> None:
        """Read no more than `most_bytes` and `most_pages` of the answer to a query."""
        self._patience = patience
        self._most_bytes = most_bytes
        self._most_pages = most_pages
        self._transports: dict[Reach, Transport] = {}
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="fhir")

    def ask(self, access: Access, query: str, deadline: Deadline) -> Found:
        """The answer to a relative query, such as `Patient/1` or `Observation?patient=1`."""
        url = f"{access.server.base}/{query.replace('|', '%7C')}"
        if not is_inside(url, access.server.base):  # such as `Patient/../../admin`
            return Found(failure="not-allowed")
        try:
            # A server may leave out what the token is not for, as if there were nothing.
            if access.bearer.lacks(re.split(r"[/?]", query, maxsplit=1)[0], deadline):
                return Found(failure="forbidden")
        except Failed as failed:
            return Found(failure=failed.word)
        return self._collected(access, url, deadline, asked=_parameters(query))

    def more(self, access: Access, next_page: str, deadline: Deadline) -> Found:
        """The pages from a `next` link on, which came with the first page of a search."""
        url = _next_url(f"{access.server.base}/", next_page, access.server.base)
        if url is None:
            return Found(failure="foreign-page")
        return self._collected(access, url, deadline)

    def at_once(
        self, jobs: Mapping[str, Callable[[], Found]], deadline: Deadline
    ) -> dict[str, Found]:
        """What several independent questions give, by their keys, asked at the same time.

        What is not there when the time is over is late, whatever it waits for: no socket watches
        over a name server.
        """
        waiting = {key: self._threads.submit(job) for key, job in jobs.items()}
        wait(waiting.values(), timeout=max(deadline.remaining(), 0) + _GRACE)
        return {key: _ended(one) for key, one in waiting.items()}

    def _transport(self, reach: Reach) -> Transport:
        """The transport within this reach, with its pool of connections."""
        with self._lock:
            if reach not in self._transports:
                self._transports[reach] = Transport(reach, self._patience)
            return self._transports[reach]

    def _collected(
        self, access: Access, url: str, deadline: Deadline, *, asked: frozenset[str] = frozenset()
    ) -> Found:
        pages: list[Page] = []
        failure = None
        try:
            for page in self._pages(access, url, deadline, asked):
                pages.append(page)  # noqa: PERF402 - what came before a failure is kept
        except Failed as error:
            failure = error.word
        ignored = _ignored(pages[0].resource, asked) if pages else frozenset[str]()
        return Found(pages=tuple(pages), failure=failure, ignored=ignored)

    def _pages(
        self, access: Access, url: str, deadline: Deadline, asked: frozenset[str]
    ) -> Iterator[Page]:
        """Each page; raises `Failed` where the next one cannot be had."""
        seen: set[str] = set()
        room = self._most_bytes
        while True:
            page = self._page(access, url, deadline, room)
            room -= len(page.body)
            if asked and not isinstance(page.resource, Bundle):
                raise Failed("not-fhir")
            if not seen and not _ignored(page.resource, asked).isdisjoint(_WHOSE):
                raise Failed("ignored")
            yield page
            seen.add(url)
            next_page = next_of(page.resource) if isinstance(page.resource, Bundle) else None
            if next_page is None:
                return
            following = _next_url(url, next_page, access.server.base)
            if following is None:
                raise Failed("foreign-page")
            if following in seen or len(seen) >= self._most_pages:
                raise Failed("too-many-pages")
            url = following

    def _page(self, access: Access, url: str, deadline: Deadline, room: int) -> Page:
        answer = self._answer(access, url, deadline, room)
        if failed := of_status(answer.status):
            raise failed
        body = answer.body.removeprefix(b"\xef\xbb\xbf")  # some servers put it before JSON
        try:
            body.decode()  # what is kept for later is not looked at now
            if is_deeper(body, _MOST_LEVELS):
                raise Failed("not-fhir")
            resource, unreadable = read_loosely(body, "$")
        except (UnicodeDecodeError, DecodeError, RecursionError):
            raise Failed("not-fhir") from None
        if isinstance(resource, OperationOutcome):
            raise Failed("outcome")
        if resource is None:
            raise Failed("not-fhir")
        return Page(body=body, resource=resource, unreadable=unreadable)

    def _answer(self, access: Access, url: str, deadline: Deadline, room: int) -> Answer:
        """The answer to one request, sent again where that may help and there is time."""
        again: str | None = None  # a token in place of one that was refused
        renewed = False
        pause = _FIRST_WAIT
        for remaining in reversed(range(TRIES)):
            token = again or access.bearer.token(deadline)  # its time may be over by now
            try:
                answer = self._once(access, url, token, deadline, room)
            except Unanswered:
                if not remaining:
                    raise Failed("unreachable") from None
                answer = None
            if answer is not None and answer.status == 401 and token and not renewed:
                renewed = True
                if (again := access.bearer.renewed(token, deadline)) is not None:
                    continue
            if answer is not None and (answer.status not in _AGAIN or not remaining):
                return answer
            # Queries that failed together do not come again together.
            asked = max(pause * uniform(0.5, 1.5), _retry_after(answer))  # noqa: S311
            if asked >= deadline.remaining():
                raise (of_status(answer.status) if answer else None) or Failed("late")
            sleep(asked)
            pause *= 2
        raise Failed("unauthorized")

    def _once(
        self, access: Access, url: str, token: str | None, deadline: Deadline, room: int
    ) -> Answer:
        """One request; raises `Unanswered` if the connection broke, `Failed` for the rest."""
        headers = {"Accept": "application/fhir+json"}
        if token is not None and access.server.may_see_token:
            headers["Authorization"] = f"Bearer {token}"
        call = Call(url=url, headers=headers, most_bytes=room)
        try:
            return self._transport(access.server.reach).send(call, deadline)
        except Closed:
            raise Failed("not-allowed") from None
        except TooLate:
            raise Failed("late") from None
        except TooLong:
            raise Failed("too-long") from None
        except Hopeless:
            raise Failed("unreachable") from None


def _ended(job: "Future[Found]") -> Found:
    """What the job gave; a failure if it gave nothing in time, or broke."""
    if not job.done():
        job.cancel()
        return Found(failure="late")
    error = job.exception()
    if error is not None:  # nobody foresaw it; the rest of the call goes on
        log_crash(error)
        return Found(failure="not-fhir")
    return job.result()


def _next_url(url: str, link: str, base: str) -> str | None:
    """The address of a link on the page at the URL, if it is on the same server."""
    try:
        joined = urljoin(url, link)
    except ValueError:
        return None
    return joined if is_inside(joined, base) else None


def _parameters(query: str) -> frozenset[str]:
    """The names of the parameters, without modifiers."""
    pairs = parse_qsl(query.partition("?")[2], keep_blank_values=True)
    return frozenset(name.partition(":")[0] for name, _ in pairs)


def _ignored(page: Resource, asked: frozenset[str]) -> frozenset[str]:
    """The parameters that the server did not use, by the self link of its answer.

    FHIR R4, "Search", 3.1.1.1: the self link holds the parameters that were used. A link with none
    of those that were asked for is a key to a stored search and says nothing.
    """
    url = link_of(page, "self") if isinstance(page, Bundle) else None
    if url is None or not asked:
        return frozenset()
    used = _parameters(url)
    if used & {"patient", "subject"}:
        used |= {"patient", "subject"}
    if used and used.isdisjoint(asked):
        return frozenset()
    return asked - used


def _retry_after(answer: Answer | None) -> float:
    """How long the server asks to wait, in seconds (RFC 9110, section 10.2.3)."""
    said = None if answer is None else answer.headers.get("Retry-After")
    if said is None:
        return 0.0
    try:
        return float(Retry().parse_retry_after(said))
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0
