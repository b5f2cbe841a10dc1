# SPDX-License-Identifier: Apache-2.0
"""Whether each listed FHIR server answers, speaks a FHIR that is read, and has the same time."""

import json
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

from cds_service.clock import Clock, Deadline
from cds_service.errors import SettingsError
from cds_service.fhir_client.servers import Server
from cds_service.fhir_client.servers_file import load_servers
from cds_service.outgoing.address_policy import AddressNotAllowed
from cds_service.outgoing.messages import HttpRequest, TransportError, UntrustedCertificate
from cds_service.outgoing.transport import Transport
from cds_service.settings import Settings
from cds_service.setup_checks.finding import Finding
from cds_service.setup_checks.messages import message_findings
from cds_service.trust.claims import SKEW

_PATIENCE: Final = 5.0  # seconds for one server
_MOST_BYTES: Final = 8 * 1024 * 1024
_VERSIONS: Final = ("4.0", "4.3", "5.0")
_ROUNDING: Final = 1.0  # seconds: the header Date has whole ones (RFC 9110, section 5.6.7)
_NOTED: Final = 5.0  # seconds


def server_findings(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Every server of CDS_FHIR_SERVERS; each is asked once for what it can do."""
    if settings.fhir_servers is None:
        return
    development = settings.profile == "development"
    try:
        servers = load_servers(settings.fhir_servers, development=development)
    except SettingsError as error:
        yield Finding("servers", "problem", str(error), "See cds-service servers check.")
        return
    yield from message_findings(servers, by_category=settings.lab_category_prefetch)
    for server in servers.listed.values():
        yield from _asked(server, clock)


def _asked(server: Server, clock: Clock) -> Iterator[Finding]:
    name = server.name or server.base
    call = HttpRequest(
        url=f"{server.base}/metadata",
        headers={"Accept": "application/fhir+json"},
        most_bytes=_MOST_BYTES,
    )
    before = clock()
    try:
        answer = Transport(server.policy).send(call, Deadline(_PATIENCE))
    except UntrustedCertificate as error:
        remedy = "If an authority of yours signed it, name its certificate in CDS_AUTHORITIES."
        yield Finding("servers", "problem", f"{name} is not called: {error}.", remedy)
        return
    except (AddressNotAllowed, TransportError) as error:
        yield Finding("servers", "problem", f"{name} does not answer: {error}.")
        return
    yield clock_finding(name, answer.headers.get("Date", ""), before, clock())
    if answer.status != 200:
        text = f"{name} answers {answer.status} instead of what it can do (/metadata)."
        yield Finding("servers", "warning", text, "Is that the base URL?")
        return
    version = _version(answer.body)
    if version.startswith(_VERSIONS):
        yield Finding("servers", "fine", f"{name} answers, with FHIR {version}.")
    else:
        text = f"{name} answers, and not with the CapabilityStatement of a FHIR that is read here."
        yield Finding("servers", "problem", text, "Is that the base URL?")


def clock_finding(name: str, date: str, before: datetime, after: datetime) -> Finding:
    """How far the clock here is from that of a server, by the header Date of its answer.

    `before` and `after` are the time here around the request; what lies between, and the second
    that the header cannot show, are not held against anybody.
    """
    try:
        theirs = parsedate_to_datetime(date)
    except (ValueError, OverflowError):  # the latter of numbers that no time has
        return Finding("clock", "warning", f"{name} does not say what time it has.")
    if theirs.tzinfo is None:
        return Finding("clock", "warning", f"{name} does not say in what zone its time is.")
    early, late = (before - theirs).total_seconds(), (after - theirs).total_seconds()
    off = max(early - _ROUNDING, -late, 0.0)
    ahead = "ahead of" if early > 0 else "behind"
    text = f"The clock here is {off:.0f} seconds {ahead} that of {name}."
    if off > SKEW.total_seconds():
        return Finding("clock", "problem", text, "Tokens are refused: set both by NTP.")
    if off > _NOTED:
        return Finding("clock", "warning", text, "Set both by NTP.")
    return Finding("clock", "fine", f"The clock here agrees with that of {name}.")


def _version(body: bytes) -> str:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict) or document.get("resourceType") != "CapabilityStatement":
        return ""
    return str(document.get("fhirVersion", ""))[:20]
