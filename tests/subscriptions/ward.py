# SPDX-License-Identifier: Apache-2.0
"""A patient on a FHIR server, and a worker that decides on what arrives there.

ward = Ward(base, open_store("sqlite://"))
ward.store(observation(ALT, 1))
(task,) = ward.found("Task")
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from pydantic import SecretStr
from sqlalchemy import select

from cds_service.fhir_client.client import FhirClient
from cds_service.fhir_client.servers import ANYWHERE, Server, Servers, SubscriptionSettings
from cds_service.settings import Settings
from cds_service.store import Store
from cds_service.store.tables import decisions
from cds_service.subscriptions.inbox import Inbox
from cds_service.subscriptions.inbox_insert import Arrival
from cds_service.subscriptions.notified_resource import NotifiedResource, read_resource
from cds_service.subscriptions.work import Lease
from cds_service.subscriptions.worker_tools import WorkerTools, make_decide
from tests.fhir_server.sekmet import put
from tests.web.http_fixtures import NOW, PATIENT, knowledge, patient

Json = dict[str, Any]

OWNER = "Organization/laboratory"
KEY = "a-key-for-tests-of-at-least-32-characters"
_FHIR_JSON = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
_FRESH = {**_FHIR_JSON, "Cache-Control": "no-cache"}


@dataclass
class Ward:
    """What is stored here arrives at once, and is decided on unless said otherwise."""

    base: str
    database: Store
    write_back: Any = "on"
    now: datetime = NOW
    patient: str = PATIENT
    advice_as: Any = "Task"

    def __post_init__(self) -> None:
        self.inbox = Inbox(self.database.database, settling=lambda _: timedelta())
        self.tools = WorkerTools(
            settings=self.settings_of(KEY),
            store=self.database,
            servers=Servers(listed={self.base: self.server()}),
            client=FhirClient(most_bytes=10_000_000, most_pages=10),
            tokens=None,
            clock=lambda: self.now,
        )
        self.decide = make_decide(self.tools, knowledge())

    @staticmethod
    def settings_of(key: str) -> Settings:
        return Settings(hash_key=SecretStr(key))

    def server(self) -> Server:
        subscribed = SubscriptionSettings(
            write_back=self.write_back, owner=OWNER, advice_as=self.advice_as
        )
        return Server(base=self.base, policy=ANYWHERE, anonymous=True, subscriptions=subscribed)

    def admit(self) -> None:
        owner = {"resourceType": "Organization", "id": "laboratory", "name": "Laboratory"}
        put(self.base, [patient(id=self.patient), owner])

    def store(self, resource: Json, *, arrives: bool = True) -> Json:
        """Store a result, and decide on it; as the server has it now."""
        resource = {**resource, "subject": {"reference": f"Patient/{self.patient}"}}
        put(self.base, [resource])
        stored = self.get(f"{resource['resourceType']}/{resource['id']}")
        if arrives:
            self.arrive(read_resource(json.dumps(stored).encode(), self.base, "$"))
        return stored

    def arrive(self, *resources: NotifiedResource) -> None:
        self.notify(*resources)
        while (lease := self.inbox.lease("worker", self.now)) is not None:
            self.finish(lease)

    def notify(self, *resources: NotifiedResource) -> None:
        self.inbox.add(
            [
                Arrival(server=self.base, subscription="path", resource=resource)
                for resource in resources
            ],
            self.now,
        )

    def finish(self, lease: Lease) -> int | None:
        decision = self.decide(lease.work) if lease.items else None
        return self.inbox.finish(lease, decision, self.now)

    def get(self, path: str) -> Json:
        found: Json = requests.get(f"{self.base}/{path}", headers=_FRESH, timeout=20).json()
        return found

    def change(self, resource: Json, **elements: Any) -> Json:
        """Somebody else changes a resource."""
        url = f"{self.base}/{resource['resourceType']}/{resource['id']}"
        body = json.dumps({**resource, **elements})
        answer = requests.put(url, data=body, headers=_FHIR_JSON, timeout=20)
        assert answer.ok, answer.text
        found: Json = answer.json()
        return found

    def found(self, kind: str) -> list[Json]:
        """The resources of a type, all of the patient's."""
        return [entry["resource"] for entry in self.get(kind).get("entry", [])]

    def open_tasks(self) -> list[Json]:
        return [task for task in self.found("Task") if task["status"] == "requested"]

    def everything(self) -> str:
        """All that the server holds of ours, with versions."""
        kinds = ("Task", "ServiceRequest", "GuidanceResponse", "Provenance")
        return json.dumps(
            {
                kind: sorted(self.found(kind), key=lambda resource: str(resource["id"]))
                for kind in kinds
            },
            sort_keys=True,
        )

    def decided(self) -> list[Any]:
        with self.database.database.reading() as connection:
            return list(connection.execute(select(decisions).order_by(decisions.c.id)))


def gone(identity: str) -> NotifiedResource:
    """That a result of the patient was deleted."""
    later = datetime.now(UTC) + timedelta(hours=1)  # than the version that the server stored
    return NotifiedResource(
        type="Observation", id=identity, gone=True, patient=PATIENT, updated=later
    )
