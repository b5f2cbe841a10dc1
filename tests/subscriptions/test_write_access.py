# SPDX-License-Identifier: Apache-2.0
"""Advice on a server that demands a token, and advice on results of which a report tells."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from cds_service.clock import system_clock
from cds_service.copying import replace
from cds_service.fhir_client.servers import ANYWHERE, Server, Servers, SubscriptionSettings
from cds_service.smart.key_rotation import add_key
from cds_service.smart.signing_keys import KeyFile
from cds_service.smart.token_cache import open_token_cache
from cds_service.store import Store
from cds_service.subscriptions.notified_resource import read_resource
from cds_service.subscriptions.work import Retry
from cds_service.subscriptions.worker_tools import make_decide
from tests.fhir_server.sekmet import put, running
from tests.subscriptions.ward import OWNER, Ward
from tests.web.http_fixtures import ALT, knowledge, observation, patient

pytestmark = pytest.mark.server

Json = dict[str, Any]
WRITER = {"Authorization": "Bearer for-the-test-data"}
READS = "system/*.rs"
# To take a transaction this server demands the right to create everything.
WRITES = "system/*.cruds"
SCOPES = {"lab": WRITES, "reads": READS}


@pytest.fixture(name="keys", scope="module")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    add_key(path, "ES384", system_clock())
    return path


@pytest.fixture(name="protected")
def _protected(keys: Path) -> Iterator[str]:
    """A server that lets in who has a token: one client may write, and another only read."""
    jwks = {"keys": KeyFile(keys).current().published()["keys"]}
    clients = [
        {"client_id": name, "jwks": jwks, "scopes": scopes} for name, scopes in SCOPES.items()
    ]
    token = WRITER["Authorization"].removeprefix("Bearer ")
    auth = {"types": ["smart", "bearer"], "tokens": [token], "smart_clients": clients}
    with running(server_auth=auth) as base:
        owner = {"resourceType": "Organization", "id": "laboratory", "name": "Laboratory"}
        put(base, [patient(), owner], WRITER)
        yield base


class Guarded(Ward):
    """A ward on such a server, where the service is registered as this client."""

    def registered_as(self, client: str, keys: Path) -> "Guarded":
        subscribed = SubscriptionSettings(write_back="on", owner=OWNER)
        server = Server(
            base=self.base,
            policy=ANYWHERE,
            client_id=client,
            scopes=(SCOPES[client],),
            subscriptions=subscribed,
        )
        self.tools = replace(
            self.tools,
            servers=Servers(listed={self.base: server}),
            tokens=open_token_cache(KeyFile(keys), system_clock),
        )
        self.decide = make_decide(self.tools, knowledge())
        return self

    def get(self, path: str, headers: Mapping[str, str] = WRITER) -> Json:
        answer = requests.get(f"{self.base}/{path}", headers=dict(headers), timeout=20)
        found: Json = answer.json()
        return found


def arrive(ward: Guarded, value: float, **more: Any) -> None:
    result = observation(ALT, value, **more)
    put(ward.base, [result], WRITER)
    stored = ward.get(f"Observation/{result['id']}")
    ward.arrive(read_resource(json.dumps(stored).encode(), ward.base, "$"))


def test_advice_is_written_and_withdrawn_by_the_services_own_token(
    protected: str, keys: Path, sqlite_store: Store
) -> None:
    ward = Guarded(protected, sqlite_store).registered_as("lab", keys)
    assert requests.get(f"{protected}/Task", timeout=20).status_code == 401

    arrive(ward, 1)
    assert [task["status"] for task in ward.found("Task")] == ["requested"]
    arrive(ward, 30, status="corrected")

    assert [task["status"] for task in ward.found("Task")] == ["cancelled"]
    assert {order["status"] for order in ward.found("ServiceRequest")} == {"revoked"}
    assert [decision.written for decision in ward.decided()] == ["yes", "withdrawn"]


def test_a_client_that_may_only_read_writes_nothing(
    protected: str, keys: Path, sqlite_store: Store
) -> None:
    ward = Guarded(protected, sqlite_store).registered_as("reads", keys)

    with pytest.raises(Retry) as caught:
        arrive(ward, 1)

    assert caught.value.code == "forbidden"
    assert ward.found("Task") == []
    assert ward.decided() == []


# A report that arrives, and results that do not.


def report(*results: str, **more: Any) -> Json:
    return {
        "resourceType": "DiagnosticReport",
        "id": "panel",
        "status": "final",
        "code": {"text": "Liver panel"},
        "result": [{"reference": f"Observation/{result_id}"} for result_id in results],
        **more,
    }


def test_a_report_that_arrives_has_its_results_decided_on(ward: Ward) -> None:
    result = ward.store(observation(ALT, 1), arrives=False)

    ward.store(report(result["id"]))

    (task,) = ward.open_tasks()
    assert task["focus"] == {"reference": f"Observation/{result['id']}"}
    ward.store(report(result["id"], conclusion="seen again"))
    assert len(ward.found("Task")) == 1
    ward.store(observation(ALT, 30, status="corrected"), arrives=False)
    ward.store(report(result["id"], status="corrected"))
    assert ward.open_tasks() == []


def test_a_report_about_other_results_advises_on_none_of_before(ward: Ward) -> None:
    ward.store(observation(ALT, 1), arrives=False)

    ward.store(report())

    assert ward.found("Task") == []
