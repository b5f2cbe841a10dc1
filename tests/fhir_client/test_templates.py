# SPDX-License-Identifier: Apache-2.0
"""Prefetch templates as queries."""

import pytest

from cds_service.fhir_client.queries import expanded, tokens_of


@pytest.mark.parametrize(
    ("template", "query"),
    [
        ("Patient/{{context.patientId}}", "Patient/1"),
        ("Observation?patient={{ context.patientId }}&_count=1", "Observation?patient=1&_count=1"),
        ("{{context.userId}}", "Practitioner/p"),
        ("Practitioner/{{userPractitionerId}}", "Practitioner/p"),
        ("Patient/{{userPatientId}}", None),
        ("Encounter/{{context.encounterId}}", None),
        ("Observation?code=a|b", "Observation?code=a|b"),
    ],
)
def test_a_template_is_filled_from_the_context(template: str, query: str | None) -> None:
    tokens = tokens_of({"patientId": "1", "userId": "Practitioner/p", "draftOrders": {}})

    assert expanded(template, tokens) == query


def test_a_value_stays_in_its_place() -> None:
    tokens = tokens_of({"patientId": "1&_include=*?#x|y/../../z"})

    assert expanded("A?patient={{context.patientId}}&b=c", tokens) == (
        "A?patient=1%26_include%3D%2A%3F%23x%7Cy%2F..%2F..%2Fz&b=c"
    )
