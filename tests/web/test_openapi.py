# SPDX-License-Identifier: Apache-2.0
"""`openapi.yaml` and the application say the same."""

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import schemathesis
import yaml
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from msgspec import Struct
from schemathesis import checks

from cds_service.catalogue.other_cards import RelatedRule
from cds_service.catalogue.rules import RulePage
from cds_service.catalogue.suggestions import SuggestionView
from cds_service.explainers.page import ExplainPage, UnitSystem
from cds_service.explanation.clauses import WithholdingClause
from cds_service.explanation.scale import LimitView
from cds_service.settings import Settings
from cds_service.subscriptions.decision_list import AdviceView, DecisionPage, DecisionView
from cds_service.subscriptions.overview import ArrivalsView, InboxView, SubscriptionView
from cds_service.web.outcomes import STATUS
from tests.house.source import ROOT
from tests.web.http_fixtures import app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TEXT = (ROOT / "openapi.yaml").read_text(encoding="utf-8")
DESCRIPTION: dict[str, Any] = yaml.safe_load(TEXT)
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def test_every_address_of_the_application_is_described_and_no_other() -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(?:\w+_)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in application().url_map.iter_rules()
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


def schema(*path: str) -> dict[str, Any]:
    found: dict[str, Any] = DESCRIPTION
    for step in path:
        found = found[step]
    return found


RULE_PAGE = schema("paths", "/rules/{id}", "get", "responses", "200", "content")
EXPLAINED = schema("components", "responses", "Explained", "content")


@pytest.mark.parametrize(
    ("view", "described"),
    [
        (RulePage, RULE_PAGE["application/json"]["schema"]),
        (ExplainPage, EXPLAINED["application/json"]["schema"]),
        (UnitSystem, EXPLAINED["application/json"]["schema"]["properties"]["systems"]["items"]),
        (SuggestionView, schema("components", "schemas", "RuleSuggestion")),
        (RelatedRule, schema("components", "schemas", "RelatedRule")),
        (WithholdingClause, schema("components", "schemas", "Because")),
        (LimitView, schema("components", "schemas", "UsedLimit")),
        (ArrivalsView, schema("components", "schemas", "Arrivals")),
        (InboxView, schema("components", "schemas", "Arrivals", "properties", "inbox")),
        (DecisionPage, schema("components", "schemas", "Arrivals", "properties", "decided")),
        (SubscriptionView, schema("components", "schemas", "RegisteredSubscription")),
        (DecisionView, schema("components", "schemas", "ArrivalDecision")),
        (AdviceView, schema("components", "schemas", "ArrivalAdvice")),
    ],
)
def test_every_member_of_a_page_is_described(view: type[Struct], described: dict[str, Any]) -> None:
    fields = msgspec.structs.fields(view)

    assert {field.encode_name for field in fields} == set(described["properties"])
    assert set(described["required"]) <= {field.encode_name for field in fields}


def test_every_status_of_an_error_is_described_for_calls_or_feedback() -> None:
    call, feedback = (
        set(DESCRIPTION["paths"][path]["post"]["responses"])
        for path in ("/cds-services/{id}", "/cds-services/{id}/feedback")
    )

    assert {str(status) for status in STATUS.values()} <= call | feedback
    assert call - feedback == {"412"}  # feedback brings no data to judge by
    assert feedback <= call


@cache
def application() -> Flask:
    return app(Settings(sandbox=True))  # without a list it asks no FHIR server


def from_this_machine(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
    """The application; schemathesis names no peer, and open mode wants one."""
    return application()({**environ, "REMOTE_ADDR": "127.0.0.1"}, start)


SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
SCHEMA.app = from_this_machine


GENERATED = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
NOT_CHECKED = [
    # A tolerant reader takes more than the description promises.
    checks.negative_data_rejection,
    # A call that has the right form can still lack the results to judge by (412).
    checks.positive_data_acceptance,
]


@SCHEMA.parametrize()
@GENERATED
def test_generated_requests_are_answered_as_described(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(excluded_checks=NOT_CHECKED)


@SCHEMA.include(operation_id="feedback").parametrize()
@GENERATED
def test_generated_feedback_on_a_known_service_is_answered_as_described(
    case: schemathesis.Case[Any],
) -> None:
    case.path_parameters["id"] = "liver-patient-view"

    case.call_and_validate(excluded_checks=NOT_CHECKED)


@SCHEMA.include(operation_id="call").parametrize()
@GENERATED
def test_generated_calls_of_a_known_service_are_answered_as_described(
    case: schemathesis.Case[Any],
) -> None:
    case.path_parameters["id"] = "liver-patient-view"

    case.call_and_validate(excluded_checks=NOT_CHECKED)
