# SPDX-License-Identifier: Apache-2.0
"""Why a FHIR server gave no whole answer: a closed list of words, safe to log and to count."""

from typing import Final

FAILURES: Final = {
    "not-allowed": "the server may not be called from here",
    "token-over": "the access token is missing or its time is over",
    "unreachable": "no connection, or it broke",
    "late": "the answer was not there in time",
    "too-long": "the answer is longer than is read",
    "too-many-pages": "there are more pages than are read",
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
}


class Failed(Exception):
    """A query without a whole answer; `word` is one of `FAILURES`."""

    def __init__(self, word: str) -> None:
        super().__init__(FAILURES[word])
        self.word = word


def of_status(status: int) -> Failed | None:
    """What a status that is no success means; `None` for a success."""
    by_status = {401: "unauthorized", 403: "forbidden", 404: "not-found", 410: "not-found"}
    if status in by_status:
        return Failed(by_status[status])
    if status in {429, 503}:
        return Failed("busy")
    if 200 <= status < 300:
        return None
    return Failed({3: "redirected", 4: "refused"}.get(status // 100, "broken"))
