# SPDX-License-Identifier: Apache-2.0
"""A receiver of notifications that keeps every request, and the topics that servers need stored.

with receiving() as receiver:
    ...
    sent = receiver.wait_for(lambda one: one.method == "PUT")
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any

Json = dict[str, Any]

TOPIC = "https://cds.example.org/topics/laboratory-result"
_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic"
_R4B = "http://hl7.org/fhir/4.3/StructureDefinition/extension-SubscriptionTopic"
_ANSWER = json.dumps({"resourceType": "Bundle", "type": "transaction-response"}).encode()


@dataclass(frozen=True)
class Sent:
    """One request of a FHIR server."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def resource(self) -> Json:
        found: Json = json.loads(self.body)
        return found

    def is_about(self, kind: str) -> bool:
        """Whether it is a topic's notification of this type, in Parameters."""
        if not self.body or self.resource.get("resourceType") != "Bundle":
            return False
        status = self.resource["entry"][0]["resource"]
        parts = {parameter["name"]: parameter for parameter in status.get("parameter", [])}
        return bool(parts.get("type", {}).get("valueCode") == kind)


@dataclass
class Receiver:
    """Where a server of this machine sends to."""

    port: int = 0
    sent: list[Sent] = field(default_factory=list)
    came: Condition = field(default_factory=Condition)

    def wait_for(self, wanted: Callable[[Sent], bool], seconds: float = 20) -> Sent:
        """The first request that is wanted, once it is there."""
        with self.came:
            assert self.came.wait_for(lambda: any(map(wanted, self.sent)), seconds), [
                (request.method, request.path, request.body[:200]) for request in self.sent
            ]
            return next(filter(wanted, self.sent))


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Such a receiver on loopback until the block ends."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Sent(self.command, self.path, dict(self.headers), body)
            with receiver.came:
                receiver.sent.append(request)
                receiver.came.notify_all()
            self.send_response(200)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(_ANSWER)))
            self.end_headers()
            self.wfile.write(_ANSWER)

        def do_POST(self) -> None:
            self.take()

        def do_PUT(self) -> None:
            self.take()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


def topic_of_observations(identity: str = "topic-laboratory-result") -> Json:
    """A topic of every Observation, as sekmet and as HAPI read it.

    Both keep topics in R4 as `Basic`, with extensions from R5; HAPI takes the trigger from R4B.
    """

    def trigger(version: str, resource: str) -> Json:
        parts: list[Json] = [
            {"url": "description", "valueMarkdown": "An Observation was stored"},
            {"url": "resource", "valueUri": resource},
            {"url": "supportedInteraction", "valueCode": "create"},
            {"url": "supportedInteraction", "valueCode": "update"},
        ]
        return {"url": f"{version}.resourceTrigger", "extension": parts}

    by = [
        {"url": "description", "valueMarkdown": "By code"},
        {"url": "resource", "valueUri": "Observation"},
        {"url": "filterParameter", "valueString": "code"},
    ]
    code = {"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}
    return {
        "resourceType": "Basic",
        "id": identity,
        "code": {"coding": [code]},
        "modifierExtension": [{"url": f"{_R5}.status", "valueCode": "active"}],
        "extension": [
            {"url": f"{_R5}.url", "valueUri": TOPIC},
            {"url": f"{_R5}.title", "valueString": "Laboratory results"},
            trigger(_R5, "http://hl7.org/fhir/StructureDefinition/Observation"),
            trigger(_R4B, "Observation"),
            {"url": f"{_R5}.canFilterBy", "extension": by},
        ],
    }
