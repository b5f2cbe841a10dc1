# SPDX-License-Identifier: Apache-2.0
"""Requests of an export to its server: polite, and careful with the token.

A server that asks to come back later is obeyed (429, 503, `Retry-After`); what broke is tried again
with growing pauses. The access token goes to the origin of the server's base and nowhere else. A
redirect is followed only where nothing but a file or the state of the export is read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import sleep
from typing import Final, Literal
from urllib.parse import urljoin

from cds_service.bulk_export.manifest import (
    Manifest,
    RemoteFile,
    codes_of,
    is_passing,
    joined,
    read_manifest,
    same_origin,
)
from cds_service.clock import Deadline
from cds_service.errors import CdsServiceError, RequestError
from cds_service.fhir_client.client import Access, retry_after, send_once
from cds_service.fhir_client.failures import QUERY_FAILURES, QueryError, error_of
from cds_service.outgoing.address_policy import url_problem
from cds_service.outgoing.messages import HttpRequest, HttpResponse
from cds_service.outgoing.transport import Transport
from cds_service.smart.failures import TokenError

_ANSWER: Final = 120.0  # seconds for everything but files
_FILE: Final = 24 * 3600.0  # seconds for one file, of any length
_SILENCE: Final = 120.0  # seconds without a byte of it
_MOST_BYTES: Final = 64 * 1024 * 1024  # of a manifest
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0  # of ours
_LONGEST_OF_SERVER: Final = 5 * 3600.0  # urllib3 reads six hours as the most
_MOST_FAILURES: Final = 8  # one after another
_MOST_REDIRECTS: Final = 5
_LATER: Final = frozenset((429, 502, 503, 504))
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_GONE: Final = frozenset((404, 410))
GO_ON: Final = "Give the same command again, and it goes on."
_NOT_OURS: Final = frozenset((401, 403))
_FHIR_JSON: Final = {"Accept": "application/fhir+json"}
_JSON: Final = {"Accept": "application/json"}
_NDJSON: Final = {"Accept": "application/fhir+ndjson", "Accept-Encoding": "gzip"}

Sink = Callable[[], Callable[[bytes], object]]
"""Begins anew to write what one attempt brings."""


class JobGone(Exception):
    """The server does not know the export any more."""


class JobFailed(Exception):
    """The server could not export; the text says so."""


class FileRefused(Exception):
    """A file is not handed out, for this status; its URL may have expired."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class KickOffRefused(Exception):
    """The server does not start this export (4xx); `codes` are those of its OperationOutcome."""

    def __init__(self, status: int, codes: str) -> None:
        super().__init__(str(status))
        self.status = status
        self.codes = codes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    url: str
    headers: Mapping[str, str]
    method: Literal["GET", "DELETE"] = "GET"
    follows: bool = True
    with_token: bool = True
    sink: Sink | None = None


