# SPDX-License-Identifier: Apache-2.0
"""What is read of a patient: for how long it is tried, and what a replay makes of it."""

from datetime import timedelta

import pytest
from msgspec import Raw
from msgspec.json import encode

from cds_service.clock import Deadline
from cds_service.fhir_client.client import Access, FhirClient, NoToken
from cds_service.fhir_client.servers import ANYWHERE, Server
from cds_service.prefetch_keys import OBSERVATIONS, PATIENT
from cds_service.subscriptions.patient_data import (
    AnswerNotRecorded,
    PatientReader,
    RecordedAnswer,
    read_again,
)
from cds_service.subscriptions.work import Retry
from tests.fhir_client.faulty import Reply, faulty, searchset
from tests.subscriptions.inbox_fixtures import SERVER
from tests.web.http_fixtures import ALT, observation

TEMPLATES = {
    PATIENT: "Patient/{{context.patientId}}",
    OBSERVATIONS: "Observation?patient={{context.patientId}}&code=a,b",
}
RESULT = observation(ALT, 30, subject={"reference": "Patient/p1"})
PERSON = {"resourceType": "Patient", "id": "p1"}


def test_a_patient_who_is_not_there_is_waited_for_by_the_hour() -> None:
    with faulty() as server:
        server.answers["Observation"] = Reply(searchset())
        client = FhirClient(most_bytes=1_000_000, most_pages=5)
        reader = PatientReader(client=client, max_depth=64, max_entries=100)
        access = Access(Server(base=server.base, policy=ANYWHERE), NoToken())

        with pytest.raises(Retry) as caught:
            reader.read(access, "p1", "patient-view", TEMPLATES, Deadline(10))

    assert (caught.value.code, caught.value.within) == ("no-such-patient", timedelta(hours=1))


def kept(query: str, resource: object) -> RecordedAnswer:
    return RecordedAnswer(query=query, pages=(Raw(encode(resource)),))


def test_queries_of_today_are_answered_by_what_was_read_then() -> None:
    answers = [
        kept("Patient/p1", PERSON),
        kept("Observation?patient=p1&code=a", searchset(RESULT)),
        kept("Observation?patient=p1&category=vital-signs", searchset()),
    ]

    found = read_again(answers, SERVER, "p1", "patient-view", TEMPLATES)

    assert len(found.prefetch[OBSERVATIONS].entries) == 1


def test_a_replay_of_what_was_not_read_then_is_none() -> None:
    with pytest.raises(AnswerNotRecorded):
        read_again([kept("Patient/p1", PERSON)], SERVER, "p1", "patient-view", TEMPLATES)
