# SPDX-License-Identifier: Apache-2.0
"""What pages work with that try something out: a case goes to the services, and comes out as cards.

Used by the sandbox and by the page of reports.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from threading import BoundedSemaphore
from typing import Any

from flask import Response, g, request

from cds_service.call_context import SANDBOX
from cds_service.clock import Clock, Deadline
from cds_service.errors import Busy, RequestError
from cds_service.fhir_client.client import Access, FhirClient
from cds_service.fhir_client.servers import Servers
from cds_service.fhir_client.servers_file import load_servers
from cds_service.memory import CardMemory
from cds_service.metrics import Metrics
from cds_service.sandbox.fetch import Query, gather, open_access
from cds_service.sandbox.patient_search import PatientMatches, find_people, is_id
from cds_service.sandbox.requests import (
    CallResult,
    answered,
    find_example,
    request_of_example,
    request_of_prefetch,
    request_of_subject,
    tokens_for,
)
from cds_service.sandbox.server_check import refuse_other_servers
from cds_service.sandbox.services import (
    ServiceOffer,
    answering,
    beside,
    chosen,
    offers_of,
    service_of,
)
from cds_service.sandbox.uploads import Upload, UploadedPatient, read_upload
from cds_service.service import Knowledge, options_of
from cds_service.settings import Settings, is_open
from cds_service.web.html.forms import Form
from cds_service.web.html.rendering import SCRIPTED, page
from cds_service.web.html.sandbox_view import cards_of, most_urgent_first, shown
from cds_service.web.outcomes import answer_to, message_for
from cds_service.web.request_log import count


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The request to send, for which service, and where it came from.

    `others` are the other services of the hook, which an EHR would call too, each with its request.
    """

    offer: ServiceOffer
    body: bytes
    title: str
    queries: tuple[Query, ...] = ()
    others: tuple[tuple[ServiceOffer, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxContext:
    """What every address of the sandbox works with."""

    settings: Settings
    knowledge: Knowledge
    clock: Clock
    memory: CardMemory | None  # none where cards of visitors are not to be kept
    servers: Servers
    client: FhirClient
    lister: FhirClient  # reads one page of a list
    metrics: Metrics
    turns: BoundedSemaphore  # the hooks keep threads of their own
    offers: tuple[ServiceOffer, ...]

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Time for one who tries something; raises `Busy` while enough others do."""
        if not self.turns.acquire(blocking=False):
            raise Busy("Others are trying something; send it again in a moment.")
        try:
            yield
        finally:
            self.turns.release()

    def read(self, form: Form) -> Upload:
        """What was pasted, or is in the file that was chosen."""
        file = form.files.get("file")
        data = file or form.field("text").encode()
        if not data.strip():
            raise RequestError("Expected a text or a file.")
        if file:  # the list of its patients carries it along
            g.asked["text"] = file.decode(errors="replace")
        limits = self.settings
        return read_upload(data, max_depth=limits.max_depth, max_entries=limits.max_entries)

    def people(self, form: Form) -> PatientMatches:
        """The patients of the server that the form looks for."""
        deadline = Deadline(self.settings.sandbox_seconds)
        access = open_access(self.servers, form.field("server"))
        found = find_people(self.lister, access, form.field("search"), deadline)
        if found.failure:
            self.refuse_other_servers(access)
        return found

    def of_example(self, form: Form, now: datetime) -> Submission:
        """The case of a bundled patient, which goes to its own pack first."""
        offer = chosen(self.offers, form.field("service"))
        pack, example = find_example(self.knowledge, form.field("example"))
        offer = service_of(pack, offer, self.offers)
        body = request_of_example(pack, example, offer, now)
        others = tuple((other, body) for other in beside(self.offers, offer))
        return Submission(offer=offer, body=body, title=example.title, others=others)

    def of_paper(self, form: Form, paper: Upload, subject: UploadedPatient | None) -> Submission:
        """The case of a hook request as it stands, or of one patient of a text."""
        offer = chosen(self.offers, form.field("service"))
        if paper.request is not None:
            fitting = answering(self.offers, paper.hook, offer)
            return Submission(
                offer=fitting,
                body=paper.request,
                title="The hook request that was given",
                others=tuple((other, paper.request) for other in beside(self.offers, fitting)),
            )
        if subject is None:
            raise RequestError("Expected one of the patients of the text.")
        body = request_of_subject(offer, subject)
        return Submission(
            offer=offer,
            body=body,
            title=f"Patient {subject.id} of the text",
            others=tuple(
                (other, request_of_subject(other, subject)) for other in beside(self.offers, offer)
            ),
        )

    def of_server(self, form: Form) -> Submission:
        """The case of a patient on a FHIR server."""
        offer = chosen(self.offers, form.field("service"))
        patient = form.field("patient")
        if not is_id(patient):
            raise RequestError("Expected the id of a patient.")
        access = open_access(self.servers, form.field("server"))
        deadline = Deadline(self.settings.sandbox_seconds)
        tokens, base = tokens_for(offer.hook, patient), access.server.base
        asked: list[tuple[ServiceOffer, bytes]] = []
        queries: list[Query] = []
        for each_offer in (offer, *beside(self.offers, offer)):
            found = gather(self.client, access, each_offer.prefetch, tokens, deadline)
            if found.is_nothing:
                self.refuse_other_servers(access)
            body = request_of_prefetch(each_offer, patient, found.prefetch, fhir_server=base)
            asked.append((each_offer, body))
            queries.extend(found.queries)
        return Submission(
            offer=offer,
            body=asked[0][1],
            title=f"Patient {patient} of {base}",
            queries=tuple(queries),
            others=tuple(asked[1:]),
        )

    def refuse_other_servers(self, access: Access) -> None:
        """Raise `RequestError` if this is no FHIR server."""
        refuse_other_servers(self.lister, access, Deadline(self.settings.sandbox_seconds))

    def call(self, offer: ServiceOffer, body: bytes, base_url: str) -> tuple[CallResult, float]:
        """The answer of a service to a request, and how long it took in milliseconds."""
        deadline = Deadline(self.settings.deadline_ms / 1000)
        called = answered(
            self.knowledge,
            offer.id,
            body,
            self.clock(),
            replace(
                options_of(self.settings),
                base_url=base_url,
                explain="always",
                deadline=deadline,
                memory=self.memory,
                client=SANDBOX,
            ),
            max_depth=self.settings.max_depth,
            max_entries=self.settings.max_entries,
        )
        return called, deadline.elapsed()


def make_context(
    settings: Settings,
    knowledge: Knowledge,
    clock: Clock,
    metrics: Metrics,
    memory: CardMemory,
) -> SandboxContext:
    """What the pages of the sandbox work with, as the service is set."""
    development = settings.profile == "development"
    servers = load_servers(settings.fhir_servers, development=development)
    most, patience = settings.max_body_bytes, settings.sandbox_seconds
    return SandboxContext(
        settings=settings,
        knowledge=knowledge,
        clock=clock,
        memory=memory if is_open(settings) else None,
        # Anyone who reaches a service with clients could have it ask any server in its network.
        servers=replace(servers, development=development and is_open(settings)),
        client=FhirClient(most_bytes=most, most_pages=settings.fhir_max_pages, patience=patience),
        lister=FhirClient(most_bytes=most, most_pages=1, patience=patience),
        metrics=metrics,
        turns=BoundedSemaphore(max(1, settings.threads // 2)),
        offers=offers_of(knowledge.discovery),
    )


def cards_page(
    context: SandboxContext,
    submission: Submission,
    template: str = "sandbox_cards.html",
    **more: object,
) -> Response:
    """What the service answers, and everything around it."""
    base_url = (context.settings.public_url or request.host_url).rstrip("/")
    called, milliseconds = context.call(submission.offer, submission.body, base_url)
    others = [_other(context, offer, body, base_url) for offer, body in submission.others]
    g.entry.service, g.entry.hook = submission.offer.id, submission.offer.hook
    if called.answer is not None:
        g.entry.tell(called.answer.outcome)
        if context.memory is not None:
            count(called.answer.outcome, context.metrics)
    refused = answer_to(called.error) if called.error is not None else None
    values = shown(
        context.knowledge,
        called,
        submission.body,
        url=f"{base_url}/cds-services/{submission.offer.id}",
        response=refused.get_data() if refused else called.response,
    )
    own = cards_of(refused.get_data() if refused else called.response, submission.offer)
    values |= {
        "cards": most_urgent_first([*own, *(card for run in others for card in run["cards"])]),
        "others": others,
        "status": refused.status_code if refused else 200,
        "refused": message_for(called.error) if called.error is not None else "",
        "title": submission.title,
        "offer": submission.offer,
        "queries": submission.queries,
        "milliseconds": round(milliseconds, 1),
        "takes_feedback": context.memory is not None,
    }
    return sandbox_page(template, {**values, **more})


def _other(
    context: SandboxContext, offer: ServiceOffer, body: bytes, base_url: str
) -> dict[str, Any]:
    """The cards of another service of the hook, or why it has none."""
    called, _ = context.call(offer, body, base_url)
    if called.answer is not None and context.memory is not None:
        count(called.answer.outcome, context.metrics)
    refused = message_for(called.error) if called.error is not None else ""
    cards = [] if refused else cards_of(called.response, offer)
    return {"offer": offer, "cards": cards, "refused": refused}


def sandbox_page(
    template: str, values: Mapping[str, object], status: int = 200, *, policy: str = SCRIPTED
) -> Response:
    """A page that may run our script and send forms to us."""
    response = page(template, values, status, policy=policy)
    # A form of ours names its origin to us; without this a browser would say "null".
    response.headers["Referrer-Policy"] = "same-origin"
    return response
