# SPDX-License-Identifier: Apache-2.0
"""Advice on HAPI FHIR: written once whoever else writes, changed by nothing, withdrawn."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from cds_service.store import open_store
from cds_service.store.advice import AdviceTable
from cds_service.subscriptions.notified_resource import read_resource
from tests.subscriptions.ward import Ward
from tests.web.http_fixtures import ALT, observation

# The fixture `hapi` gives its tests their markers.
Json = dict[str, Any]


@pytest.fixture(name="ward")
def _ward(hapi: str) -> Iterator[Ward]:
    store = open_store("sqlite://")
    ward = Ward(hapi, store, patient=f"p{uuid4().hex[:12]}")
    ward.admit()
    yield ward
    store.close()


def alt(ward: Ward, value: float, **more: Any) -> Json:
    return observation(ALT, value, id=f"alt-{ward.patient}", **more)


def found(ward: Ward, kind: str) -> list[Json]:
    page = ward.get(f"{kind}?patient=Patient/{ward.patient}&_count=50")
    return [entry["resource"] for entry in page.get("entry", [])]


def states(ward: Ward) -> list[str]:
    rows = AdviceTable(ward.database.database).of_patient(ward.base, ward.patient)
    return [row.state for row in rows]


def test_written_repeated_and_withdrawn(ward: Ward) -> None:
    ward.store(alt(ward, 1))
    (task,) = found(ward, "Task")
    orders = found(ward, "ServiceRequest")
    assert task["status"] == "requested"
    assert len(orders) == 4
    assert len(found(ward, "GuidanceResponse")) == 1

    ward.store(alt(ward, 1, note=[{"text": "sent again"}]))
    assert found(ward, "Task") == [task]

    ward.store(alt(ward, 30, status="corrected"))
    assert [task["status"] for task in found(ward, "Task")] == ["cancelled"]
    assert {order["status"] for order in found(ward, "ServiceRequest")} == {"revoked"}
    assert states(ward) == ["cancelled"]


def test_entered_in_error_withdraws(ward: Ward) -> None:
    ward.store(alt(ward, 1))

    ward.store(alt(ward, 1, status="entered-in-error"))

    assert [task["status"] for task in found(ward, "Task")] == ["cancelled"]


def test_a_task_that_somebody_touched_is_left_alone(ward: Ward) -> None:
    ward.store(alt(ward, 1))
    (task,) = found(ward, "Task")
    ward.change(task, status="accepted")

    ward.store(alt(ward, 30, status="corrected"))

    assert [task["status"] for task in found(ward, "Task")] == ["accepted"]
    assert states(ward) == ["left-alone"]


def test_eight_workers_at_once_write_one_task(ward: Ward) -> None:
    resource = ward.store(alt(ward, 1), arrives=False)
    ward.notify(read_resource(json.dumps(resource).encode(), ward.base, "$"))
    lease = ward.inbox.lease("worker", ward.now)
    assert lease is not None

    with ThreadPoolExecutor(8) as threads:
        workers = [Ward(ward.base, ward.database, patient=ward.patient) for _ in range(8)]
        made = list(threads.map(lambda worker: worker.decide(lease.work), workers))

    assert [decision and decision.written for decision in made] == ["yes"] * 8
    assert len(found(ward, "Task")) == 1
    assert len(found(ward, "ServiceRequest")) == 4


@pytest.mark.parametrize("kind", ["DetectedIssue", "Flag", "Communication"])
def test_other_resources_are_written_repeated_and_withdrawn(hapi: str, kind: str) -> None:
    store = open_store("sqlite://")
    ward = Ward(hapi, store, patient=f"p{uuid4().hex[:12]}", advice_as=kind)
    ward.admit()
    ward.store(alt(ward, 1))
    (written,) = found(ward, kind)
    assert found(ward, "Task") == []
    assert len(found(ward, "ServiceRequest")) == 4

    ward.store(alt(ward, 1, note=[{"text": "sent again"}]))
    assert found(ward, kind) == [written]

    ward.store(alt(ward, 30, status="corrected"))
    ended = {"DetectedIssue": "cancelled", "Flag": "inactive", "Communication": "stopped"}
    assert [resource["status"] for resource in found(ward, kind)] == [ended[kind]]
    assert {order["status"] for order in found(ward, "ServiceRequest")} == {"revoked"}
    assert states(ward) == ["cancelled"]

    ward.store(alt(ward, 1, status="corrected"))
    assert states(ward) == ["cancelled", "open"]
    store.close()
