# SPDX-License-Identifier: Apache-2.0
"""T08: a patient who looks gets no cards for clinicians, unless the site says so."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trust.signing import SERVICE, es384, registration, site
from tests.web.http_fixtures import client, founding

PATIENTS = [
    "Patient/999888777",
    "RelatedPerson/1",
    " Patient/1",
    "https://fhir.example.org/r4/Patient/1",
    "https://fhir.example.org/r4/RelatedPerson/1",
]
CLINICIANS = ["Practitioner/1", "PractitionerRole/1", "https://fhir.example.org/Practitioner/1"]


def seen_by(user: str) -> dict[str, Any]:
    body = founding()
    body["context"]["userId"] = user
    return body


@pytest.mark.parametrize("user", PATIENTS)
def test_a_patient_gets_no_cards(user: str) -> None:
    response = client().post(SERVICE, json=seen_by(user))

    assert (response.status_code, json.loads(response.text)) == (200, {"cards": []})


@pytest.mark.parametrize("user", CLINICIANS)
def test_a_clinician_gets_cards(user: str) -> None:
    assert len(json.loads(client().post(SERVICE, json=seen_by(user)).text)["cards"]) == 1


@pytest.mark.parametrize(("says", "cards"), [("yes", 1), ("no", 0), (..., 0)])
@pytest.mark.parametrize("user", PATIENTS)
def test_the_registration_of_the_client_decides(
    tmp_path: Path, user: str, says: str, cards: int
) -> None:
    place = site(tmp_path, registration(**{"patients see cards": says}))
    headers = {"Authorization": f"Bearer {es384().token()}"}

    response = place.http.post(SERVICE, json=seen_by(user), headers=headers)

    assert len(json.loads(response.text)["cards"]) == cards


def test_what_is_withheld_is_counted_as_that_and_not_as_a_card() -> None:
    http = client()
    http.post(SERVICE, json=seen_by("Patient/999888777"))

    counts = http.get("/metrics").text

    assert 'outcome="withheld"' in counts
    assert "cds_cards_total{" not in counts
