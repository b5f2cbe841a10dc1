# SPDX-License-Identifier: Apache-2.0
"""The error tree, and that each of its classes has an answer at every door."""

from cds_service import errors
from cds_service.errors import (
    Forbidden,
    KnowledgeError,
    MissingData,
    PayloadTooLarge,
    RequestError,
    SettingsError,
    TooSlow,
    Unauthenticated,
    UnknownPage,
    UnknownService,
    UnsupportedMediaType,
    every_error,
)


def test_the_tree_in_the_docstring_is_complete() -> None:
    drawn = errors.__doc__ or ""

    assert [each.__name__ for each in every_error() if each.__name__ not in drawn] == []


def test_every_error_has_an_http_status() -> None:
    from cds_service.web.outcomes import STATUS

    assert set(every_error()) - set(STATUS) == set()
    assert {error: STATUS[error] for error in every_error() if STATUS[error] < 500} == {
        RequestError: 400,
        Unauthenticated: 401,
        Forbidden: 403,
        UnknownService: 404,
        UnknownPage: 404,
        MissingData: 412,
        TooSlow: 408,
        PayloadTooLarge: 413,
        UnsupportedMediaType: 415,
    }


def test_every_error_has_an_exit_code() -> None:
    from cds_service.cli import EXIT_CODES

    assert set(every_error()) - set(EXIT_CODES) == set()
    assert EXIT_CODES[KnowledgeError] == 1
    assert EXIT_CODES[SettingsError] == 2


def test_a_request_error_says_where() -> None:
    error = RequestError("an id was expected", where="$.context.patientId")

    assert str(error) == "$.context.patientId: an id was expected"
    assert error.message == "an id was expected"


def test_a_knowledge_error_prints_all_its_problems() -> None:
    error = KnowledgeError(["first", "second"])

    assert error.problems == ("first", "second")
    assert str(error) == "The card pack has 2 problems:\nfirst\nsecond"
