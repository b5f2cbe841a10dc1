# SPDX-License-Identifier: Apache-2.0
"""A service over HTTP that worked examples are sent to, each as a patient of its own."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from flask.testing import FlaskClient
from pydantic import SecretStr

from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from cds_service.store import open_store
from cds_service.web import create_app
from tests.vignettes.compare import Difference, Json, differences
from tests.vignettes.convert import days_before, hook_of, now_of, request_of
from tests.vignettes.explained import differences_explained, order_codes

SETTINGS = Settings(
    profile="development",
    explain="always",
    deadline_ms=60_000,
    hash_key=SecretStr("a key of worked examples, long enough"),
)


class Clinic:
    """A service that remembers what it showed, and whose clock each example sets."""

    def __init__(self, knowledge: Knowledge | None = None) -> None:
        self.knowledge = load_knowledge(SETTINGS) if knowledge is None else knowledge
        self._clock = [datetime.fromisoformat("2026-06-15T09:00:00Z")]
        self._app = create_app(
            SETTINGS,
            clock=lambda: self._clock[0],
            knowledge=self.knowledge,
            store=open_store("sqlite://"),
        )
        self._http: FlaskClient = self._app.test_client()
        self._codes = order_codes(self.knowledge)
        self._services = {
            hook: service
            for service, by_hook in self.knowledge.services.items()
            for hook in by_hook
        }

    def answer(self, vignette: Mapping[str, Any]) -> Json:
        """The answer to an example; what was shown to its patient before is shown before."""
        for card in vignette["inputs"].get("shown", ()):
            self._ask(days_before(vignette, card["daysAgo"]), str(vignette["id"]), "before")
            self._app.extensions["memory"].flush()
        return self._ask(vignette, str(vignette["id"]), "now")

    def answer_without(self, vignette: Mapping[str, Any], *keys: str) -> Json:
        """The answer where a client without a FHIR server leaves out these keys of prefetch."""
        patient = "-".join((str(vignette["id"]), "without", *keys))
        request = request_of(vignette, patient)
        request["prefetch"] = {
            key: value for key, value in request["prefetch"].items() if key not in keys
        }
        del request["fhirServer"]
        return self._sent(vignette, request, patient)

    def differences(self, vignette: Mapping[str, Any]) -> list[Difference]:
        """Everything in which the answer to an example is not as it expects."""
        body = self.answer(vignette)
        explained = differences_explained(vignette, body, self._codes)
        return [*differences(vignette, body), *explained]

    def close(self) -> None:
        """Close the database."""
        self._app.extensions["memory"].close()

    def _ask(self, vignette: Mapping[str, Any], patient: str, call: str) -> Json:
        return self._sent(vignette, request_of(vignette, patient), f"{patient}/{call}")

    def _sent(self, vignette: Mapping[str, Any], request: Json, call: str) -> Json:
        self._clock[0] = now_of(vignette)
        request["hookInstance"] = str(uuid5(NAMESPACE_URL, call))
        service = self._services[hook_of(vignette)]
        response = self._http.post(f"/cds-services/{service}", json=request)
        if response.status_code != 200:
            raise AssertionError(f"{vignette['id']}: {response.status_code} {response.text}")
        body: Json = json.loads(response.text)
        return body
