# SPDX-License-Identifier: Apache-2.0
"""A call of a hook, from the head of its request to the answer, without a web framework.

The steps are separate so that the bridge can do each where it belongs: `begin` looks at the head
alone, before a byte of the body is taken in; `read` decodes the body; `judge` may ask FHIR servers,
if `waits` says so. An error ends a call at any step with its answer, its log line and its counts;
none of the steps raises.
"""

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any, TypeAlias

from flask import Request, Response
from msgspec import Struct
from werkzeug.sansio.utils import get_current_url, get_host

from cds_service.clock import Clock, Deadline, Stopwatch, stopwatch
from cds_service.errors import CdsServiceError, UnknownService
from cds_service.hooks.request import HookRequest, read_request
from cds_service.hooks.response import HookResponse, write_response
from cds_service.log import log_crash
from cds_service.metrics import Metrics
from cds_service.service import Knowledge, Memory, Options, answer_hook
from cds_service.settings import ExplainMode, Settings
from cds_service.tracing.calls import CallTraces, Span
from cds_service.trust.clients import Client
from cds_service.web.access.clients import (
    Gate,
    check_fhir_server,
    issuer_of,
    keys_of,
    profile_of,
    sees_cards,
)
from cds_service.web.access.cors import headers_for_pages
from cds_service.web.access.open_mode import why_refused
from cds_service.web.fetching import Fetching
from cds_service.web.outcomes import (
    CRASH,
    FORBIDDEN,
    JSON,
    SECURITY,
    answer_to_any,
    crashed,
    refusal,
)
from cds_service.web.request_log import LogEntry, close, count, fields_of
from cds_service.web.server.bodies import check_depth, check_type, refusal_of, taken
from cds_service.web.server.request_parts import (
    ELAPSED,
    Environ,
    Head,
    Headers,
    Refusal,
    Reply,
    Wsgi,
    check_host,
    head_of_environ,
    is_hook_call,
    service_in,
)

Origins: TypeAlias = Callable[[], Collection[str]]


