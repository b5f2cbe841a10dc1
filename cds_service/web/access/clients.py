# SPDX-License-Identifier: Apache-2.0
"""Authentication of HTTP requests: the Authorization header -> a registered client, or a bare 401.

The header is verified before the body is read. Why a token is refused is counted and logged as a
`Reason`; every refused caller gets the same response.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from flask import Request, g

from cds_service.clock import Clock
from cds_service.errors import Forbidden, SettingsError, Unauthenticated
from cds_service.hooks.request import HookRequest
from cds_service.log import log_clients, log_widened
from cds_service.metrics import Metrics
from cds_service.settings import OutputProfile, Settings
from cds_service.trust.claims import TokenLimits, request_target
from cds_service.trust.clients import Client, Registrations
from cds_service.trust.keysets import KeySets
from cds_service.trust.registry import Registry
from cds_service.trust.used_tokens import ReplayStore
from cds_service.trust.verify import Accepted, Fault, Verifier
from cds_service.trust.widened import widened
from cds_service.web.request_log import LogEntry

# RFC 6750, section 2.1; the name of the scheme ignores case (RFC 9110, section 11.1). Two headers
# reach us joined by a comma, which no token holds.
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]+)", re.IGNORECASE)
_NOBODY = "none"

VERDICT = "cds_service.verdict"
"""Key in the environ: the verdict of `Gate.verify`, or the exception it raised, once it ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Admits requests of registered clients."""

    registry: Registry
    verifier: Verifier
    clock: Clock
    base_url: str
    open_discovery: bool
    open_arrivals: bool
    metrics: Metrics

    @property
    def may_wait(self) -> bool:
        """Whether a look at a token may wait for another machine: for keys, or what was used."""
        replay = self.verifier.replay
        return (replay is not None and replay.may_wait) or self.registry.current().fetches_keys

    def verify(self, request: Request) -> Accepted | Fault | None:
        """The verdict on the token of a request; `None` if the request needs none.

        Verifying uses the token up. Raises what the replay store raises.
        """
        if not self._is_guarded(request):
            return None
        return self.verify_token(request.headers.get("Authorization", ""), request.path)

    def verify_token(self, authorization: str, path: str) -> Accepted | Fault:
        """The verdict on the token in the header of a request to this path; raises as `verify`."""
        match = _BEARER.fullmatch(authorization.strip(" "))
        if match is None:
            return Fault(reason="no-token", message="Authorization is not Bearer and a token")
        # The URL as clients know it, whatever a proxy made of it.
        target = request_target(self.base_url + path)
        return self.verifier.verify(match[1], target, self.registry.current(), self.clock())

    def admit(self, request: Request) -> None:
        """Set `g.client` to the client that sent the request; raises `Unauthenticated`."""
        known = request.environ.get(VERDICT)
        if isinstance(known, Exception):
            raise known
        verdict = known if isinstance(known, Accepted | Fault) else self.verify(request)
        if verdict is not None:
            g.client = self.accepted(verdict, g.entry)

    def accepted(self, verdict: Accepted | Fault, entry: LogEntry) -> Client:
        """The client of a token that was accepted; raises `Unauthenticated`."""
        client = verdict.client
        entry.client = None if client is None else client.id
        if isinstance(verdict, Fault):
            entry.refused = verdict.reason
            self.metrics.refused.labels(entry.client or _NOBODY, verdict.reason).inc()
            raise Unauthenticated("A valid token of a registered client is needed.")
        return verdict.client

    def _is_guarded(self, request: Request) -> bool:
        """Whether a token is needed: for everything but pages without patient data.

        A preflight never carries one (Fetch standard, "CORS-preflight fetch"), and an address that
        does not exist has nothing to guard.
        """
        if request.method == "OPTIONS" or request.endpoint is None:
            return False
        if request.endpoint == "hooks.discovery":
            return not self.open_discovery
        if request.blueprint == ARRIVALS:
            return not self.open_arrivals or "Authorization" in request.headers
        return request.blueprint not in PUBLIC


PUBLIC = frozenset({"catalogue", "feedback_page", "pages", "report", "sandbox", "subscriptions"})
"""Blueprints that need no token: none of their pages shows data the service has of a patient.

The sandbox and the page of reports show what is put into them, and what open FHIR servers show to
everyone. Notifications of Subscriptions carry a secret of their own.
"""

ARRIVALS = "arrivals"
"""The blueprint that shows patients only with a token; without one it may not be shown at all."""


def make_gate(
    settings: Settings, clock: Clock, metrics: Metrics, replay: Callable[[], ReplayStore]
) -> Gate | None:
    """The gate of the service, or `None` in open mode; `replay` opens what remembers tokens.

    Raises `SettingsError` with every problem of the file of clients.
    """
    if settings.clients is None:
        return None
    if settings.public_url is None:
        raise SettingsError(["CDS_PUBLIC_URL: clients sign for the address that they call; set it"])

    before: Registrations | None = None

    def report(current: Registrations, problems: int) -> None:
        nonlocal before
        for client, by in widened(before or current, current):
            log_widened(client=client, by=by)
        before = current
        log_clients(clients=len(current.clients), problems=problems)
        metrics.clients.set(len(current.clients))
        metrics.clients_current.set(0 if problems else 1)

    development = settings.profile == "development"
    longest = timedelta(seconds=settings.token_max_seconds)
    return Gate(
        registry=Registry(settings.clients, development=development, on_reload=report),
        verifier=Verifier(
            keys=KeySets(development=development),
            replay=replay(),
            limits=TokenLimits(longest=longest, development=development),
        ),
        clock=clock,
        base_url=settings.public_url.rstrip("/"),
        open_discovery=settings.discovery == "open",
        open_arrivals=_shows_arrivals(settings),
        metrics=metrics,
    )


def _shows_arrivals(settings: Settings) -> bool:
    """Whether what arrives is shown to those without a token: as set, else in development."""
    if settings.arrivals_page is not None:
        return settings.arrivals_page
    return settings.profile == "development"


def patients_of_caller() -> Callable[[str], bool] | None:
    """Of which FHIR servers the caller may see patients; `None` for one who is not registered."""
    client: Client | None = g.get("client")
    return None if client is None else client.may_name


def issuer_of_caller() -> str:
    """The issuer of the client that calls an address of Flask; empty in open mode."""
    return issuer_of(g.get("client"))


def issuer_of(client: Client | None) -> str:
    """The issuer of a client; empty in open mode."""
    return "" if client is None else client.issuer


def profile_of(client: Client | None, settings: Settings) -> OutputProfile:
    """The form in which a client takes cards."""
    return settings.output_profile if client is None else client.output_profile


def keys_of(client: Client | None, of_all: Mapping[str, str]) -> Mapping[str, str]:
    """The keys of discovery for those that the client names otherwise, `of_all` among them."""
    return {**of_all, **client.prefetch_keys} if client is not None else of_all


def check_fhir_server(request: HookRequest, client: Client | None) -> None:
    """Raise `Forbidden` if the client may not call about data of this FHIR server."""
    if client is not None and not client.may_name(request.fhir_server):
        raise Forbidden("Expected a FHIR server registered for the client.", "$.fhirServer")


def sees_cards(request: HookRequest, client: Client | None) -> bool:
    """Whether the user may see cards for clinicians: patients only where their client says so."""
    return not request.is_of_patient or (client is not None and client.patients_see_cards)
