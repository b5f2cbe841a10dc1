# SPDX-License-Identifier: Apache-2.0
"""Why a FHIR server gave no whole answer: closed lists of codes, safe to log and to count."""

from typing import Final, Literal, TypeAlias

from cds_service.outgoing.messages import HttpResponse

QueryFailure: TypeAlias = Literal[
    "not-allowed",
    "token-over",
    "unreachable",
    "late",
    "too-long",
    "too-many-pages",
    "foreign-page",
    "redirected",
    "unauthorized",
    "forbidden",
    "not-found",
    "busy",
    "refused",
    "broken",
    "outcome",
    "not-fhir",
    "other-patient",
    "ignored",
    "no-own-token",
    "fewer-scopes",
]

QUERY_FAILURES: Final[dict[QueryFailure, str]] = {
    "not-allowed": "the server may not be called from here",
    "token-over": "the access token is missing or its time is over",
    "unreachable": "no connection, or it broke",
    "late": "the answer was not there in time",
    "too-long": "the answer is longer than is read",
    "too-many-pages": "there are more pages, or references, than are read",
    "foreign-page": "the link to the next page names another server",
    "redirected": "the server sends elsewhere; that is not followed",
    "unauthorized": "the server does not accept the access token (401)",
    "forbidden": "the access token does not allow this (403)",
    "not-found": "the server has no such resource (404 or 410)",
    "busy": "the server asks to come back later (429 or 503)",
    "refused": "the server refused the query (another 4xx)",
    "broken": "the server failed (another 5xx)",
    "outcome": "the server answered with an error in place of data",
    "not-fhir": "the answer is no FHIR resource that was asked for",
    "other-patient": "the server sent data of another patient",
    "ignored": "the server ignored whose data were asked for",
    "no-own-token": "the service got no access token of its own",
    "fewer-scopes": "the service's own token covers nothing of what is asked",
}


class QueryError(Exception):
    """A query without a whole answer; `code` says why, by a `response` if its status is no 200."""

    def __init__(self, code: QueryFailure, response: HttpResponse | None = None) -> None:
        super().__init__(QUERY_FAILURES[code])
        self.code: QueryFailure = code
        self.response = response


def error_of(response: HttpResponse) -> QueryError | None:
    """The error that the status of a response stands for; `None` for 200."""
    status = response.status
    if status == 200:
        return None
    code = _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, "broken")
    return QueryError(code, response)


_BY_STATUS: Final[dict[int, QueryFailure]] = {
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    410: "not-found",
    429: "busy",
    503: "busy",
}
_BY_CLASS: Final[dict[int, QueryFailure]] = {2: "not-fhir", 3: "redirected", 4: "refused"}
