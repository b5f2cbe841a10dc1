# SPDX-License-Identifier: Apache-2.0
"""Everything that can go wrong, as one tree.

    CdsServiceError
    ├── RequestError              the CDS Client sent something that cannot be read
    │   ├── UnknownService        there is no service with that id
    │   ├── UnknownPage           there is no marker or rule with that id
    │   ├── Forbidden             the client may not ask this
    │   ├── UnsupportedMediaType  the body is not JSON
    │   ├── PayloadTooLarge       the body is over a limit
    │   └── TooSlow               the body did not arrive in time
    ├── Unauthenticated           the caller did not prove to be a registered client
    ├── Busy                      there is no time to answer now; it may be sent again
    ├── MissingData               FHIR data that the service needs could not be had
    ├── KnowledgeError            the card pack has problems; carries all of them
    ├── SettingsError             settings are missing or wrong; carries all of them
    └── StoreError                the database does not answer, or cannot be used

An error says what was expected, never what was received: a value in a message is patient data in
a log. Errors know neither HTTP statuses (`web/outcomes.py` does) nor exit codes (the CLI does).
"""

from collections.abc import Iterable, Iterator

from cds_service.counting import counted


class CdsServiceError(Exception):
    """Anything this service refuses or fails to do, in one sentence."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RequestError(CdsServiceError):
    """The request cannot be read; `where` is a JSON path such as `$.context.patientId`."""

    def __init__(self, message: str, where: str | None = None) -> None:
        super().__init__(message)
        self.where = where

    def __str__(self) -> str:
        return self.message if self.where is None else f"{self.where}: {self.message}"


class UnknownService(RequestError):
    """There is no service with that id."""


class UnknownPage(RequestError):
    """There is no marker or rule with that id; `near` are (id, title) of markers like it."""

    def __init__(self, message: str, *, near: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.near = near


class Forbidden(RequestError):
    """The client is known and may not ask this."""


class UnsupportedMediaType(RequestError):
    """The body is not of a media type that is read here."""


class PayloadTooLarge(RequestError):
    """The body is longer, deeper or has more entries than the settings allow."""


class TooSlow(RequestError):
    """The body did not arrive in the time that the settings allow."""


class Unauthenticated(CdsServiceError):
    """The caller did not prove to be a registered client; the answer never says why."""


class Busy(CdsServiceError):
    """There are too many calls, or no time is left for this one; it may be sent again."""


class MissingData(CdsServiceError):
    """FHIR data that the service needs were neither sent nor could be fetched, or read.

    `where` is the JSON path of what could not be read.
    """

    def __init__(self, message: str, where: str | None = None) -> None:
        super().__init__(message)
        self.where = where


class KnowledgeError(CdsServiceError):
    """The card pack has problems. Each of `problems` prints itself for people."""

    def __init__(self, problems: Iterable[object]) -> None:
        self.problems = tuple(problems)
        super().__init__(_listed("The card pack has", self.problems))


class SettingsError(CdsServiceError):
    """Settings are missing or wrong. Each of `problems` names its environment variable."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(_listed("The settings have", self.problems))


class StoreError(CdsServiceError):
    """The database does not answer or cannot be used; a call may be sent again later."""


def every_error() -> Iterator[type[CdsServiceError]]:
    """The whole tree, parents before their children."""
    branches: list[type[CdsServiceError]] = [CdsServiceError]
    for error in branches:  # grows while it is walked
        yield error
        branches.extend(error.__subclasses__())


def _listed(subject: str, problems: tuple[object, ...]) -> str:
    return "\n".join([f"{subject} {counted(len(problems), 'problem')}:", *map(str, problems)])
