# SPDX-License-Identifier: Apache-2.0
"""The FHIR server of the tests starts empty, keeps what it is given and stops."""

import pytest
import requests

from tests.fhir_server.sekmet import put, running

pytestmark = pytest.mark.server

PATIENT = {"resourceType": "Patient", "id": "one", "gender": "male", "birthDate": "1976-02-03"}


def test_it_holds_what_was_put_and_stops() -> None:
    with running() as base:
        search = f"{base}/Patient?_id=one"
        assert requests.get(search, timeout=10).json().get("entry", []) == []

        put(base, [PATIENT])

        (entry,) = requests.get(search, timeout=10).json()["entry"]
        assert entry["resource"]["birthDate"] == PATIENT["birthDate"]
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{base}/metadata", timeout=10)


def test_what_it_refuses_is_told() -> None:
    with running() as base, pytest.raises(AssertionError):
        put(base, [PATIENT, {"resourceType": "Observation", "id": "two"}])
