# SPDX-License-Identifier: Apache-2.0
"""A CDS Client for the command line: a patient of a FHIR server in, the cards of a service out.

The service is one of the packs of this machine, in process, or any other by HTTP.
"""

import json
from dataclasses import dataclass
from typing import Any, Final, Protocol

import requests

from cds_service.clock import Deadline, system_clock
from cds_service.errors import CdsServiceError, RequestError
from cds_service.fhir_client.client import Access, FhirClient
from cds_service.fhir_client.servers import Servers
from cds_service.fhir_client.servers_file import load_servers
from cds_service.sandbox.fetch import Query, gather, lacks_patient
from cds_service.sandbox.requests import answered, request_of_prefetch, tokens_for
from cds_service.sandbox.server_check import refuse_other_servers
from cds_service.sandbox.services import ServiceOffer, asked, offers_of
from cds_service.service import load_knowledge, options_of
from cds_service.settings import Settings

_SECONDS: Final = 30
_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRun:
    """What came of one patient; `refused` is the error in place of cards."""

    patient: str
    name: str
    service: str
    queries: tuple[Query, ...]
    cards: list[dict[str, Any]]
    refused: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        reports = [
            {
                "key": query.key,
                "query": query.query,
                "resources": query.resources,
                "failure": query.failure,
            }
            for query in self.queries
        ]
        shown: dict[str, Any] = {"patient": f"Patient/{self.patient}", "service": self.service}
        shown |= {"queries": reports, "cards": self.cards}
        return {**shown, "refused": self.refused} if self.refused else shown


class Caller(Protocol):
    """A call of a service: a request to the response, or to what it says instead."""

    def __call__(self, offer: ServiceOffer, body: bytes) -> tuple[dict[str, Any], str]:
        """The response and nothing, or nothing and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxRunner:
    """Tries patients of one server with one service."""

    client: FhirClient
    access: Access
    offer: ServiceOffer
    call: Caller
    seconds: int

    def any_patient(self, patient_id: str, name: str) -> PatientRun:
        """The cards for one of many: a failure is reported and costs no other patient."""
        try:
            return self.patient(patient_id, name)
        except CdsServiceError as error:
            return PatientRun(
                patient=patient_id,
                name=name,
                service=self.offer.id,
                queries=(),
                cards=[],
                refused=str(error),
            )

    def patient(self, patient_id: str, name: str = "") -> PatientRun:
        """The cards for one patient; raises an error if the server gave nothing at all."""
        tokens = tokens_for(self.offer.hook, patient_id)
        deadline = Deadline(self.seconds)
        found = gather(self.client, self.access, self.offer.prefetch, tokens, deadline)
        if found.is_nothing:
            refuse_other_servers(self.client, self.access, Deadline(self.seconds))
        _refuse_nothing(found.queries)
        base = self.access.server.base
        body = request_of_prefetch(self.offer, patient_id, found.prefetch, fhir_server=base)
        response, refused = self.call(self.offer, body)
        return PatientRun(
            patient=patient_id,
            name=name,
            service=self.offer.id,
            queries=found.queries,
            cards=response.get("cards", []),
            refused=refused,
        )


def servers_for(settings: Settings) -> Servers:
    """The FHIR servers that may be tried from the command line.

    On one's own machine any may be, unless an administrator made a list for production.
    """
    listed_only = settings.profile == "production" and settings.fhir_servers is not None
    return load_servers(settings.fhir_servers, development=not listed_only)


def open_runners(
    settings: Settings,
    client: FhirClient,
    access: Access,
    *,
    url: str | None,
    service_id: str | None,
) -> tuple[SandboxRunner, ...]:
    """A runner for each service to ask, at the URL or of this machine; raises `UnknownService`.

    Without an id these are all of the first service's hook, as a client would call them.
    """
    discovery, call = _remote(url.rstrip("/")) if url is not None else _local(settings)
    return tuple(
        SandboxRunner(
            client=client, access=access, offer=offer, call=call, seconds=settings.sandbox_seconds
        )
        for offer in asked(offers_of(discovery), service_id)
    )


def _local(settings: Settings) -> tuple[bytes, Caller]:
    knowledge = load_knowledge(settings)

    def call(offer: ServiceOffer, body: bytes) -> tuple[dict[str, Any], str]:
        called = answered(
            knowledge,
            offer.id,
            body,
            system_clock(),
            options_of(settings),
            max_depth=settings.max_depth,
            max_entries=settings.max_entries,
        )
        if called.error is not None:
            return {}, str(called.error)
        return json.loads(called.response), ""

    return knowledge.discovery, call


def _remote(url: str) -> tuple[bytes, Caller]:
    """A service by HTTP; raises `CdsServiceError` if it does not answer.

    No redirect is followed: the request holds data of a patient from the FHIR server.
    """
    session = requests.Session()
    session.trust_env = False

    def send(method: str, path: str, body: bytes | None = None) -> requests.Response:
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            return session.request(
                method,
                f"{url}{path}",
                data=body,
                headers=headers,
                timeout=_SECONDS,
                allow_redirects=False,
            )
        except (requests.RequestException, ValueError):
            raise CdsServiceError("The service at --url does not answer.") from None

    def call(offer: ServiceOffer, body: bytes) -> tuple[dict[str, Any], str]:
        answer = send("POST", f"/cds-services/{offer.id}", body)
        if answer.status_code != _OK:
            return {}, f"status {answer.status_code}{_diagnostics(answer)}"
        return _response(answer), ""

    answer = send("GET", "/cds-services")
    if answer.status_code != _OK:
        raise CdsServiceError(f"The service answered discovery with status {answer.status_code}.")
    return answer.content, call


def _response(answer: requests.Response) -> dict[str, Any]:
    """The response, if it is one of CDS Hooks as far as it is shown."""
    found = _object(answer)
    cards = found.get("cards")
    if not isinstance(cards, list) or not all(
        isinstance(card, dict)
        and isinstance(card.get("summary"), str)
        and isinstance(card.get("indicator"), str)
        and isinstance(card.get("suggestions", []), list)
        for card in cards
    ):
        raise CdsServiceError("The service answered with something else than CDS Hooks cards.")
    return found


def _object(answer: requests.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise CdsServiceError("The service answered with something else than JSON.")
    return value


def _diagnostics(answer: requests.Response) -> str:
    """What an OperationOutcome says."""
    try:
        diagnostics = answer.json()["issue"][0]["diagnostics"]
    except (ValueError, KeyError, IndexError, TypeError):
        return ""
    return f": {diagnostics}" if isinstance(diagnostics, str) else ""


def _refuse_nothing(queries: tuple[Query, ...]) -> None:
    """Raise if the patient is not there, or the server answered nothing that was asked."""
    if any(lacks_patient(query) for query in queries):
        raise RequestError("The FHIR server has no such patient.")
    if queries and all(query.failure for query in queries):
        raise CdsServiceError(f"The FHIR server gave nothing: {queries[0].because}.")
