# SPDX-License-Identifier: Apache-2.0
"""`openapi.yaml` and the application say the same."""

import re
from typing import Any

import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks
from schemathesis.openapi import checks as openapi_checks

from cds_service import __version__
from cds_service.web.outcomes import STATUS
from tests.house.source import ROOT
from tests.web.calls import app

TEXT = (ROOT / "openapi.yaml").read_text(encoding="utf-8")
DESCRIPTION: dict[str, Any] = yaml.safe_load(TEXT)
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def test_every_address_of_the_application_is_described_and_no_other() -> None:
    routes = {
        (re.sub(r"<(?:\w+_)?id>", "{id}", rule.rule), method)
        for rule in app().url_map.iter_rules()
        for method in (rule.methods or set()) & METHODS
    }

    described = {
        (path, method.upper())
        for path, item in DESCRIPTION["paths"].items()
        for method in item
        if method.upper() in METHODS
    }
    assert routes == described


def test_it_is_served_as_it_stands() -> None:
    response = app().test_client().get("/openapi.yaml")

    assert (response.text, response.content_type) == (TEXT, "application/yaml")


def test_its_version_is_that_of_the_service() -> None:
    assert DESCRIPTION["info"]["version"] == __version__


def test_every_status_of_an_error_is_described_for_calls() -> None:
    described = set(DESCRIPTION["paths"]["/cds-services/{id}"]["post"]["responses"])

    assert {str(status) for status in STATUS.values()} <= described


SCHEMA = schemathesis.openapi.from_wsgi("/openapi.yaml", app())


@SCHEMA.parametrize()
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_generated_calls_are_answered_as_described(case: schemathesis.Case) -> None:
    case.call_and_validate(
        checks=[
            checks.not_a_server_error,
            openapi_checks.status_code_conformance,
            openapi_checks.content_type_conformance,
            openapi_checks.response_headers_conformance,
            openapi_checks.response_schema_conformance,
        ]
    )
