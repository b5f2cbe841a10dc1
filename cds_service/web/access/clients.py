# SPDX-License-Identifier: Apache-2.0
"""Who calls, over HTTP: the Authorization header -> a registered client, or a bare 401.

It is looked at before anything of the body is taken in. What is wrong with a token is counted and
logged under a name of ours; the caller gets the same answer whatever it was.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from flask import Request, g

from cds_service.clock import Clock
from cds_service.errors import Forbidden, SettingsError, Unauthenticated
from cds_service.hooks.request import HookRequest
from cds_service.log import log_clients
from cds_service.metrics import Metrics
from cds_service.settings import OutputProfile, Settings
from cds_service.trust.claims import Limits, request_target
from cds_service.trust.clients import Client, Registrations
from cds_service.trust.keysets import KeySets
from cds_service.trust.registry import Registry
from cds_service.trust.replay import ReplayStore
from cds_service.trust.verify import Accepted, Fault, Verifier

# RFC 6750, section 2.1; the name of the scheme ignores case (RFC 9110, section 11.1). Two headers
# reach us joined by a comma, which no token holds.
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]+)", re.IGNORECASE)
_NOBODY = "none"

VERDICT = "cds_service.verdict"
"""In the environ: what `Gate.look` said or raised, if somebody has asked it about the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Lets the calls of registered clients in."""

    registry: Registry
    verifier: Verifier
    clock: Clock
    base_url: str
    open_discovery: bool
    metrics: Metrics

    def look(self, request: Request) -> Accepted | Fault | None:
        """What is to be said of the token of a request; `None` if it needs none.

        A token is good for one look. Raises what the replay store raises.
        """
        if not self._is_guarded(request):
            return None
        match = _BEARER.fullmatch(request.headers.get("Authorization", "").strip(" "))
        if match is None:
            return Fault(reason="no-token", message="Authorization is not Bearer and a token")
        # The URL as clients know it, whatever a proxy made of it.
        target = request_target(self.base_url + request.path)
        return self.verifier.verify(match[1], target, self.registry.current(), self.clock())

    def admit(self, request: Request) -> None:
        """Note in `g.client` whose call this is; raises `Unauthenticated`."""
        known = request.environ.get(VERDICT)
        if isinstance(known, Exception):
            raise known
        verdict = known if isinstance(known, Accepted | Fault) else self.look(request)
        if verdict is None:
            return
        client = verdict.client
        g.entry.client = None if client is None else client.id
        if isinstance(verdict, Fault):
            g.entry.refused = verdict.reason
            self.metrics.refused.labels(g.entry.client or _NOBODY, verdict.reason).inc()
            raise Unauthenticated("A valid token of a registered client is needed.")
        g.client = client

    def _is_guarded(self, request: Request) -> bool:
        """Whether a token is needed: always, but for what knows nothing of patients.

        A preflight never carries one (Fetch standard, "CORS-preflight fetch"), and an address that
        does not exist has nothing to guard.
        """
        if request.method == "OPTIONS" or request.endpoint is None:
            return False
        if request.endpoint == "hooks.discovery":
            return not self.open_discovery
        return request.blueprint not in PUBLIC


PUBLIC = frozenset({"catalogue", "feedback_page", "pages", "sandbox"})
"""Blueprints for everyone who reaches them: no page shows what the service knows of a patient.

The sandbox shows what is put into it, and what open FHIR servers show to everyone.
"""


def make_gate(
    settings: Settings, clock: Clock, metrics: Metrics, replay: ReplayStore
) -> Gate | None:
    """The gate to the service, or `None` in open mode.

    Raises `SettingsError` with every problem of the file of clients.
    """
    if settings.clients is None:
        return None
    if settings.public_url is None:
        raise SettingsError(["CDS_PUBLIC_URL: clients sign for the address that they call; set it"])

    def on_reload(current: Registrations, problems: int) -> None:
        log_clients(clients=len(current.clients), problems=problems)
        metrics.clients.set(len(current.clients))
        metrics.clients_current.set(0 if problems else 1)

    development = settings.profile == "development"
    longest = timedelta(seconds=settings.token_max_seconds)
    return Gate(
        registry=Registry(settings.clients, development=development, on_reload=on_reload),
        verifier=Verifier(
            keys=KeySets(development=development),
            replay=replay,
            limits=Limits(longest=longest, development=development),
        ),
        clock=clock,
        base_url=settings.public_url.rstrip("/"),
        open_discovery=settings.discovery == "open",
        metrics=metrics,
    )


def issuer_of_caller() -> str:
    """The issuer of the client whose call this is; empty in open mode."""
    client: Client | None = g.get("client")
    return "" if client is None else client.issuer


def profile_of_caller(settings: Settings) -> OutputProfile:
    """The form in which the caller takes cards."""
    client: Client | None = g.get("client")
    return settings.output_profile if client is None else client.output_profile


def keys_of_caller(of_all: Mapping[str, str]) -> Mapping[str, str]:
    """The keys of discovery for those that the caller names otherwise, `of_all` among them."""
    client: Client | None = g.get("client")
    return {**of_all, **client.prefetch_keys} if client is not None else of_all


def check_fhir_server(request: HookRequest) -> None:
    """Raise `Forbidden` if the client may not call about data of this FHIR server."""
    client: Client | None = g.get("client")
    if client is not None and not client.may_name(request.fhir_server):
        raise Forbidden("Expected a FHIR server registered for the client.", "$.fhirServer")


def sees_cards(request: HookRequest) -> bool:
    """Whether the user may see cards for clinicians: patients only where their client says so."""
    client: Client | None = g.get("client")
    return not request.is_of_patient or (client is not None and client.patients_see_cards)
