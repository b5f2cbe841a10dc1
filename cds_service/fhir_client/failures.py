# SPDX-License-Identifier: Apache-2.0
"""Why a FHIR server gave no whole answer: a closed list of words, safe to log and to count."""

from typing import Final

FAILURES: Final = {
    "not-allowed": "the server may not be called from here",
    "token-over": "the access token is missing or its time is over",
    "unreachable": "no connection, or it broke",
    "late": "the answer was not there in time",
    "too-long": "the answer is longer than is read",
    "too-many-pages": "there are more pages, or references, than are read",
    "foreign-page": "the next page is said to be on another server",
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

# Why the service got no token of its own, for the administrator.
REASONS: Final = {
    "no-keys": "the service has no signing keys; CDS_SIGNING_KEYS names their file",
    "no-key": "no signing key of the algorithm for this server signs yet",
    "in-the-clear": "the server has no https, so no token is sent to it",
    "no-discovery": "its .well-known/smart-configuration is not there, or cannot be read",
    "no-endpoint": "its .well-known/smart-configuration names no token_endpoint",
    "endpoint-closed": "its token endpoint may not be called: not by https, or closed to us",
    "no-method": "it does not take private_key_jwt",
    "no-algorithm": "it does not take the algorithm of the servers file",
    "unanswered": "its token endpoint gave no whole answer",
    "redirected": "its token endpoint sends elsewhere; that is not followed",
    "no-token": "what its token endpoint sent is no access token",
    "not-bearer": "its access token is of another type than bearer",
    "fewer-scopes": "it granted none of the scopes that the service needs",
    "refused": "its token endpoint refused, without a reason that is known",
    "failed": "its token endpoint failed (5xx)",
    "invalid_request": "it says invalid_request: something is missing, or given twice",
    "invalid_client": "it says invalid_client: the client id, the key or the audience is not known",
    "invalid_grant": "it says invalid_grant: the grant is not valid",
    "unauthorized_client": "it says unauthorized_client: the client may not use this grant",
    "unsupported_grant_type": "it says unsupported_grant_type: it knows no client_credentials",
    "invalid_scope": "it says invalid_scope: the client may have none of the scopes",
}


class Failed(Exception):
    """A query without a whole answer; `word` is one of `FAILURES`."""

    def __init__(self, word: str) -> None:
        super().__init__(FAILURES[word])
        self.word = word


class NoOwnToken(Failed):
    """The service got no token of its own; `reason` is one of `REASONS`, `said` is it in words."""

    def __init__(self, reason: str, word: str = "no-own-token") -> None:
        super().__init__(word)
        self.reason = reason
        self.said = REASONS[reason]


def of_status(status: int) -> Failed | None:
    """What a status that is no success means; `None` for a success."""
    by_status = {401: "unauthorized", 403: "forbidden", 404: "not-found", 410: "not-found"}
    if status in by_status:
        return Failed(by_status[status])
    if status in {429, 503}:
        return Failed("busy")
    if status == 200:
        return None
    return Failed({2: "not-fhir", 3: "redirected", 4: "refused"}.get(status // 100, "broken"))
