# SPDX-License-Identifier: Apache-2.0
"""From a result that is stored on HAPI FHIR to a decision, through the service and its worker."""

from pathlib import Path
from time import sleep
from uuid import uuid4

import pytest
import requests

from tests.feedback.killed_server import free_port
from tests.fhir_server.sekmet import put
from tests.subscriptions.notified import topic_of_observations
from tests.subscriptions.service_process import Service, until
from tests.web.http_fixtures import ALT, observation, patient

# The fixture `hapi` gives its tests their markers.


@pytest.fixture
def service(hapi: str, tmp_path: Path) -> Service:
    put(hapi, [topic_of_observations()])
    return Service(tmp_path, hapi, free_port())


def store_result(service: Service, identity: str, value: int = 1, **more: str) -> None:
    subject = {"reference": f"Patient/{identity}"}
    result = observation(ALT, value, id=identity, subject=subject, **more)
    put(service.base, [patient(id=identity), result])


def states(service: Service, identity: str) -> dict[str, str]:
    return {
        version: state
        for (stored_identity, version), state in service.items().items()
        if stored_identity == identity
    }


@pytest.mark.parametrize(
    "words",
    [
        ("--kind", "criteria"),
        ("--kind", "criteria", "--content", "empty"),
        ("--kind", "topic", "--content", "id-only"),
        ("--kind", "topic", "--content", "full-resource"),
    ],
    ids=" ".join,
)
def test_what_hapi_sends_is_decided_on(service: Service, words: tuple[str, ...]) -> None:
    identity = f"of-{uuid4()}"
    with service.answering():
        until(lambda: service.has_subscribed(*words))
        value = 0
        while "done" not in states(service, identity).values():  # a topic is read after a while
            value += 1
            assert value < 30
            store_result(service, identity, value)
            sleep(2)
        before = len(service.decided())
        store_result(service, identity, 99, status="entered-in-error")
        last = str(value + 1)
        until(lambda: states(service, identity).get(last) == "done")
        service.end()

    assert len(service.decided()) > before
    assert set(states(service, identity).values()) == {"done"}


def test_a_result_that_is_written_and_deleted_at_once_is_gone(service: Service) -> None:
    identity = f"of-{uuid4()}"
    with service.answering():
        until(lambda: service.has_subscribed("--kind", "criteria"))
        store_result(service, identity)
        until(lambda: states(service, identity) == {"1": "done"})
        store_result(service, identity, 2)
        address = f"{service.base}/Observation/{identity}"
        until(lambda: requests.delete(address, timeout=10).ok)  # 409 while it indexes version 2

    with service.answering():  # HAPI sends nothing of it: it is found when the worker starts
        until(lambda: service.is_gone(identity))
        until(lambda: set(states(service, identity).values()) == {"done"})
        service.end()
