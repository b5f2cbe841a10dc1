# SPDX-License-Identifier: Apache-2.0
"""Errors -> HTTP: the status, and an R4 OperationOutcome that says what to do.

The only module that knows what status an error has. The body is sent as `application/json`, not
`application/fhir+json`: it is part of a CDS Hooks exchange, where every body is JSON (CDS Hooks
2.0.1, "Use of JSON"), and clients look at the type before they read.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response
from msgspec.json import Encoder
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from cds_service.errors import (
    Busy,
    CdsServiceError,
    Forbidden,
    KnowledgeError,
    MissingData,
    PayloadTooLarge,
    RequestError,
    SettingsError,
    StoreError,
    TooSlow,
    Unauthenticated,
    UnknownPage,
    UnknownService,
    UnsupportedMediaType,
)
from cds_service.log import log_crash
from cds_service.web.request_log import LogEntry

JSON = "application/json; charset=utf-8"

SECURITY = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    # What says something about a patient is kept nowhere; only discovery is for keeping.
    ("Cache-Control", "no-store"),
)
"""Headers of every answer that has none of its own of these names."""

STATUS: dict[type[CdsServiceError], int] = {
    CdsServiceError: 500,
    RequestError: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    UnknownService: 404,
    UnknownPage: 404,
    UnsupportedMediaType: 415,
    PayloadTooLarge: 413,
    MissingData: 412,
    TooSlow: 408,
    Busy: 503,
    KnowledgeError: 500,
    SettingsError: 500,
    StoreError: 503,
}

# IssueType of FHIR R4 for each status that is sent.
ISSUES: Mapping[int, str] = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    408: "timeout",
    412: "required",
    413: "too-long",
    415: "not-supported",
    500: "exception",
    503: "transient",
}
_MESSAGES: dict[int, str] = {
    400: "This is no HTTP request that can be read.",
    404: "There is nothing at this address; GET /cds-services lists the services.",
    405: "This address does not take this method; the header Allow lists those it takes.",
    413: "The body is longer than this service reads.",
    500: "The service failed. The failure was logged; the request can be sent again.",
    503: "The database does not answer; the request can be sent again later.",
}
FORBIDDEN = 403
UNAVAILABLE = 503
_RETRY_SECONDS = "30"
_RETRY_BUSY = "2"
CRASH = 500

_ENCODER = Encoder()


def outcome(status: int, message: str) -> dict[str, Any]:
    """An OperationOutcome with one issue; `message` is ours and holds nothing that was received."""
    issue = {
        "severity": "fatal" if status >= CRASH else "error",
        "code": ISSUES.get(status, "processing"),
        "diagnostics": message,
    }
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def answer_to_any(error: Exception, entry: LogEntry) -> Response:
    """The response to an error, which is noted for the log."""
    if isinstance(error, CdsServiceError):
        entry.fail(error)
        return answer_to(error)
    if isinstance(error, HTTPException):
        return answer_to_http(error)
    entry.problem = type(error).__name__
    entry.outcome = "crash"
    log_crash(error)
    return crashed()


def answer_to(error: CdsServiceError) -> Response:
    """The response to an error of ours."""
    status = STATUS[type(error)]
    if status == UNAVAILABLE:
        return _unavailable(error)
    if status >= CRASH:
        return crashed()
    response = refusal(status, str(error))
    if isinstance(error, UnsupportedMediaType):
        # RFC 9110, section 12.5.3: what would have been taken, for content codings as well
        response.headers["Accept-Post"] = "application/json, application/fhir+json"
        response.headers["Accept-Encoding"] = "identity"
    if isinstance(error, Unauthenticated):
        # RFC 9110, section 11.6.1; without the `error` of RFC 6750, which would say what is wrong
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _unavailable(error: CdsServiceError) -> Response:
    # RFC 9110, section 10.2.3: how long to wait; calls pass quickly, a database may take longer
    busy = isinstance(error, Busy)
    response = refusal(UNAVAILABLE, str(error) if busy else _MESSAGES[UNAVAILABLE])
    response.headers["Retry-After"] = _RETRY_BUSY if busy else _RETRY_SECONDS
    return response


def message_for(error: CdsServiceError) -> str:
    """What the response to an error of ours says."""
    return _MESSAGES[CRASH] if STATUS[type(error)] >= CRASH else str(error)


def answer_to_http(error: HTTPException) -> Response:
    """The response to an error of the web framework, in our own words."""
    status = error.code or CRASH
    message = _MESSAGES.get(status) or f"The request was refused: {HTTPStatus(status).phrase}."
    response = refusal(status, message)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def crashed() -> Response:
    """The response to an error that nobody foresaw: nothing about what happened."""
    return refusal(CRASH, _MESSAGES[CRASH])


def refusal(status: int, message: str) -> Response:
    """A response that is no success."""
    return json_response(outcome(status, message), status)


def json_response(body: Mapping[str, Any] | bytes, status: int = HTTPStatus.OK) -> Response:
    """A response of JSON; bytes are taken as they are."""
    data = body if isinstance(body, bytes) else _ENCODER.encode(body)
    return Response(data, status, content_type=JSON)
