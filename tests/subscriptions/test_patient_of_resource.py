# SPDX-License-Identifier: Apache-2.0
"""Results that name their patient by an identifier, a search, or an address inside of a network."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import structlog

from cds_service.log import configure_log
from cds_service.store import open_store
from tests.fhir_client.faulty import Reply, faulty, searchset
from tests.subscriptions.inbox_fixtures import HOUR, result, states
from tests.subscriptions.test_worker import Bench, observation

IDENTIFIER = {"system": "urn:example:mrn", "value": "1"}
PATIENT = {"resourceType": "Patient", "id": "p1"}
OTHER = {"resourceType": "Patient", "id": "p2"}
NAMED: list[dict[str, Any]] = [
    {"identifier": IDENTIFIER},
    {"type": "Patient", "identifier": IDENTIFIER},
    {"reference": "Patient?identifier=urn:example:mrn|1"},
]


@pytest.fixture(name="bench")
def _bench() -> Iterator[Bench]:
    store = open_store("sqlite://")
    with faulty() as server:
        yield Bench(store, server)
    store.close()


@pytest.fixture(name="logged")
def _logged() -> Iterator[StringIO]:
    stream = StringIO()
    configure_log("info", stream=stream)
    yield stream
    structlog.reset_defaults()


def arrives(bench: Bench, subject: dict[str, Any] | None) -> None:
    read = observation(subject=subject) if subject else observation(subject=None)
    bench.server.answers["Observation/o1"] = Reply(read)
    bench.add(result(1, patient="", body=b'{"resourceType":"Observation"}'))


@pytest.mark.parametrize("subject", NAMED)
def test_a_patient_that_is_named_by_an_identifier_is_searched_for(
    bench: Bench, subject: dict[str, Any]
) -> None:
    bench.server.answers["Patient"] = Reply(searchset(PATIENT))
    arrives(bench, subject)

    bench.work()

    assert [item.patient for item in bench.items] == ["p1"]
    assert bench.server.asked[-1].parameters == {"identifier": "urn:example:mrn|1"}


@pytest.mark.parametrize("found", [[PATIENT], []])
def test_an_address_inside_of_a_network_is_confirmed_by_the_server(
    bench: Bench, found: list[dict[str, Any]]
) -> None:
    bench.server.answers["Observation"] = Reply(searchset(*([observation()] if found else [])))
    arrives(bench, {"reference": "https://internal:8443/r4/Patient/p1"})

    bench.work()

    assert [item.patient for item in bench.items] == [resource["id"] for resource in found]
    assert bench.server.asked[1].parameters == {"_id": "o1", "patient": "p1"}


@pytest.mark.parametrize("found", [[], [PATIENT, OTHER]])
def test_a_patient_that_is_not_found_makes_a_dead_letter_within_an_hour(
    bench: Bench, found: list[dict[str, Any]], logged: StringIO
) -> None:
    bench.server.answers["Patient"] = Reply(searchset(*found))
    arrives(bench, NAMED[0])
    bench.work(60)
    assert states(bench.store) == {("waiting", "patient-unknown"): 1}

    bench.now += HOUR
    for _ in range(8):
        bench.work(1)
        bench.now += timedelta(minutes=15)

    assert states(bench.store) == {("dead", "patient-unknown"): 1}
    assert "patient-unknown" in logged.getvalue()


@pytest.mark.parametrize(
    "subject", [None, {"reference": "Location/l1"}, {"type": "Device", "identifier": IDENTIFIER}]
)
def test_what_names_no_patient_is_logged_and_left(
    bench: Bench, subject: dict[str, Any] | None, logged: StringIO
) -> None:
    arrives(bench, subject)

    bench.work()

    assert states(bench.store) == {("done", "no-patient"): 1}
    assert "no-patient" in logged.getvalue()