class ExportServer:
    """The server that exports. `waits` hears of each pause, and what the server says meanwhile."""

    def __init__(
        self,
        access: Access,
        *,
        patience: float | None = None,
        pause: Callable[[float], None] = sleep,
        waits: Callable[[str, float], None] = lambda _text, _seconds: None,
    ) -> None:
        self._access = access
        self._transport = Transport(access.server.policy, patience)
        self._pause = pause
        self._waits = waits

    @property
    def base(self) -> str:
        """The base URL of the server."""
        return self._access.server.base

    def lacks(self, kind: str) -> bool:
        """Whether the token is known not to cover a type of resources."""
        try:
            return self._access.bearer.lacks(kind, Deadline(_ANSWER))
        except QueryError as error:
            raise _failed(error) from None

    def capabilities(self) -> bytes:
        """The CapabilityStatement, or nothing."""
        response = self._asked(_Question(url=f"{self.base}/metadata", headers=_FHIR_JSON))
        return response.body if response.status == 200 else b""

    def start(self, path: str) -> str:
        """Start the export at this path and query; the URL of its state."""
        url = f"{self.base}/{path}"
        headers = {**_FHIR_JSON, "Prefer": "respond-async"}
        response = self._asked(_Question(url=url, headers=headers, follows=False))
        if response.status == 202:
            status_url = _joined(url, response.headers.get("Content-Location"))
            if status_url is None or url_problem(status_url, self._access.server.policy):
                raise CdsServiceError("The server started an export and does not say where it is.")
            return status_url
        if 400 <= response.status < 500 or response.status == 501:
            raise KickOffRefused(response.status, codes_of(response.body))
        raise CdsServiceError(f"The server did not start an export: {_status_of(response)}.")

    def manifest(self, status_url: str) -> Manifest:
        """The manifest, all pages of it, as soon as the export is done; raises `JobGone`."""
        pages: list[Manifest] = []
        url: str | None = status_url
        seen: set[str] = set()
        while url is not None:
            if url in seen:
                raise CdsServiceError("The pages of the manifest lead back to one another.")
            seen.add(url)
            page = read_manifest(self._finished(url), url)
            if page is None:
                raise CdsServiceError("What the server sent is no manifest of an export.")
            pages.append(page)
            url = page.following
        found = joined(pages)
        for file in found.files:
            self._check(file)
        return found

    def fetch(self, file: RemoteFile, sink: Sink) -> None:
        """Hand a file over, as it comes; raises `FileRefused`."""
        question = _Question(url=file.url, headers=_NDJSON, with_token=file.needs_token, sink=sink)
        response = self._asked(question)
        if response.status != 200:
            raise FileRefused(response.status)

    def delete(self, status_url: str) -> bool:
        """Have the server forget the export; whether it did."""
        question = _Question(url=status_url, headers=_JSON, method="DELETE", follows=False)
        try:
            response = self._asked(question, tries=1)
        except CdsServiceError:
            return False
        return 200 <= response.status < 300 or response.status in _GONE

    def _finished(self, url: str) -> bytes:
        """The body that says that the export is done; raises `JobGone` and `JobFailed`."""
        polls, failures = 0, 0
        while True:
            response = self._asked(_Question(url=url, headers=_JSON))
            if response.status == 200:
                return response.body
            if response.status in _GONE:
                raise JobGone
            if response.status == 202:
                polls, failures = polls + 1, 0
            elif response.status in _NOT_OURS:
                raise RequestError(f"The server does not show the export: {_status_of(response)}.")
            elif is_passing(response.body) and failures < _MOST_FAILURES:
                failures += 1
            else:
                raise JobFailed(f"The export failed at the server: {_status_of(response)}.")
            self.wait(polls + failures - 1, response, response.headers.get("X-Progress") or "")

    def _asked(self, question: _Question, tries: int = _MOST_FAILURES) -> HttpResponse:
        """The response to a request, of whatever status but one that asks to come back later."""
        response = None
        for attempt in range(tries):
            response = self._at_the_end(question)
            if response is not None and response.status not in _LATER:
                return response
            if attempt + 1 < tries:
                self.wait(attempt, response)
        error = QueryError("unreachable") if response is None else error_of(response)
        raise CdsServiceError(f"The server was asked: {error}. {GO_ON}")

    def _at_the_end(self, question: _Question) -> HttpResponse | None:
        """The response after redirects; a token is not sent again once they led elsewhere."""
        for _ in range(_MOST_REDIRECTS + 1):
            if not same_origin(question.url, self.base):
                question = replace(question, with_token=False)
            response = self._authorized(question)
            if response is None or not question.follows or response.status not in _REDIRECTS:
                return response
            following = _joined(question.url, response.headers.get("Location"))
            if following is None:
                return response
            question = replace(question, url=following)
        raise CdsServiceError("The server redirects again and again.")

    def _authorized(self, question: _Question) -> HttpResponse | None:
        """One response, `None` if the connection broke; a token that is refused is renewed once."""
        bearer, deadline = self._access.bearer, Deadline(_ANSWER)
        try:
            token = bearer.token(deadline) if question.with_token else None
            response = self._sent(question, token)
            if response is not None and response.status == 401 and token is not None:
                token = bearer.renewed(token, deadline)
                if token is not None:
                    response = self._sent(question, token)
        except QueryError as error:
            if error.code == "late":
                return None
            raise _failed(error) from None
        return response

    def _sent(self, question: _Question, token: str | None) -> HttpResponse | None:
        request = HttpRequest(
            url=question.url,
            headers=question.headers,
            method=question.method,
            most_bytes=_MOST_BYTES,
        )
        if question.sink is None:
            send, deadline = self._transport.send, Deadline(_ANSWER)
            return send_once(send, self._access, request, token, deadline)
        write = question.sink()

        def stream(request: HttpRequest, deadline: Deadline) -> HttpResponse:
            return self._transport.stream(request, write, deadline, silence=_SILENCE)

        return send_once(stream, self._access, request, token, Deadline(_FILE))

    def wait(self, attempt: int, response: HttpResponse | None = None, text: str = "") -> None:
        """Pause as long as the server asks, or longer with each attempt."""
        asked = retry_after(response)
        if asked > _LONGEST_OF_SERVER:
            raise CdsServiceError(f"The server asks to come back in some hours. {GO_ON}")
        ours = min(_FIRST_PAUSE * 2 ** min(attempt, 10), _LONGEST_PAUSE)
        seconds = max(asked, _FIRST_PAUSE) if asked else ours
        self._waits(text, seconds)
        self._pause(seconds)

    def _check(self, file: RemoteFile) -> None:
        """Refuse a file that may not be fetched, or only with a token that would leave."""
        if url_problem(file.url, self._access.server.policy):
            raise RequestError(
                "The manifest names a file at an address that may not be called from here."
            )
        if file.needs_token and not same_origin(file.url, self.base):
            raise RequestError(
                "The files of the export are on another host and need the access token, which is"
                " sent to no other host than the server's."
            )


def _failed(error: QueryError) -> CdsServiceError:
    """The error of a request that cannot be repeated, in words."""
    text = error.text if isinstance(error, TokenError) else QUERY_FAILURES[error.code]
    kind = CdsServiceError if error.code in {"unreachable", "late", "broken"} else RequestError
    return kind(f"The server was asked: {text}.")


def _status_of(response: HttpResponse) -> str:
    """The status of a response; of an OperationOutcome the codes alone."""
    codes = codes_of(response.body)
    return f"{response.status} ({codes})" if codes else str(response.status)


def _joined(url: str, link: str | None) -> str | None:
    try:
        return urljoin(url, link) if link else None
    except ValueError:
        return None
