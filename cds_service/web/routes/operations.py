# SPDX-License-Identifier: Apache-2.0
"""Addresses around the service, for machines; none of them knows of a patient."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST

from cds_service.errors import StoreError
from cds_service.metrics import Metrics, exposition
from cds_service.service import Knowledge
from cds_service.setup_checks.database import inbox_findings
from cds_service.setup_checks.finding import Finding
from cds_service.smart.signing_keys import KEPT, KeyFile, SigningKeys
from cds_service.store import Store
from cds_service.subscriptions.inbox_list import InboxWatch
from cds_service.web.access.clients import Gate
from cds_service.web.operating_metrics import show_files
from cds_service.web.outcomes import json_response


def blueprint(
    knowledge: Knowledge,
    metrics: Metrics,
    gate: Gate | None,
    keys: KeyFile | None,
    store: Store,
    inbox: InboxWatch,
    standing: Sequence[Finding] = (),
) -> Blueprint:
    """The addresses over this knowledge, these metrics, the service's own keys and its store.

    `standing` is what was found at the start and holds for as long as the process runs.
    """
    routes = Blueprint("pages", __name__)
    openapi = openapi_file().read_bytes()

    @routes.get("/health")
    def health() -> Response:
        return json_response({"status": "up"})

    @routes.get("/ready")
    def ready() -> Response:
        return readiness(knowledge, gate, keys, store, inbox, standing)

    @routes.get("/metrics")
    def counts() -> Response:
        inbox.show(metrics)
        show_files(metrics, gate, keys, inbox.now())
        return Response(exposition(metrics), content_type=CONTENT_TYPE_LATEST)

    @routes.get("/jwks.json")
    def public_keys() -> Response:
        # Without keys an empty set: a server that asks learns that none is valid.
        current = SigningKeys() if keys is None else keys.current()
        response = json_response(current.published())
        response.headers["Cache-Control"] = f"public, max-age={int(KEPT.total_seconds())}"
        return response

    @routes.get("/openapi.yaml")
    def description() -> Response:
        return Response(openapi, content_type="application/yaml")  # RFC 9512

    return routes


def readiness(
    knowledge: Knowledge,
    gate: Gate | None,
    keys: KeyFile | None,
    store: Store,
    inbox: InboxWatch,
    standing: Sequence[Finding],
) -> Response:
    """Whether calls can be answered, and what is missing or wrong; 503 only if they cannot."""
    packs = [{"id": pack.id, "version": pack.version} for pack in knowledge.packs]
    body: dict[str, Any] = {"status": "ready", "packs": packs}
    status = HTTPStatus.OK
    # A database that is away for a while costs no card; a file that was removed does not come
    # back by itself, and no feedback can be kept.
    try:
        store.database.check_file()
    except StoreError:
        body |= {"status": "not ready", "database": "removed"}
        status = HTTPStatus.SERVICE_UNAVAILABLE
    # What was read before stays in force while a file is wrong: ready, and someone has to look.
    if gate is not None:
        gate.registry.current()
        body["clients"] = _state(is_current=gate.registry.is_current)
    if keys is not None:
        keys.current()
        body["signing_keys"] = _state(is_current=keys.is_current)
    # A full inbox makes no call wrong: operators have to look.
    body |= _arrivals(inbox)
    body["problems"] = [*_problems(body), *_words(standing), *_arrival_words(inbox)]
    return json_response(body, status)


def _problems(body: Mapping[str, Any]) -> Iterator[str]:
    """In words what the members of the answer say by a name."""
    if "database" in body:
        yield "The file of the database was removed or replaced; start the service again."
    elif "inbox" not in body:
        yield "The database does not answer: no feedback is taken, and no card is kept quiet."
    for name, variable in (("clients", "CDS_CLIENTS"), ("signing_keys", "CDS_SIGNING_KEYS")):
        if body.get(name) == "outdated":
            yield f"The file of {variable} is wrong or not whole; what it held before counts."


def _arrival_words(inbox: InboxWatch) -> Iterator[str]:
    state = inbox.state()
    return iter(()) if state is None else _words(inbox_findings(state, inbox.now()))


def _words(found: Iterable[Finding]) -> Iterator[str]:
    return (str(finding) for finding in found if finding.severity != "fine")


def _state(*, is_current: bool) -> str:
    return "current" if is_current else "outdated"


def _arrivals(inbox: InboxWatch) -> dict[str, Any]:
    """What there is to see of results that arrive; nothing while the database is away."""
    state = inbox.state()
    if state is None:
        return {}
    return {
        "inbox": {"waiting": state.waiting, "dead": state.dead, "refused": state.refused},
        "subscriptions": {
            "failing": state.failing,
            "searches_failing": state.searches_failing,
        },
        "worker": "working" if inbox.has_worker else "missing",
    }


def openapi_file() -> Path:
    """The description of the addresses: beside the package in the wheel, else at the top level."""
    package = Path(__file__).parents[2]
    in_wheel = package / "_openapi.yaml"
    return in_wheel if in_wheel.is_file() else package.parent / "openapi.yaml"
