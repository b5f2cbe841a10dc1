# SPDX-License-Identifier: Apache-2.0
"""Advice as a DetectedIssue, a Flag or a Communication: written once, withdrawn, left alone."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from fhir.resources import get_fhir_model_class
from pyrofile_validator import Validator

from cds_service.copying import replace
from cds_service.fhir_client.servers import AdviceResource
from cds_service.store import Store
from cds_service.store.advice import AdviceTable
from cds_service.subscriptions.advice import transaction
from cds_service.subscriptions.advice_r5 import as_r5
from cds_service.subscriptions.advice_resources import OPEN, REFUSALS
from cds_service.subscriptions.open_advice import is_withdrawn, proposals_in, state_of, withdrawn
from tests.fhir_server.sekmet import running
from tests.subscriptions.test_advice import PLACE, bundle_of, judged, resources
from tests.subscriptions.test_one_memory import Hooks
from tests.subscriptions.ward import OWNER, Ward
from tests.web.http_fixtures import ALT, BILIRUBIN, PATIENT, observation

Json = dict[str, Any]
KINDS: tuple[AdviceResource, ...] = get_args(AdviceResource)
OTHERS = KINDS[1:]
LATER = "2026-06-16T09:00:00Z"


def of(kind: AdviceResource, *results: Json) -> Json:
    """The transaction of the cards on these results."""
    found = results or (observation(ALT, 400), observation(BILIRUBIN, 4, "mg/dL"))
    return bundle_of(judged(*found), replace(PLACE, kind=kind))


@pytest.mark.parametrize("kind", OTHERS)
def test_every_resource_is_valid(kind: AdviceResource) -> None:
    validator = Validator()
    bundle = of(kind)

    assert resources(bundle, "Task") == []
    for entry in bundle["entry"]:
        issues = validator.validate_resource(entry["resource"]).issues
        assert [str(issue) for issue in issues] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_resource_is_valid_in_r5(kind: AdviceResource) -> None:
    for entry in of(kind)["entry"]:
        resource = as_r5(entry["resource"])
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)


@pytest.mark.parametrize("kind", OTHERS)
def test_it_says_what_a_task_says(kind: AdviceResource) -> None:
    bundle = of(kind, observation(ALT, 1))
    (task,) = resources(of("Task", observation(ALT, 1)), "Task")

    (found,) = resources(bundle, kind)

    assert found["identifier"] == task["identifier"]
    assert found["status"] == OPEN[kind]
    assert task["description"] in str(found)
    assert task["focus"]["reference"] in str(found)
    orders = [
        entry["fullUrl"] for entry in bundle["entry"] if entry["request"]["url"] == "ServiceRequest"
    ]
    assert [url for url in orders if url not in str(found)] == []
    (provenance,) = resources(bundle, "Provenance")
    assert f"urn:uuid:{found['identifier'][0]['value']}" in str(provenance["target"])


STATUSES = {
    ("Task", "R4"): "cancelled",
    ("Task", "R5"): "cancelled",
    ("DetectedIssue", "R4"): "cancelled",
    ("DetectedIssue", "R5"): "entered-in-error",
    ("Flag", "R4"): "inactive",
    ("Flag", "R5"): "inactive",
    ("Communication", "R4"): "stopped",
    ("Communication", "R5"): "stopped",
}


@pytest.mark.parametrize(("kind", "version"), STATUSES)
def test_it_is_withdrawn_by_the_status_of_its_type(kind: AdviceResource, version: Any) -> None:
    (made,) = resources(of(kind, observation(ALT, 1)), kind)
    made = as_r5(made) if version == "R5" else made

    ended = withdrawn(made, "result-corrected", LATER, version)

    assert ended["status"] == STATUSES[kind, version]
    assert (is_withdrawn(made), is_withdrawn(ended)) == (False, True)
    assert (state_of(made), state_of(ended)) == ("open", "cancelled")
    if version == "R5":
        get_fhir_model_class(kind).model_validate(ended)
    else:
        # The validator knows the first codes of each list of statuses; HAPI knows all of them.
        known = {**ended, "status": OPEN[kind]}
        issues = Validator().validate_resource(known).issues
        assert [str(issue) for issue in issues] == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_somebody_will_not_do_is_rejected(kind: AdviceResource) -> None:
    (made,) = resources(of(kind, observation(ALT, 1)), kind)

    for status in REFUSALS[kind]:
        assert state_of({**made, "status": status}) == "rejected"


def test_a_transaction_of_r5_has_one_element_for_reasons() -> None:
    entries = of("Task", observation(ALT, 1))["entry"]

    (task,) = resources(transaction(iter(entries), "R5"), "Task")

    assert [next(iter(reason)) for reason in task["reason"]] == ["concept", "reference"]
    assert {"reasonCode", "reasonReference"}.isdisjoint(task)


# On a server.


@pytest.fixture(name="ward", params=OTHERS)
def _ward(request: pytest.FixtureRequest, sqlite_store: Store) -> Iterator[Ward]:
    with running() as base:
        ward = Ward(base, sqlite_store, advice_as=request.param)
        ward.admit()
        yield ward


def states(ward: Ward) -> list[str]:
    rows = AdviceTable(ward.database.database).of_patient(ward.base, PATIENT)
    return [row.state for row in rows]


@pytest.mark.server
def test_it_is_written_once_and_withdrawn(ward: Ward) -> None:
    ward.store(observation(ALT, 1))
    (written,) = ward.found(ward.advice_as)
    orders = ward.found("ServiceRequest")
    assert written["status"] == OPEN[ward.advice_as]
    assert set(proposals_in(written)) == {f"ServiceRequest/{order['id']}" for order in orders}
    assert ward.found("Task") == []
    if ward.advice_as == "Communication":
        assert written["recipient"] == [{"reference": OWNER}]

    ward.store(observation(ALT, 1))
    assert ward.found(ward.advice_as) == [written]
    ward.store(observation(ALT, 30, status="corrected"))

    (ended,) = ward.found(ward.advice_as)
    assert ended["status"] == STATUSES[ward.advice_as, "R4"]
    assert {order["status"] for order in ward.found("ServiceRequest")} == {"revoked"}
    assert states(ward) == ["cancelled"]
    ward.store(observation(ALT, 1, status="corrected"))
    assert states(ward) == ["cancelled", "open"]


@pytest.mark.server
def test_what_somebody_touched_is_left_alone(ward: Ward) -> None:
    ward.store(observation(ALT, 1))
    (written,) = ward.found(ward.advice_as)
    changed = ward.change(written, language="en")

    ward.store(observation(ALT, 30, status="corrected"))

    assert ward.found(ward.advice_as) == [changed]
    assert states(ward) == ["left-alone"]


@pytest.mark.server
def test_what_it_proposes_no_card_proposes_again(ward: Ward, sqlite_store: Store) -> None:
    hooks = Hooks(sqlite_store, ward.base)
    ward.store(observation(ALT, 60))
    assert hooks.cards(observation(ALT, 60)) == []

    (written,) = ward.found(ward.advice_as)
    ward.change(written, status="entered-in-error")
    ward.store(observation(ALT, 60))

    assert len(hooks.cards(observation(ALT, 60))) == 1


@pytest.mark.server
def test_what_was_written_before_the_setting_changed_is_withdrawn(ward: Ward) -> None:
    before = Ward(ward.base, ward.database)
    before.store(observation(ALT, 1))

    ward.store(observation(ALT, 30, status="corrected"))

    assert [task["status"] for task in ward.found("Task")] == ["cancelled"]
