# SPDX-License-Identifier: Apache-2.0
"""From a result that is stored on sekmet to a decision, through the service and its worker."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from tests.feedback.killed_server import free_port
from tests.fhir_server.sekmet import put, running
from tests.subscriptions.notified import topic_of_observations
from tests.subscriptions.service_process import Service, until
from tests.web.http_fixtures import ALT, observation, patient

pytestmark = pytest.mark.server


METHODS = ("put-resource", "post-endpoint")
CONTENTS = (
    ("--kind", "criteria"),
    ("--content", "id-only"),
    ("--kind", "criteria", "--content", "empty"),
    ("--content", "empty"),
    ("--content", "full-resource"),
)
# How the server notifies does not depend on what it was asked to send: two of these are enough.
PAIRS = [
    *((METHODS[0], words) for words in CONTENTS),
    *((METHODS[1], words) for words in CONTENTS[:2]),
]


@pytest.fixture(scope="module", params=METHODS)
def base(request: pytest.FixtureRequest) -> Iterator[str]:
    with running(subscriptions={"notify_method": request.param}) as found:
        put(found, [patient(), topic_of_observations()])
        yield found


@pytest.fixture
def service(base: str, tmp_path: Path) -> Service:
    return Service(tmp_path, base, free_port())


@pytest.mark.parametrize(
    ("base", "words"),
    PAIRS,
    indirect=["base"],
    ids=[" ".join((method, *words)) for method, words in PAIRS],
)
def test_a_result_is_decided_on(service: Service, words: tuple[str, ...]) -> None:
    identity = "-".join(words).strip("-") + str(service.port)
    with service.answering():
        service.subscribe(*words)
        for value in (1, 1, 30):
            before = len(service.decided())
            put(service.base, [observation(ALT, value, id=identity)])
            until(lambda before=before: len(service.decided()) > before)
        # Of names alone the version is that of the time when they were read.
        until(lambda: (identity, "3") in service.items())
        until(lambda: service.states_of(identity) == {"done"})


def test_the_founding_result_leads_to_a_task_and_its_correction_withdraws_it(
    service: Service,
) -> None:
    service.write_back = "on"
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()

    def stored(value: float, **more: str) -> None:
        result = observation(
            ALT, value, id=f"alt{service.port}", effectiveDateTime=yesterday, **more
        )
        put(service.base, [result])

    def tasks() -> list[tuple[str, str]]:
        found = requests.get(f"{service.base}/Task", timeout=10).json().get("entry", [])
        every = (entry["resource"] for entry in found)
        return [
            (task["status"], task["meta"]["versionId"])
            for task in every
            if task["focus"]["reference"] == f"Observation/alt{service.port}"
        ]

    with service.answering():
        service.subscribe("--kind", "criteria")
        stored(1)
        print(f"Task: {until(lambda: len(tasks()) == 1):.2f} s")
        decided = len(service.decided())
        stored(1)
        until(lambda: len(service.decided()) > decided)
        assert tasks() == [("requested", "1")]
        stored(30, status="corrected")
        print(f"withdrawn: {until(lambda: tasks() == [('cancelled', '2')]):.2f} s")


def test_what_happened_while_the_service_was_away_is_found(service: Service) -> None:
    kept, changed, gone = (f"{name}{service.port}" for name in ("kept", "changed", "gone"))
    with service.answering():
        service.subscribe("--kind", "criteria")
        put(service.base, [observation(ALT, 1, id=changed), observation(ALT, 1, id=gone)])
        until(lambda: {(changed, "1"), (gone, "1")} <= service.items().keys())
        until(lambda: service.states_of(changed, gone) == {"done"})

    put(service.base, [observation(ALT, 1, id=kept)])
    put(service.base, [observation(ALT, 30, id=changed, status="entered-in-error")])
    requests.delete(f"{service.base}/Observation/{gone}", timeout=10).raise_for_status()

    with service.answering():
        until(lambda: {(kept, "1"), (changed, "2")} <= service.items().keys())
        until(
            lambda: (
                len(
                    [
                        stored_identity
                        for stored_identity, _ in service.items()
                        if stored_identity == gone
                    ]
                )
                == 2
            )
        )
        until(lambda: service.states_of(kept, changed, gone) == {"done"})
