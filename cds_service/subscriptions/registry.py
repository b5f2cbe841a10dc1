# SPDX-License-Identifier: Apache-2.0
"""The registered Subscriptions, the way to the servers that hold them, and what is asked of these.

Commands and the worker write Subscriptions by it. Raises `RegistrationError`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cds_service.clock import Clock
from cds_service.fhir_client.client import FhirClient
from cds_service.fhir_client.servers import Server, Servers
from cds_service.fhir_client.writer import FhirWriter
from cds_service.settings import Settings
from cds_service.smart.access import authorize_background
from cds_service.smart.token_cache import TokenCache
from cds_service.subscriptions.endpoint import endpoints_below
from cds_service.subscriptions.register import Plan, Registrar
from cds_service.subscriptions.registration import Registration, RegistrationTable
from cds_service.subscriptions.remote_subscriptions import RegistrationError, RemoteSubscriptions
from cds_service.subscriptions.write_subscription import SubscriptionSender

_ASKED: Final = ("Subscription", "Observation?")  # of which types a token is needed to read
_WRITTEN: Final = ("Subscription",)
_MOST_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRegistry:
    """`results` gives the search parameter for the laboratory results that the packs read."""

    settings: Settings
    servers: Servers
    rows: RegistrationTable
    tokens: TokenCache | None = field(repr=False)
    clock: Clock
    results: Callable[[], str]

    def remote(self, server: Server) -> RemoteSubscriptions:
        """The way to a server, if it lets the service in."""
        access = authorize_background(server, self.tokens, _ASKED, _WRITTEN)
        if access is None:
            raise RegistrationError(
                "there is no access: give the server a 'client id', or 'anonymous: yes'"
            )
        client = FhirClient(most_bytes=_MOST_BYTES, most_pages=self.settings.fhir_max_pages)
        return RemoteSubscriptions(access=access, client=client)

    def server_of(self, row: Registration) -> Server:
        """The server of a row."""
        server = self.servers.find(row.server)
        if server is None:
            raise RegistrationError("CDS_FHIR_SERVERS no longer lists this server")
        return server

    def remote_of(self, row: Registration) -> RemoteSubscriptions:
        """The way to the server of a row."""
        return self.remote(self.server_of(row))

    def registrar(self, remote: RemoteSubscriptions, wait_seconds: float) -> Registrar:
        """What writes Subscriptions of this server."""
        key = self.settings.subscription_key
        return Registrar(
            sender=SubscriptionSender(
                remote=remote,
                writer=FhirWriter(most_bytes=_MOST_BYTES),
                wait_seconds=wait_seconds,
            ),
            rows=self.rows,
            clock=self.clock,
            key_setting=None if key is None else key.get_secret_value(),
        )

    def plan(self, server: Server) -> Plan:
        """What the servers file and the packs say of this server's Subscriptions."""
        endpoints = endpoints_below(self.settings, server)
        if endpoints is None:
            raise RegistrationError(
                "the server must know where to send to: set CDS_PUBLIC_URL to an https address; in "
                "development, for a server of this machine, CDS_PORT"
            )
        wanted = server.subscriptions
        return Plan(
            endpoints=endpoints,
            results=self.results(),
            topic=wanted.topic,
            content=wanted.content,
            payload=wanted.payload,
            numbered=wanted.numbered,
        )
