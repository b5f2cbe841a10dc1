# SPDX-License-Identifier: Apache-2.0
"""The resources that advice is made of: valid, complete, and the same for the same advice."""

from datetime import UTC, timedelta
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from msgspec.json import encode
from pyrofile_validator import Validator

from cds_service.copying import replace
from cds_service.hooks.request import read_request
from cds_service.prefetch_keys import CONDITIONS
from cds_service.service import asked_on_arrival
from cds_service.subscriptions.advice import (
    Advice,
    AdvicePlace,
    advice_id,
    entries_of,
    subject_of,
    transaction,
)
from cds_service.subscriptions.advice_parts import identifier_of
from cds_service.subscriptions.judgement import Judgement, judge
from cds_service.subscriptions.patient_data import ArrivedVersion
from tests.web.http_fixtures import ALT, BILIRUBIN, NOW, PATIENT, call, knowledge, observation
from tests.web.http_fixtures import bundle as searchset

Json = dict[str, Any]

PLACE = AdvicePlace(
    server="https://fhir.example.org/r4", patient=PATIENT, zone=UTC, owner="Organization/lab"
)


def judged(*results: Json, now: Any = NOW, **prefetch: object) -> Judgement:
    """What is said when the first of these results arrives."""
    body = encode(call(*results, **prefetch))
    request = read_request(body, max_depth=64, max_entries=1000)
    ((service, served),) = asked_on_arrival(knowledge())
    arrived = ArrivedVersion(reference=f"Observation/{results[0]['id']}")
    return judge(knowledge(), service, served, request, [arrived], now)


def bundle_of(judgement: Judgement, place: AdvicePlace = PLACE) -> Json:
    """The transaction of all cards."""
    outcome = judgement.outcome(frozenset(), frozenset())
    cards = judgement.cards(outcome, judgement.call(place.server, place.patient), None)
    shown = [decision for decision in outcome.decisions if decision.shown]
    return transaction(
        entry
        for card, decision in zip(cards, shown, strict=True)
        for entry in entries_of(
            Advice(
                id=advice_id(subject_of(decision, outcome.pack), place),
                decision=decision,
                card=card,
            ),
            outcome,
            place,
        )
    )


def resources(bundle: Json, kind: str) -> list[Json]:
    return [
        entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind
    ]


@pytest.fixture(name="validator", scope="module")
def _validator() -> Validator:
    return Validator()


def test_every_resource_is_valid(validator: Validator) -> None:
    bundle = bundle_of(judged(observation(ALT, 400), observation(BILIRUBIN, 4, "mg/dL")))

    for entry in bundle["entry"]:
        resource = entry["resource"]
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        assert [str(issue) for issue in validator.validate_resource(resource).issues] == []


def test_every_entry_is_a_conditional_create_on_something_of_ours() -> None:
    bundle = bundle_of(judged(observation(ALT, 1)))

    assert bundle["type"] == "transaction"
    kinds = [entry["request"]["url"] for entry in bundle["entry"]]
    assert kinds == [*["ServiceRequest"] * 4, "GuidanceResponse", "Task", "Provenance"]
    conditions = [entry["request"]["ifNoneExist"] for entry in bundle["entry"]]
    assert len(set(conditions)) == len(conditions)
    names = [entry["fullUrl"].removeprefix("urn:uuid:") for entry in bundle["entry"]]
    assert all(c.endswith(f"|{name}") for c, name in zip(conditions, names, strict=True))
    for entry in bundle["entry"]:
        tags = entry["resource"]["meta"]["tag"]
        assert {"system": "https://cds-service.example/tags", "code": "proposal"} in tags


def test_what_a_task_says() -> None:
    bundle = bundle_of(judged(observation(ALT, 1)))

    (task,) = resources(bundle, "Task")
    assert task["description"].startswith("Very low ALT (1 U/L)")
    assert task["reasonCode"]["coding"][0]["code"] == "alt-very-low"
    assert task["owner"] == {"reference": "Organization/lab"}
    assert task["restriction"]["period"] == {"start": "2026-06-15", "end": "2026-06-29"}
    orders = [identifier_of(order) for order in resources(bundle, "ServiceRequest")]
    named = [proposal["valueReference"]["reference"] for proposal in task["input"]]
    assert named[:-1] == [f"urn:uuid:{name}" for name in orders]


@pytest.mark.parametrize(("alt", "priority"), [(1, "routine"), (250, "urgent"), (2400, "stat")])
def test_the_priority_follows_the_indicator(alt: float, priority: str) -> None:
    bundle = bundle_of(judged(observation(ALT, alt)))

    assert resources(bundle, "Task")[0]["priority"] == priority


def test_data_that_were_not_known_are_asked_for() -> None:
    whole = bundle_of(judged(observation(ALT, 1), medicationStatements=searchset()))
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "x"}]}
    lacking = bundle_of(judged(observation(ALT, 1), **{CONDITIONS: outcome}))

    (first,), (second,) = (resources(bundle, "GuidanceResponse") for bundle in (whole, lacking))
    assert (first["status"], "dataRequirement" in first) == ("success", False)
    assert second["status"] == "data-requested"
    assert {"type": "Condition"} in second["dataRequirement"]


def test_provenance_names_versions_and_targets() -> None:
    bundle = bundle_of(judged(observation(ALT, 1)))

    (provenance,) = resources(bundle, "Provenance")
    versions = {
        version["type"]["text"]: version["value"]
        for version in provenance["contained"][0]["version"]
    }
    pack = knowledge().packs[0]
    assert versions["pack liver"] == pack.version
    assert versions["rule alt-very-low"] == pack.rules["alt-very-low"].version
    assert len(provenance["target"]) == len(bundle["entry"]) - 1


def test_a_result_whose_id_is_longer_than_fhir_allows_is_referred_to() -> None:
    bundle = bundle_of(judged(observation(ALT, 1, id="x" * 80)))

    assert resources(bundle, "Task")[0]["focus"] == {"reference": f"Observation/{'x' * 80}"}


def test_no_owner_is_named_where_none_is_set() -> None:
    bundle = bundle_of(judged(observation(ALT, 1)), replace(PLACE, owner=None))

    assert "owner" not in resources(bundle, "Task")[0]


def task_identifiers(bundle: Json) -> list[str]:
    return [identifier_of(task) for task in resources(bundle, "Task")]


def test_the_same_result_has_the_same_identifiers_at_any_time() -> None:
    first = judged(observation(ALT, 1))
    again = judged(observation(ALT, 1, meta={"versionId": "7"}), now=NOW + timedelta(hours=5))

    conditions = [
        [entry["request"]["ifNoneExist"] for entry in bundle_of(advice)["entry"]]
        for advice in (first, again)
    ]
    assert conditions[0] == conditions[1]


@pytest.mark.parametrize(
    "other",
    [
        observation(ALT, 2),
        observation(ALT, 1, id="another"),
        observation(ALT, 1, effectiveDateTime="2026-06-14T09:00:00Z"),
    ],
)
def test_another_result_has_other_identifiers(other: Json) -> None:
    assert task_identifiers(bundle_of(judged(other))) != task_identifiers(
        bundle_of(judged(observation(ALT, 1)))
    )


@pytest.mark.parametrize(
    "place", [replace(PLACE, server="https://other.example.org"), replace(PLACE, patient="p2")]
)
def test_another_patient_has_other_identifiers(place: AdvicePlace) -> None:
    judgement = judged(observation(ALT, 1))

    assert task_identifiers(bundle_of(judgement, place)) != task_identifiers(bundle_of(judgement))
