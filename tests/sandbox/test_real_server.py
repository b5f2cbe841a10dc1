# SPDX-License-Identifier: Apache-2.0
"""The sandbox against a FHIR server that others wrote: search, pick, cards; page and command."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from cds_service.clock import system_clock
from cds_service.settings import Settings
from cds_service.web import create_app
from tests.fhir_server.sekmet import put, running
from tests.sandbox.test_command import shown
from tests.sandbox.test_page import CARDS, heading, in_box
from tests.web.http_fixtures import ALT, AST, PATIENT, knowledge, medicine, observation, patient

pytestmark = pytest.mark.server


@pytest.fixture(name="base", scope="module")
def _base() -> Iterator[str]:
    with running() as base:
        time = (system_clock() - timedelta(days=1)).isoformat(timespec="seconds")
        coded = {"system": "http://terminology.hl7.org/CodeSystem/observation-category"}
        more: dict[str, Any] = {
            "effectiveDateTime": time,
            "category": [{"coding": [{**coded, "code": "laboratory"}]}],
        }
        put(
            base,
            [
                patient(),
                patient(id="second", name=[{"family": "Second", "given": ["Ida"]}]),
                observation(ALT, 1, **more),
                observation(AST, 20, **more),
                medicine("carbidopa and levodopa", "103990"),
            ],
        )
        yield base


def test_on_the_page_a_patient_is_searched_picked_and_shown(base: str) -> None:
    http = create_app(Settings(profile="development"), knowledge=knowledge()).test_client()

    listed = http.post("/sandbox/patients", data={"server": base, "search": "ZZTEST"})
    assert f'name="patient" value="{PATIENT}"' in listed.text
    assert 'value="second"' not in listed.text
    page = http.post(CARDS, data={"way": "server", "server": base, "patient": PATIENT})

    assert heading(page) in {"One card", "2 cards"}
    prefetch = json.loads(in_box(page, "request"))["prefetch"]
    assert set(prefetch) == {
        "patient",
        "observations",
        "conditions",
        "medicationRequests",
        "medicationStatements",
        "serviceRequests",
    }
    assert 'class="query failed"' not in page.text
    assert "levodopa" in in_box(page, "response")


@pytest.mark.parametrize("service", list(knowledge().services))
def test_every_service_can_be_tried(base: str, service: str) -> None:
    http = create_app(Settings(profile="development"), knowledge=knowledge()).test_client()

    form = {"way": "server", "server": base, "patient": PATIENT, "service": service}
    page = http.post(CARDS, data=form)

    assert page.status_code == 200
    assert heading(page) != "The service refused"


def test_in_the_terminal_too(base: str) -> None:
    assert "Very low ALT" in shown("--fhir", base, "--search", "ZZTEST").output
    assert "Very low ALT" in shown("--fhir", base, "--patient", PATIENT).output

    table = shown("--fhir", base, "--all", "10").stdout.splitlines()
    assert table[-1] == "patients: 2, with cards: 1, cards: 2"
