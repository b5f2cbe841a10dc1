# SPDX-License-Identifier: Apache-2.0
"""Generated requests to every operation while clients are registered, with and without tokens."""

import tempfile
from collections.abc import Iterable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks

from tests.trust.signing import BASE, Site, es384, rs384, site
from tests.web.test_openapi import DESCRIPTION

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

GENERATED = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
NOT_CHECKED = [
    checks.negative_data_rejection,
    checks.positive_data_acceptance,
    checks.ignored_auth,  # it takes the token from the headers that it knows of: none
]


@cache
def place() -> Site:
    folder = Path(tempfile.mkdtemp(prefix="cds-service-test-"))
    return site(folder, discovery="protected", feedback_page=True, sandbox=True)


def signed(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
    """The application, called by a client that signs every call for its address."""
    signer = es384() if len(environ["PATH_INFO"]) % 2 else rs384()
    token = signer.token(aud=BASE + environ["PATH_INFO"].encode("latin-1").decode("utf-8"))
    environ = {**environ, "HTTP_AUTHORIZATION": f"Bearer {token}"}
    return place().http.application(environ, start)


def unsigned(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
    """The application, called by a stranger."""
    return place().http.application(environ, start)


SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
SCHEMA.app = signed
BARE_SCHEMA = schemathesis.openapi.from_dict(deepcopy(DESCRIPTION))
BARE_SCHEMA.app = unsigned


@SCHEMA.parametrize()
@GENERATED
def test_generated_requests_with_a_token_are_answered_as_described(
    case: schemathesis.Case[Any],
) -> None:
    response = case.call_and_validate(excluded_checks=NOT_CHECKED)

    # The sandbox asks no FHIR server that is not listed, and takes no feedback.
    assert response.status_code not in {401, *([] if case.path.startswith("/sandbox") else [403])}


@BARE_SCHEMA.parametrize()
@GENERATED
def test_generated_requests_without_a_token_get_nowhere(case: schemathesis.Case[Any]) -> None:
    response = case.call()

    if case.method == "OPTIONS":  # a preflight carries no token and runs nothing
        assert response.content == b""
    elif case.path.startswith("/cds-services"):
        assert response.status_code in {401, 404, 405}
        if response.status_code == 401:
            assert response.content == place().call(None).data
    assert response.status_code < 500


@pytest.mark.parametrize("operation", ["call", "discover"])
def test_the_description_says_where_a_token_is_needed(operation: str) -> None:
    (found,) = (
        method
        for item in DESCRIPTION["paths"].values()
        for method in item.values()
        if isinstance(method, dict) and method.get("operationId") == operation
    )

    assert {"clientToken": []} in found["security"]
    assert "401" in found["responses"]
