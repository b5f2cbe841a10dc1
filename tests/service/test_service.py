# SPDX-License-Identifier: Apache-2.0
"""The use case without HTTP: which service answers, when it refuses, and when it says why."""

import json
from collections.abc import Mapping

import pytest

from cds_service.errors import MissingData, RequestError, UnknownService
from cds_service.hooks.request import HookRequest, read_request
from cds_service.service import Answer, Options, answer_hook, answer_input
from cds_service.settings import ExplainMode
from cds_service.sources.file import inputs_from_document, read_resources
from tests.web.http_fixtures import (
    ALT,
    NOW,
    Json,
    bundle,
    call,
    explained,
    founding,
    knowledge,
    observation,
    patient,
)

SERVICE = "liver-patient-view"


def request_of(body: Json) -> HookRequest:
    return read_request(json.dumps(body).encode(), max_depth=64, max_entries=100)


def answer(body: Json, mode: ExplainMode = "off", service: str = SERVICE) -> Answer:
    return answer_hook(
        knowledge(), request_of(body), service, NOW, Options(base_url=None, explain=mode)
    )


def test_the_answer_holds_the_response_and_the_outcome_it_tells_of() -> None:
    found = answer(founding())

    shown = [decision.rule.id for decision in found.outcome.decisions if decision.shown]
    assert shown == ["alt-very-low"]
    assert len(found.response.cards) == 1


def test_an_unknown_service_is_refused() -> None:
    with pytest.raises(UnknownService):
        answer(founding(), service="kidney-patient-view")


def test_a_hook_that_the_service_does_not_answer_is_refused() -> None:
    with pytest.raises(RequestError, match="patient-view"):
        answer({**founding(), "hook": "org.example.result-review"})


def test_without_results_it_refuses_and_with_none_it_has_no_cards() -> None:
    with pytest.raises(MissingData):
        answer(call(observations="garbage"))

    assert answer(call(observations=None)).response.cards == ()


@pytest.mark.parametrize(
    ("mode", "asked", "told"),
    [
        ("off", True, False),
        ("off", False, False),
        ("on-request", True, True),
        ("on-request", False, False),
        ("always", False, True),
    ],
)
def test_reasons_are_told_as_the_site_allows(mode: ExplainMode, asked: bool, told: bool) -> None:
    body = explained(founding()) if asked else founding()

    assert (answer(body, mode).response.extension is not None) is told


@pytest.mark.parametrize(
    "extension",
    [{}, {"org.cds-service.request": True}, {"org.cds-service.request": {"explain": "yes"}}],
)
def test_a_request_for_reasons_in_another_form_is_none(extension: Json) -> None:
    body = {**founding(), "extension": extension}

    assert answer(body, "on-request").response.extension is None


def test_without_an_address_a_card_has_no_link_to_its_rule() -> None:
    assert answer(founding()).response.cards[0].source.url is None


def test_resources_of_a_file_get_the_same_cards_with_reasons() -> None:
    resources = bundle(patient(), observation(ALT, 1))
    (given,) = inputs_from_document(read_resources(json.dumps(resources).encode()))

    found = answer_input(knowledge(), given, SERVICE, "patient-view", NOW)

    (card,) = found.response.cards
    assert card.extension is not None
    ours = card.extension["org.cds-service.card"]
    assert isinstance(ours, Mapping)
    assert ours["rule"] == "alt-very-low"
    assert "Not known" in card.detail
    assert found.response.extension is not None