class HookCall(Struct, kw_only=True, eq=False):
    """One call as far as it has come; once there is a `reply`, it is over."""

    head: Head
    service: str
    entry: LogEntry
    deadline: Deadline
    client: Client | None = None
    request: HookRequest | None = None
    asks: bool | None = None  # whether another server is asked, once that was looked at
    reply: Reply | None = None
    span: Span = None  # where traces are on


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCalls:
    """Answers calls of hooks over this knowledge; one object a process."""

    settings: Settings
    knowledge: Knowledge
    clock: Clock
    metrics: Metrics
    memory: Memory
    fetching: Fetching
    gate: Gate | None
    origins: Origins
    explain: ExplainMode
    traces: CallTraces | None = None

    @property
    def looks_may_wait(self) -> bool:
        """Whether a look at a head may have to wait, for the keys of a client or the database."""
        try:
            return self.gate is not None and self.gate.may_wait
        except Exception:  # noqa: BLE001 - `begin` meets it again, and answers it
            return True

    def begin(self, head: Head, elapsed: Stopwatch, *, shed: bool = False) -> HookCall:
        """Look at the head of a call; one that is `shed` is one more than the process takes in."""
        call = HookCall(
            head=head,
            service=service_in(head.path) or "",
            entry=LogEntry(elapsed=elapsed),
            deadline=Deadline(self.settings.deadline_ms / 1000, elapsed),
        )
        if self.traces is not None:
            call.span = self.traces.begin(head.headers)
        try:
            self._admit(call, shed=shed)
        except Exception as error:  # noqa: BLE001 - every error has an answer
            self.fail(call, error)
        return call

    def refuse(self, call: HookCall, refused: Refusal) -> Reply:
        """The answer to a call whose body was not read to its end."""
        return self.fail(call, refusal_of(refused))

    def fail(self, call: HookCall, error: Exception) -> Reply:
        """End a call with the answer to an error."""
        try:
            answer = answer_to_any(error, call.entry)
        except Exception:  # noqa: BLE001 - it could not be logged
            answer = crashed()
        return self._end_with(call, answer)

    def read(self, call: HookCall, body: bytes) -> None:
        """Decode the body of a call."""
        settings = self.settings
        call.entry.service = call.service
        try:
            check_depth(body, settings.max_depth)
            call.deadline.check()
            call.request = read_request(
                body, max_depth=settings.max_depth, max_entries=settings.max_entries
            )
            call.deadline.check()
            check_fhir_server(call.request, call.client)
        except Exception as error:  # noqa: BLE001
            self.fail(call, error)

    def waits(self, call: HookCall) -> bool:
        """Whether another server is to be asked before the call can be answered."""
        if call.asks is None:
            try:
                call.asks = self._asks(call)
            except Exception:  # noqa: BLE001 - `judge` meets it again, and answers it
                return True
        return call.asks

    def judge(self, call: HookCall) -> Reply:
        """The answer to a call that was read."""
        if call.reply is not None:
            return call.reply
        if self.traces is None:
            return self._judged(call)
        with self.traces.during(call.span):
            return self._judged(call)

    def _judged(self, call: HookCall) -> Reply:
        try:
            body = write_response(self._response(call))
        except Exception as error:  # noqa: BLE001
            return self.fail(call, error)
        return self._end(call, 200, _plain_headers(len(body)), body)

    def _admit(self, call: HookCall, *, shed: bool) -> None:
        head, headers = call.head, call.head.headers
        host = headers.get("host")
        check_host(host, head.protocol)  # before a token is looked at, which is good for one call
        if self.gate is None:
            problem = why_refused(head.peer, headers, host)
            if problem is not None:
                self._end_with(call, refusal(FORBIDDEN, problem))
                return
        elif not shed:  # to look at a token would be work, and may have to wait
            verdict = self.gate.verify_token(headers.get("authorization", ""), head.path)
            call.client = self.gate.accepted(verdict, call.entry)
        if shed:
            raise refusal_of("overloaded")
        if call.service not in self.knowledge.services:
            raise UnknownService("There is no service with this id; GET /cds-services lists them.")
        try:
            check_type(headers.get("content-type"), headers.get("content-encoding"))
        except CdsServiceError:
            call.entry.service = call.service
            raise

    def _response(self, call: HookCall) -> HookResponse:
        request, entry = call.request, call.entry
        if request is None:
            raise AssertionError("a call is judged after it was read")
        by_hook = self.knowledge.services[call.service]
        if request.hook in by_hook:
            entry.hook = request.hook
            if not sees_cards(request, call.client):
                entry.outcome = "withheld"
                return HookResponse(cards=())
            if self.waits(call):
                templates = by_hook[request.hook].prefetch
                request = self.fetching.completed(
                    request, templates, call.deadline, call.client, entry
                )
        answer = answer_hook(
            self.knowledge, request, call.service, self.clock(), self._options(call)
        )
        entry.tell(answer.outcome)
        count(answer.outcome, self.metrics)
        return answer.response

    def _asks(self, call: HookCall) -> bool:
        request, client = call.request, call.client
        if request is None or request.fhir_server is None:
            return False
        served = self.knowledge.services[call.service].get(request.hook)
        if served is None or not sees_cards(request, client):
            return False
        return self.fetching.asks(request, served.prefetch, call.deadline, client)

    def _options(self, call: HookCall) -> Options:
        return Options(
            base_url=self._base_url(call.head),
            explain=self.explain,
            memory=self.memory,
            client=issuer_of(call.client),
            profile=profile_of(call.client, self.settings),
            prefetch_keys=keys_of(call.client, self.fetching.keys),
            deadline=call.deadline,
        )

    def _base_url(self, head: Head) -> str:
        """Where rules can be read about: in open mode the loopback address that was called."""
        if self.settings.public_url:
            return self.settings.public_url.rstrip("/")
        return _url_called(head.scheme, head.headers.get("host"), head.server)

    def _end_with(self, call: HookCall, response: Response) -> Reply:
        return self._end(call, response.status_code, list(response.headers), response.data)

    def _end(self, call: HookCall, status: int, headers: Headers, body: bytes) -> Reply:
        origin = call.head.headers.get("origin")
        try:
            headers += SECURITY
            headers += headers_for_pages("POST", origin, self.origins)
            close(call.entry, status, self.metrics)
            if self.traces is not None:
                self.traces.end(call.span, status, fields_of(call.entry))
            call.reply = Reply(status, headers, body)
        except Exception as error:  # noqa: BLE001 - perhaps nothing can be logged any more
            with suppress(Exception):
                log_crash(error)
            answer = crashed()
            call.reply = Reply(CRASH, [*answer.headers, *SECURITY], answer.data)
        return call.reply


def _plain_headers(length: int) -> Headers:
    return [("Content-Type", JSON), ("Content-Length", str(length))]


@lru_cache(maxsize=256)
def _url_called(scheme: str, host: str | None, server: tuple[str, int | None]) -> str:
    return get_current_url(scheme, get_host(scheme, host, server)).rstrip("/")


def as_wsgi(calls: HookCalls, pages: Wsgi, settings: Settings) -> Wsgi:
    """A WSGI application: hook calls go to `calls`, all other requests to `pages`."""

    def application(environ: Environ, start: Any) -> Iterable[bytes]:
        if not is_hook_call(environ["REQUEST_METHOD"], environ["PATH_INFO"]):
            return pages(environ, start)
        call = calls.begin(head_of_environ(environ), environ.get(ELAPSED) or stopwatch())
        if call.reply is None:
            try:
                body = taken(Request(environ), settings.max_body_bytes)
            except Exception as error:  # noqa: BLE001
                call.entry.service = call.service
                calls.fail(call, error)
            else:
                calls.read(call, body)
        status, headers, answer = calls.judge(call)
        start(f"{status} {HTTPStatus(status).phrase.upper()}", headers)
        return [answer]

    return application
