# SPDX-License-Identifier: Apache-2.0
"""A CDS Client as it is registered, and all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Final

from cds_service.fhir.references import base_url
from cds_service.settings import OutputProfile
from cds_service.trust.jwk import Key

# The two words that stand for an address in `audiences`; everything else is taken as it is written.
URL_CALLED: Final = "url called"
SERVICE_URL: Final = "service url"

# CDS Hooks 2.0.1, "Signing the JWT": both are recommended. Others count only where they are listed.
DEFAULT_ALGORITHMS: Final = ("ES384", "RS384")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One registered CDS Client, checked.

    Its keys are `keys`, or are fetched from `jwks_url`, or from the `jku` that a token names and
    that is listed here. An empty `tenants` or `fhir_servers` restricts nothing.
    """

    id: str
    issuer: str
    keys: tuple[Key, ...] = ()
    jwks_url: str | None = None
    jku: frozenset[str] = frozenset()
    private_network: bool = False
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS
    audiences: tuple[str, ...] = (URL_CALLED,)
    tenants: frozenset[str] = frozenset()
    fhir_servers: frozenset[str] = frozenset()  # as `base_url` gives them
    origins: frozenset[str] = frozenset()
    output_profile: OutputProfile = "default"
    prefetch_keys: Mapping[str, str] = field(default_factory=dict)  # theirs -> that of discovery
    patients_see_cards: bool = False
    longest_token: timedelta | None = None  # instead of that of all clients

    def may_name(self, fhir_server: str | None) -> bool:
        """Whether a call of this client may be about data of this FHIR server."""
        if fhir_server is None or not self.fhir_servers:
            return True
        return base_url(fhir_server) in self.fhir_servers


@dataclass(frozen=True, kw_only=True)
class Registrations:
    """Every registered client, by issuer."""

    clients: tuple[Client, ...] = ()
    by_issuer: Mapping[str, Client] = field(init=False)

    def __post_init__(self) -> None:
        by_issuer = {client.issuer: client for client in self.clients}
        object.__setattr__(self, "by_issuer", by_issuer)

    @cached_property
    def fetches_keys(self) -> bool:
        """Whether the keys of some client are fetched."""
        return any(not client.keys for client in self.clients)

    @cached_property
    def origins(self) -> frozenset[str]:
        """Every web origin from which some client calls."""
        return frozenset(origin for client in self.clients for origin in client.origins)
