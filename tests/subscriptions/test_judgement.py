# SPDX-License-Identifier: Apache-2.0
"""Which cards are due when a result arrives, and when one is taken back."""

from typing import Any

import pytest
from msgspec import Raw
from msgspec.json import encode

from cds_service.hooks.request import read_request
from cds_service.service import asked_on_arrival
from cds_service.subscriptions.judgement import judge
from cds_service.subscriptions.patient_data import ArrivedVersion, takes_back
from tests.web.http_fixtures import ALP, ALT, BILIRUBIN, NOW, call, knowledge, observation

Json = dict[str, Any]

OLDER = observation(ALT, 1500, id="older", effectiveDateTime="2026-06-13T08:00:00Z")
NEWER = observation(ALT, 1600, id="newer")
IN_ERROR = {**NEWER, "status": "entered-in-error"}


def indicators(arrived: ArrivedVersion, *results: Json) -> set[str]:
    """The severities of what is shown when this arrives."""
    request = read_request(encode(call(*results)), max_depth=64, max_entries=1000)
    ((service, served),) = asked_on_arrival(knowledge())
    judgement = judge(knowledge(), service, served, request, [arrived], NOW)
    outcome = judgement.outcome(frozenset(), frozenset())
    return {decision.indicator for decision in outcome.decisions if decision.shown}


def version(resource: Json, **more: Any) -> ArrivedVersion:
    body = Raw(encode(resource))
    usual: dict[str, Any] = {"body": body, "withdrawn": takes_back(body)}
    return ArrivedVersion(reference=f"Observation/{resource['id']}", **(usual | more))


def test_only_cards_on_what_arrived_or_newer_results_are_due() -> None:
    later = observation("2345-7", 90, "mg/dL", id="later")

    assert indicators(version(later), OLDER, later) == set()
    assert indicators(version(OLDER), OLDER, later) == {"critical"}


def test_a_result_that_makes_an_older_one_critical_brings_its_card() -> None:
    """The ALT alone was mild when it arrived; the card about both is about the ALT."""
    alt = observation(ALT, 150, id="alt", effectiveDateTime="2026-06-13T08:00:00Z")
    alp = observation(ALP, 100, id="alp", effectiveDateTime="2026-06-13T08:00:00Z")
    bilirubin = observation(BILIRUBIN, 5, "mg/dL", id="bilirubin")
    inr = observation("6301-6", 2.1, "{INR}", id="inr")

    assert "critical" not in indicators(version(alt), alt, alp)
    assert indicators(version(bilirubin), alt, alp, bilirubin) == {"critical"}
    assert indicators(version(inr), OLDER, inr) == {"critical"}


def test_a_result_that_no_card_rests_on_brings_none_back() -> None:
    mild = observation(ALT, 90, id="older", effectiveDateTime="2026-06-13T08:00:00Z")
    ggt = observation("2324-2", 20, id="ggt")

    assert indicators(version(ggt), mild, ggt) == set()


@pytest.mark.parametrize(
    "taken_back",
    [
        version(IN_ERROR),
        version({**NEWER, "status": "cancelled"}),
        ArrivedVersion(reference="Observation/newer", gone=True),
        version({**NEWER, "valueQuantity": {"value": 1600}}, withdrawn=True),  # it was advised on
    ],
)
def test_what_is_the_newest_once_a_result_is_taken_back_has_its_advice(
    taken_back: ArrivedVersion,
) -> None:
    assert indicators(taken_back, OLDER) == {"critical"}


def test_a_result_that_was_never_of_use_brings_no_older_cards_back() -> None:
    unusable = {**NEWER, "valueQuantity": {"value": 1600}}

    assert "critical" not in indicators(version(unusable), OLDER)


def test_a_corrected_result_is_no_withdrawal() -> None:
    corrected = observation(ALT, 30, id="newer")

    assert indicators(version(corrected, withdrawn=True), OLDER, corrected) == set()
