# SPDX-License-Identifier: Apache-2.0
"""Creates, updates and transactions on a FHIR server, with the reading client's access and limits.

A resource, or a Bundle → `WriteResult`: what the server answered, or a code for why not. A request
is sent again only if that can do no harm. A server that answers 429 or 503 and says when to come
back has done nothing yet. A conditional request, and a transaction made of such, may be repeated
after a broken connection too, for the server itself sees that it is done. A redirect is not
followed, and the token goes to no other server.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, Literal, TypeAlias

from msgspec import DecodeError
from msgspec.json import decode, encode

from cds_service.clock import Deadline
from cds_service.fhir.references import is_id, is_inside
from cds_service.fhir.resource_types import RESOURCE_TYPES
from cds_service.fhir_client.client import TRIES, Access, send_once, wait_before_next
from cds_service.fhir_client.failures import QUERY_FAILURES, QueryError, QueryFailure, error_of
from cds_service.outgoing.address_policy import AddressPolicy
from cds_service.outgoing.messages import HttpRequest, HttpResponse
from cds_service.outgoing.transport import Transport

WriteFailure: TypeAlias = QueryFailure | Literal["conflict"]

WRITE_FAILURES: Final = dict[WriteFailure, str](QUERY_FAILURES.items()) | {
    "conflict": "another version or another match is there already (409 or 412)",
}
_NOT_NOW: Final = frozenset((429, 503))  # nothing was done, if the server says when to come back
_BROKEN: Final = frozenset((502, 503, 504, 429))  # whether anything was done is not known
_CONFLICTS: Final = frozenset((409, 412))
# After these codes the server may have done what it was asked.
_UNCERTAIN: Final = frozenset(("late", "unreachable", "too-long", "broken"))
_FHIR_JSON: Final = "application/fhir+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """What came of a write; without a `failure` the server did it.

    `location` and `etag` are the headers of the response, `body` what the server stored, or its
    OperationOutcome.
    """

    failure: WriteFailure | None = None
    status: int | None = None
    body: bytes = field(default=b"", repr=False)
    location: str | None = field(default=None, repr=False)
    etag: str | None = None

    @property
    def may_be_done(self) -> bool:
        """Whether the server did it, or may have: its answer did not arrive whole."""
        return self.failure is None or self.failure in _UNCERTAIN

    @property
    def resource(self) -> dict[str, Any] | None:
        """The resource of the response, or `None` if there is none that can be read."""
        try:
            found = decode(self.body)
        except (DecodeError, RecursionError, UnicodeDecodeError):
            return None
        return found if isinstance(found, dict) and "resourceType" in found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Write:
    """One request; `repeatable`: the server does it once however often it is sent."""

    request: HttpRequest
    repeatable: bool
    retried: frozenset[int] = frozenset()


class FhirWriter:
    """Writes to FHIR servers. Thread-safe."""

    def __init__(self, *, most_bytes: int, patience: float | None = None) -> None:
        """Read at most `most_bytes` of an answer."""
        self._patience = patience
        self._most_bytes = most_bytes
        self._transports: dict[AddressPolicy, Transport] = {}
        self._lock = Lock()

    def create(
        self,
        access: Access,
        resource: Mapping[str, Any],
        deadline: Deadline,
        *,
        if_none_exist: str | None = None,
        repeatable: bool = True,
    ) -> WriteResult:
        """Create a resource, unless one is found by the search `if_none_exist`.

        Several servers store duplicates when the same conditional create comes twice at once; only
        `transaction` is safe from that. Others ignore the condition: where that would matter, it
        is not `repeatable`, and after a lost answer the caller searches.
        """
        condition = {} if if_none_exist is None else {"If-None-Exist": if_none_exist}
        write = self._write(access, "POST", _type_of(resource), resource, condition)
        if not repeatable:
            write = _Write(request=write.request, repeatable=False)
        return self._done(access, write, deadline)

    def update(
        self,
        access: Access,
        resource: Mapping[str, Any],
        deadline: Deadline,
        *,
        if_match: str | None = None,
    ) -> WriteResult:
        """Update the resource of this type and id, if its ETag is still `if_match`.

        After a broken connection the answer may be a `conflict` with the own first attempt: read
        the resource again.
        """
        condition = {} if if_match is None else {"If-Match": if_match}
        identity = resource.get("id")
        if not isinstance(identity, str) or not is_id(identity):
            raise ValueError("an update needs the id of its resource")
        write = self._write(access, "PUT", f"{_type_of(resource)}/{identity}", resource, condition)
        return self._done(access, write, deadline)

    def transaction(
        self,
        access: Access,
        bundle: Mapping[str, Any],
        deadline: Deadline,
        *,
        repeatable: bool,
    ) -> WriteResult:
        """Send a Bundle of type transaction; `repeatable` if each of its entries is conditional.

        A repeatable one is sent again after a conflict: the other writer is done by then. What a
        server failed to do inside an answer of 200 is for the caller to see.
        """
        write = self._write(access, "POST", "", bundle, {})
        retried = _CONFLICTS if repeatable else frozenset[int]()
        return self._done(
            access, _Write(request=write.request, repeatable=repeatable, retried=retried), deadline
        )

    def _write(
        self,
        access: Access,
        method: Literal["POST", "PUT"],
        path: str,
        resource: Mapping[str, Any],
        condition: Mapping[str, str],
    ) -> _Write:
        base = access.server.base
        url = f"{base}/{path}" if path else base
        if not is_inside(url, base):
            raise ValueError("a write stays below the base of its server")
        headers = {
            "Accept": _FHIR_JSON,
            "Content-Type": _FHIR_JSON,
            "Prefer": "return=representation",
            **condition,
        }
        request = HttpRequest(
            url=url,
            method=method,
            headers=headers,
            body=encode(resource),
            most_bytes=self._most_bytes,
        )
        retried = frozenset((409,)) if "If-None-Exist" in condition else frozenset[int]()
        return _Write(request=request, repeatable=bool(condition), retried=retried)

    def _done(self, access: Access, write: _Write, deadline: Deadline) -> WriteResult:
        try:
            response = self._response(access, write, deadline)
        except QueryError as error:
            return _result(error.response) if error.response else WriteResult(failure=error.code)
        return _result(response)

    def _response(self, access: Access, write: _Write, deadline: Deadline) -> HttpResponse:
        """The last response; raises `QueryError` if there is none."""
        replacement: str | None = None
        is_renewed = False
        response = None
        for attempt in range(TRIES):
            token = replacement or access.bearer.token(deadline)
            transport = self._transport(access.server.policy, kept=write.repeatable)
            response = send_once(transport.send, access, write.request, token, deadline)
            if response is not None and response.status == 401 and token and not is_renewed:
                is_renewed = True
                replacement = access.bearer.renewed(token, deadline)
                if replacement is None:
                    return response
            elif not _may_be_repeated(response, write) or attempt + 1 == TRIES:
                break
            else:
                wait_before_next(attempt, response, deadline)
        if response is None:
            raise QueryError("unreachable")
        return response

    def _transport(self, policy: AddressPolicy, *, kept: bool) -> Transport:
        """The transport of this policy; a new one where a connection must not have idled.

        A server may close an idle connection just as a request is sent: whether that was done is
        not known then, and only what is repeatable could be sent again.
        """
        if not kept:
            return Transport(policy, self._patience)
        with self._lock:
            if policy not in self._transports:
                self._transports[policy] = Transport(policy, self._patience)
            return self._transports[policy]


def _may_be_repeated(response: HttpResponse | None, write: _Write) -> bool:
    if response is None:
        return write.repeatable
    if response.status in _NOT_NOW and "Retry-After" in response.headers:
        return True
    return (write.repeatable and response.status in _BROKEN) or response.status in write.retried


def _result(response: HttpResponse) -> WriteResult:
    code: WriteFailure | None = None
    if response.status in _CONFLICTS:
        code = "conflict"
    elif not 200 <= response.status < 300:
        error = error_of(response)
        code = None if error is None else error.code
    return WriteResult(
        failure=code,
        status=response.status,
        body=response.body,
        location=response.headers.get("Location") or response.headers.get("Content-Location"),
        etag=response.headers.get("ETag"),
    )


def _type_of(resource: Mapping[str, Any]) -> str:
    kind = resource.get("resourceType")
    if kind not in RESOURCE_TYPES:
        raise ValueError("a write needs a resource of a type of FHIR R4")
    return str(kind)
