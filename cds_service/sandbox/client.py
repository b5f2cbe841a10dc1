# SPDX-License-Identifier: Apache-2.0
"""A CDS Client for the command line: a patient of a FHIR server in, the cards of a service out.

The service is one of the packs of this machine, in process, or any other by HTTP.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import requests

from cds_service.clock import countdown, system_clock
from cds_service.errors import CdsServiceError, Forbidden, RequestError
from cds_service.fhir_client.client import Access, FhirClient, NoToken
from cds_service.fhir_client.read_servers import load_servers
from cds_service.outgoing.reach import why_not
from cds_service.sandbox.calls import answered, request_of_prefetch, tokens_for
from cds_service.sandbox.gather import Query, gather
from cds_service.sandbox.offers import Offer, chosen, offers_of
from cds_service.service import Options, load_knowledge
from cds_service.settings import Settings

_SECONDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of one patient; `refused` is what the service said in place of cards."""

    patient: str
    name: str
    service: str
    queries: tuple[Query, ...]
    cards: list[dict[str, Any]]
    refused: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        told = [
            {"key": one.key, "query": one.query, "resources": one.resources, "failure": one.failure}
            for one in self.queries
        ]
        shown: dict[str, Any] = {"patient": f"Patient/{self.patient}", "service": self.service}
        shown |= {"queries": told, "cards": self.cards}
        return {**shown, "refused": self.refused} if self.refused else shown


class Called(Protocol):
    """A call of a service: a request to the response, or to what it says instead."""

    def __call__(self, offer: Offer, body: bytes) -> tuple[dict[str, Any], str]:
        """The response and nothing, or nothing and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trier:
    """Tries patients of one server with one service."""

    client: FhirClient
    access: Access
    offer: Offer
    call: Called
    seconds: int

    def patient(self, patient_id: str, name: str = "") -> Tried:
        """The cards for one patient; raises an error if the server gave nothing at all."""
        tokens = tokens_for(self.offer.hook, patient_id)
        left = countdown(self.seconds)
        found = gather(self.client, self.access, self.offer.prefetch, tokens, left)
        _refuse_nothing(found.queries)
        base = self.access.server.base
        body = request_of_prefetch(self.offer, patient_id, found.prefetch, fhir_server=base)
        response, refused = self.call(self.offer, body)
        return Tried(
            patient=patient_id,
            name=name,
            service=self.offer.id,
            queries=found.queries,
            cards=response.get("cards", []),
            refused=refused,
        )


def open_access(settings: Settings, base: str) -> Access:
    """The FHIR server, if it may be asked from here; raises `RequestError`.

    On one's own machine any may be, unless an administrator made a list for production.
    """
    listed_only = settings.profile == "production" and settings.fhir_servers is not None
    servers = load_servers(settings.fhir_servers, development=not listed_only)
    server = servers.find(base)
    if server is None or (listed_only and not server.anonymous):
        raise Forbidden(
            "This FHIR server is not among those of CDS_FHIR_SERVERS with 'anonymous: yes'."
        )
    if said := why_not(base, server.reach):
        raise RequestError(f"Expected the base URL of a FHIR server; {said}.")
    return Access(server=server, bearer=NoToken())


def open_trier(
    settings: Settings,
    client: FhirClient,
    access: Access,
    *,
    url: str | None,
    service_id: str | None,
) -> Trier:
    """The trier with a service at the URL, or of this machine; raises `UnknownService`."""
    discovery, call = _remote(url.rstrip("/")) if url is not None else _local(settings)
    return Trier(
        client=client,
        access=access,
        offer=chosen(offers_of(discovery), service_id),
        call=call,
        seconds=settings.sandbox_seconds,
    )


def _local(settings: Settings) -> tuple[bytes, Called]:
    knowledge = load_knowledge(settings)

    def call(offer: Offer, body: bytes) -> tuple[dict[str, Any], str]:
        called = answered(
            knowledge,
            offer.id,
            body,
            system_clock(),
            Options(),
            max_depth=settings.max_depth,
            max_entries=settings.max_entries,
        )
        if called.error is not None:
            return {}, str(called.error)
        return json.loads(called.response), ""

    return knowledge.discovery, call


def _remote(url: str) -> tuple[bytes, Called]:
    """A service by HTTP; raises `CdsServiceError` if it does not answer."""

    def call(offer: Offer, body: bytes) -> tuple[dict[str, Any], str]:
        answer = _sent(
            lambda: requests.post(
                f"{url}/cds-services/{offer.id}",
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=_SECONDS,
            )
        )
        if not answer.ok:
            return {}, f"status {answer.status_code}{_diagnostics(answer)}"
        return _object(answer), ""

    answer = _sent(lambda: requests.get(f"{url}/cds-services", timeout=_SECONDS))
    if not answer.ok:
        raise CdsServiceError(f"The service answered discovery with status {answer.status_code}.")
    return answer.content, call


def _sent(send: Callable[[], requests.Response]) -> requests.Response:
    try:
        return send()
    except (requests.RequestException, ValueError):
        raise CdsServiceError("The service at --url does not answer.") from None


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
        said = answer.json()["issue"][0]["diagnostics"]
    except (ValueError, KeyError, IndexError, TypeError):
        return ""
    return f": {said}" if isinstance(said, str) else ""


def _refuse_nothing(queries: tuple[Query, ...]) -> None:
    """Raise if the patient is not there, or the server answered nothing that was asked."""
    patient = next((one for one in queries if one.query.startswith("Patient/")), None)
    if patient is not None and patient.failure == "not-found":
        raise RequestError("The FHIR server has no such patient.")
    if queries and all(one.failure for one in queries):
        raise CdsServiceError(f"The FHIR server gave nothing: {queries[0].because}.")
