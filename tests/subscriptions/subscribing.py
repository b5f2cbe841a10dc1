# SPDX-License-Identifier: Apache-2.0
"""A FHIR server that holds Subscriptions, and is unlike others where a test says so."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cds_service.subscriptions.register import Plan
from cds_service.subscriptions.resource import stored_subscription
from tests.fhir_client.faulty import Asked, Reply, searchset

Json = dict[str, Any]
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ENDPOINTS = "https://cds.example.org/subscriptions"
TOPIC = "https://fhir.example.org/topics/laboratory-result"
KEY = "k" * 32
PLAN = Plan(endpoints=ENDPOINTS, results="code=http://loinc.org|1742-6")


@dataclass
class Subscribing:
    """The Subscriptions of a server, and in what it is unlike others."""

    stored: dict[str, Json] = field(default_factory=dict)
    topics: tuple[str, ...] = ()
    version: str = "4.0.1"
    activates: bool = True
    hides: bool = False  # the headers of the channel
    cuts: int = 0  # answers to writes that are lost after the write
    refuses: Reply | None = None
    conflicts: int = 0
    sees: list[str] = field(default_factory=list)  # statuses that were written
    newest: str | None = None
    results: list[Json] = field(default_factory=list)  # that a search finds
    events: int | None = None

    def get(self, path: str, _: object) -> Any:
        kind, _, rest = path.partition("/")
        identity, _, operation = rest.partition("/")
        if kind == "metadata":
            return Reply(self.metadata())
        if kind == "Observation":
            newest = [{"resourceType": kind, "meta": {"lastUpdated": self.newest}}]
            return Reply(searchset(*self.results, *(newest if self.newest else [])))
        if operation == "$status":
            return self.status()
        return lambda asked: self.answer(asked, identity)

    def metadata(self) -> Json:
        url = (
            "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
            "capabilitystatement-subscriptiontopic-canonical"
        )
        topics = [{"url": url, "valueCanonical": topic} for topic in self.topics]
        resource = {"type": "Subscription", **({"extension": topics} if topics else {})}
        rest = [{"mode": "server", "resource": [resource]}]
        return {
            "resourceType": "CapabilityStatement",
            "fhirVersion": self.version,
            "rest": rest,
        }

    def status(self) -> Reply:
        if self.events is None:
            return Reply(status=404)
        counted = {"name": "events-since-subscription-start", "valueString": str(self.events)}
        return Reply(searchset({"resourceType": "Parameters", "parameter": [counted]}))

    def answer(self, asked: Asked, identity: str) -> Reply:
        if asked.method == "GET":
            return self.read(identity) if identity else self.search(asked)
        if self.refuses is not None:
            return self.refuses
        sent = json.loads(asked.body)
        if asked.method == "POST":
            wanted = asked.headers.get("If-None-Exist", "")
            assert wanted.startswith("url=http")
            identity = str(len(self.stored) + 1)
        elif self.conflicts:
            self.conflicts -= 1
            return Reply(status=412)
        else:
            held = self.stored[identity]["meta"]["versionId"]
            assert asked.headers["If-Match"] == f'W/"{held}"'
        return self.keep(sent, identity, created=asked.method == "POST")

    def keep(self, sent: Json, identity: str, *, created: bool) -> Reply:
        self.sees.append(sent["status"])
        version = str(int(self.stored.get(identity, {}).get("meta", {}).get("versionId", 0)) + 1)
        kept = {**sent, "id": identity, "meta": {"versionId": version}}
        if self.activates and sent["status"] == "requested":
            kept["status"] = "active"
        self.stored[identity] = kept
        if self.cuts:
            self.cuts -= 1
            return Reply(b"x" * 100, cut=True)
        return Reply(self.shown(kept), 201 if created else 200)

    def read(self, identity: str) -> Reply:
        if identity not in self.stored:
            return Reply(status=404)
        return Reply(self.shown(self.stored[identity]))

    def search(self, asked: Asked) -> Reply:
        url = asked.parameters.get("url")
        return Reply(
            searchset(
                *(
                    self.shown(resource)
                    for resource in self.stored.values()
                    if url is None or stored_subscription(resource).endpoint == url
                )
            )
        )

    def shown(self, kept: Json) -> Json:
        if not self.hides:
            return kept
        channel = {name: value for name, value in kept["channel"].items() if name != "header"}
        return {**kept, "channel": channel}

    @property
    def only(self) -> Json:
        (found,) = self.stored.values()
        return found
