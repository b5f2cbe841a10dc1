# SPDX-License-Identifier: Apache-2.0
"""A listener as the settings have it, or everything that is wrong with them."""

import ssl
from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from cds_service.clock import Clock
from cds_service.errors import SettingsError
from cds_service.fhir_client.servers import Servers
from cds_service.fhir_client.servers_file import load_servers
from cds_service.metrics import Metrics
from cds_service.mllp.listener import ListenerLimits, MessageListener
from cds_service.mllp.receive import MessageReceiver
from cds_service.settings import Settings, is_loopback
from cds_service.store import Store
from cds_service.tracing.calls import CallTraces

_PART_OF_AN_ADDRESS: Final = 4


def servers_with_senders(settings: Settings) -> Servers:
    """The servers of the file; raises `SettingsError` with all that keeps it from listening."""
    servers = load_servers(settings.fhir_servers, development=settings.profile == "development")
    problems = list(_problems(settings, servers))
    if problems:
        raise SettingsError(problems)
    return servers


def senders_of(servers: Servers) -> int:
    """How many senders are listed."""
    listed = (server.messages for server in servers.listed.values())
    return sum(len(messages.senders) for messages in listed if messages is not None)


def make_listener(
    settings: Settings,
    servers: Servers,
    store: Store,
    metrics: Metrics,
    clock: Clock,
    traces: CallTraces | None = None,
) -> MessageListener:
    """A listener; it is made where its event loop runs."""
    return MessageListener(
        receiver=MessageReceiver(
            servers=servers,
            database=store.database,
            clock=clock,
            zone=ZoneInfo(settings.site_time_zone),
        ),
        limits=ListenerLimits(
            message_bytes=settings.mllp_max_message_bytes,
            message_seconds=settings.mllp_message_seconds,
            idle_seconds=settings.mllp_idle_seconds,
            connections=settings.mllp_max_connections,
            connections_of_address=settings.mllp_max_connections_per_address
            or max(settings.mllp_max_connections // _PART_OF_AN_ADDRESS, 1),
        ),
        metrics=metrics,
        traces=traces,
    )


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """TLS as it is set; raises `SettingsError` for files that are no certificates or keys."""
    if settings.mllp_tls_certificate is None or settings.mllp_tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 9325, section 3.1.1
    variable = "CDS_MLLP_TLS_CERTIFICATE"
    try:
        context.load_cert_chain(settings.mllp_tls_certificate, settings.mllp_tls_key)
        variable = "CDS_MLLP_CLIENT_AUTHORITIES"
        if settings.mllp_client_authorities is not None:
            context.load_verify_locations(settings.mllp_client_authorities)
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, OSError):
        raise SettingsError([f"{variable}: expected PEM, and the key that belongs to it"]) from None
    return context


def _problems(settings: Settings, servers: Servers) -> Iterator[str]:
    if not senders_of(servers):
        yield "CDS_FHIR_SERVERS: expected a file with a server that has senders under 'hl7 v2'"
    if (settings.mllp_tls_certificate is None) != (settings.mllp_tls_key is None):
        yield "CDS_MLLP_TLS_CERTIFICATE and CDS_MLLP_TLS_KEY: set both or neither"
    if settings.mllp_client_authorities is not None and settings.mllp_tls_certificate is None:
        yield "CDS_MLLP_CLIENT_AUTHORITIES: needs CDS_MLLP_TLS_CERTIFICATE"
    senders = [
        sender
        for server in servers.listed.values()
        if server.messages
        for sender in server.messages.senders
    ]
    if settings.mllp_client_authorities is None and any(sender.certificates for sender in senders):
        yield "CDS_FHIR_SERVERS: 'certificates' of a sender need CDS_MLLP_CLIENT_AUTHORITIES"
    if is_loopback(settings.mllp_host):
        return
    if settings.mllp_tls_certificate is None and not settings.mllp_clear:
        yield (
            "CDS_MLLP_HOST: other machines need TLS (CDS_MLLP_TLS_CERTIFICATE), "
            "or CDS_MLLP_CLEAR=true in a network that nobody else can read"
        )
    if settings.mllp_client_authorities is None and any(not sender.networks for sender in senders):
        yield (
            "CDS_FHIR_SERVERS: every sender of another machine needs 'addresses', "
            "or a certificate (CDS_MLLP_CLIENT_AUTHORITIES)"
        )
