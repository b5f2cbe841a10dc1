# SPDX-License-Identifier: Apache-2.0
"""A server that signs what it sends, from the command that subscribes to the inbox."""

import hmac
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import requests

from cds_service.subscriptions.resource import HMAC_KEY
from tests.feedback.killed_server import free_port
from tests.fhir_client.faulty import faulty
from tests.subscriptions.service_process import Service
from tests.subscriptions.subscribing import Subscribing

pytestmark = pytest.mark.server

Json = dict[str, Any]


class Signing(Service):
    """The service with a key under which it keeps those of its servers."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "CDS_SUBSCRIPTION_KEY": "k" * 32}


@pytest.fixture(name="held")
def _held() -> Subscribing:
    return Subscribing()


@pytest.fixture(name="service")
def _service(held: Subscribing, tmp_path: Path) -> Iterator[Signing]:
    with faulty() as server:
        server.answers = held  # type: ignore[assignment]
        service = Signing(tmp_path, server.base, free_port())
        with service.answering():
            service.subscribe("--kind", "criteria", "--hmac")
            yield service


def observation(version: int) -> bytes:
    meta = {"versionId": str(version), "lastUpdated": "2026-06-15T08:59:59Z"}
    subject = {"reference": "Patient/p1"}
    resource = {"resourceType": "Observation", "id": "o1", "meta": meta, "subject": subject}
    return json.dumps(resource).encode()


def send(held: Subscribing, body: bytes, signature: str, name: str) -> int:
    """As a server does that knows the key from the Subscription; no bearer secret is sent."""
    headers = {"Content-Type": "application/fhir+json", name: signature}
    url = held.only["channel"]["endpoint"]
    return requests.post(url, data=body, headers=headers, timeout=20).status_code


def signature(held: Subscribing, body: bytes) -> str:
    (key,) = (
        extension["valueString"]
        for extension in held.only["extension"]
        if extension["url"] == HMAC_KEY
    )
    return hmac.new(key.encode(), body, sha256).hexdigest()


def test_what_is_signed_is_taken_and_nothing_else(service: Signing, held: Subscribing) -> None:
    body = observation(1)
    right = signature(held, body)

    assert send(held, body, right, "X-Signature") == 200
    assert (
        send(held, observation(2), f"sha256={signature(held, observation(2))}", "X-Hub-Signature")
        == 200
    )
    assert send(held, observation(3), right, "X-Signature") == 401
    again = json.dumps(json.loads(observation(4)), indent=1).encode()  # the same, written otherwise
    assert send(held, again, signature(held, observation(4)), "X-Signature") == 401
    assert send(held, observation(5), "", "X-Signature") == 401

    assert {version for _, version in service.items()} == {"1", "2"}


def test_after_a_renewal_the_key_still_counts(service: Signing, held: Subscribing) -> None:
    key = held.only["extension"]

    assert service.run("subscriptions", "renew")

    assert held.only["extension"] == key
    assert send(held, observation(1), signature(held, observation(1)), "X-Signature") == 200
