# SPDX-License-Identifier: Apache-2.0
"""Every worked example with its data on a real FHIR server alone: the same cards, to the letter.

Each is a patient of one server. Medicines and specimens are resources of their own there, so that
what is only referred to has to be read as well.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from cds_service.web import create_app
from tests.fhir_server.sekmet import put, running
from tests.vignettes.compare import VIGNETTES
from tests.vignettes.convert import now_of, request_of

pytestmark = pytest.mark.server

Json = dict[str, Any]
SERVICE = "/cds-services/liver-patient-view"
SETTINGS = Settings(profile="development", explain="always", deadline_ms=60_000)


def own_ids(vignette: Mapping[str, Any]) -> Json:
    """The request of the example, for a patient of its own: `LIV-001` is `Patient/LIV-001`."""
    name = str(vignette["id"])
    text = json.dumps(request_of(vignette, name))
    for kind in ("observation", "medication", "condition", "order"):
        text = text.replace(f'"id": "{kind}-', f'"id": "{name}-{kind}-')
    changed: Json = json.loads(text)
    return changed


def on_server(request: Mapping[str, Any]) -> Iterator[Json]:
    """The resources of the request as a server holds them."""
    for value in request["prefetch"].values():
        entries = (
            value.get("entry", []) if value["resourceType"] == "Bundle" else [{"resource": value}]
        )
        for resource in (dict(entry["resource"]) for entry in entries):
            own = f"{resource['id']}-own"
            for specimen in resource.pop("contained", []):
                yield {**specimen, "id": own}
                resource["specimen"] = {"reference": f"Specimen/{own}"}
            if code := resource.pop("medicationCodeableConcept", None):
                yield {"resourceType": "Medication", "id": own, "code": code}
                resource["medicationReference"] = {"reference": f"Medication/{own}"}
            yield resource


@pytest.fixture(name="base", scope="module")
def _base() -> Iterator[str]:
    with running() as base:
        put(base, (resource for vignette in VIGNETTES for resource in on_server(own_ids(vignette))))
        yield base


@pytest.fixture(name="knowledge", scope="module")
def _knowledge() -> Knowledge:
    return load_knowledge(SETTINGS)


@pytest.mark.parametrize("vignette", VIGNETTES, ids=lambda vignette: str(vignette["id"]))
def test_with_data_on_the_server_alone_the_cards_are_the_same(
    vignette: Json, knowledge: Knowledge, base: str
) -> None:
    now = now_of(vignette)
    http = create_app(SETTINGS, clock=lambda: now, knowledge=knowledge).test_client()
    whole = {**own_ids(vignette), "fhirServer": base}
    bare = {name: value for name, value in whole.items() if name != "prefetch"}

    prefetched, fetched = (http.post(SERVICE, json=body) for body in (whole, bare))

    assert (prefetched.status_code, fetched.status_code) == (200, 200), fetched.text
    assert json.loads(fetched.text)["cards"] == json.loads(prefetched.text)["cards"]
