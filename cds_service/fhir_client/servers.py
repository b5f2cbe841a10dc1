# SPDX-License-Identifier: Apache-2.0
"""Which FHIR servers may be queried, and how.

In production only servers that are listed: in the file of CDS_FHIR_SERVERS, or with a registered
client, for its own calls. In development any server.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from cds_service.fhir.references import base_url, is_base_url
from cds_service.fhir_client.sender_certificates import SenderCertificate, is_certificate_of
from cds_service.outgoing.address_policy import AddressPolicy, is_this_machine
from cds_service.trust.clients import Client

SigningAlgorithm: TypeAlias = Literal["ES384", "RS384"]
PayloadContent: TypeAlias = Literal["empty", "id-only", "full-resource"]
WriteBack: TypeAlias = Literal["off", "silent", "on"]
AdviceResource: TypeAlias = Literal["Task", "DetectedIssue", "Flag", "Communication"]
FhirVersion: TypeAlias = Literal["R4", "R5"]

ANYWHERE: Final = AddressPolicy(private=True, loopback=True, http=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSettings:
    """How results that arrive are heard of at one server, and what becomes of the advice.

    `content` is for Subscriptions on a `topic`, `payload` for those by criteria. `numbered`: event
    numbers count from the start of the Subscription, so that a missing one shows. `owner` is a
    reference to who works on the Tasks that are written, or gets the Communications.
    `advice_as` is the type of the resource that carries advice, `fhir_version` that of what is
    written.
    """

    content: PayloadContent = "id-only"
    payload: bool = True
    topic: str | None = None
    numbered: bool = True
    write_back: WriteBack = "silent"
    owner: str | None = None
    settling_seconds: int = 1
    advice_as: AdviceResource = "Task"
    fhir_version: FhirVersion = "R4"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSender:
    """Who may send messages of HL7 v2: by MSH-3 and MSH-4, from where, and with which certificate.

    Without networks from anywhere, without certificates with any that is taken.
    """

    application: str
    facility: str
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    certificates: tuple[SenderCertificate, ...] = ()

    def is_at(self, address: str) -> bool:
        """Whether messages of this sender may come from this address."""
        found = ip_address(address)
        mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
        return not self.networks or any((mapped or found) in network for network in self.networks)

    def has(self, certificate: bytes | None) -> bool:
        """Whether messages of this sender may come with this certificate (DER), or with none."""
        return not self.certificates or (
            certificate is not None
            and any(
                is_certificate_of(certificate, sender_certificate)
                for sender_certificate in self.certificates
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSettings:
    """Which messages of HL7 v2 become results of a server.

    `patients` has the system of the identifiers that an assigning authority gives (PID-3.4).
    `processing` is the only processing id that is taken (MSH-11).
    """

    patients: Mapping[str, str]
    senders: tuple[MessageSender, ...]
    processing: str = "P"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A FHIR server that may be queried; `base` is in the normal form of `base_url`.

    `name` is what commands call it.

    An `anonymous` one requires no token. With a `client_id` the service can have a token of its own
    (SMART Backend Services), for `scopes`, or without any for what the queries need.
    """

    base: str
    policy: AddressPolicy = field(default_factory=AddressPolicy)
    anonymous: bool = False
    client_id: str | None = None
    algorithm: SigningAlgorithm = "ES384"
    scopes: tuple[str, ...] = ()
    own_access_for_hooks: bool = False
    name: str | None = None
    subscriptions: SubscriptionSettings = SubscriptionSettings()
    messages: MessageSettings | None = None

    @property
    def may_see_token(self) -> bool:
        """Whether a token may be sent: never in the clear over a network (CDS Hooks 2.0.1)."""
        return urlsplit(self.base).scheme == "https" or is_this_machine(self.base)


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Every server that is listed, by its base."""

    listed: Mapping[str, Server] = field(default_factory=dict)
    development: bool = False

    def find(self, url: str) -> Server | None:
        """The server at this base URL, if it may be asked at all."""
        base = base_url(url)
        if base in self.listed:
            return self.listed[base]
        if self.development:
            return Server(base=base, policy=ANYWHERE, anonymous=True)
        return None

    def named(self, name: str) -> Server | None:
        """The server that the file calls so, else the one at this base URL, as `find` has it."""
        by_name = (server for server in self.listed.values() if server.name == name)
        found = next(by_name, None)
        return self.find(name) if found is None and is_base_url(name) else found

    def for_call(self, url: str, client: Client | None) -> Server | None:
        """The server at this base URL, if a call of the client may have it asked.

        A registered client is answered about the servers registered with it and about no other, so
        that none can send the service to the server of another.
        """
        base = base_url(url)
        if client is None or self.development:
            return self.find(url)
        if base not in client.fhir_servers:
            return None
        return self.listed.get(base) or Server(
            base=base, policy=AddressPolicy(private=client.private_network)
        )
