# SPDX-License-Identifier: Apache-2.0
"""Keys of registered clients, the service's own keys and its certificate, with their ages."""

import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cds_service.counting import counted
from cds_service.errors import SettingsError
from cds_service.outgoing.address_policy import AddressPolicy
from cds_service.settings import Settings
from cds_service.setup_checks.finding import Finding, Severity
from cds_service.smart.signing_keys import read_signing_keys
from cds_service.trust.clients import Client
from cds_service.trust.fetch import FetchError, fetch
from cds_service.trust.jwk import UnusableKey, read_key_set
from cds_service.trust.registry import Registry

_OLD: Final = timedelta(days=365)
_SOON: Final = timedelta(days=30)


def client_findings(settings: Settings) -> Iterator[Finding]:
    """The file of clients; keys that are fetched are fetched once."""
    if settings.clients is None:
        return
    development = settings.profile == "development"
    try:
        registered = Registry(settings.clients, development=development).current()
    except SettingsError as error:
        yield Finding("clients", "problem", str(error), "See cds-service clients check.")
        return
    for client in registered.clients:
        yield _keys_of(client, development=development)


def _keys_of(client: Client, *, development: bool) -> Finding:
    if client.keys:
        count = len(client.keys)
        return Finding("clients", "fine", f"{client.id}: keys in the registration: {count}.")
    if client.jwks_url is None:
        return Finding("clients", "fine", f"{client.id}: its tokens name where its keys are.")
    policy = AddressPolicy(private=client.private_network, loopback=development)
    try:
        keys = read_key_set(fetch(client.jwks_url, policy).body)
    except (FetchError, UnusableKey) as error:
        text = f"{client.id}: its keys cannot be fetched from {client.jwks_url}: {error}."
        return Finding("clients", "problem", text, "Its calls get 401 until they can.")
    if not keys:
        return Finding("clients", "problem", f"{client.id}: no key of its set can be used.")
    return Finding("clients", "fine", f"{client.id}: keys fetched: {len(keys)}.")


def signing_findings(file: Path | None, now: datetime) -> Iterator[Finding]:
    """The service's own keys by which FHIR servers know it, with their ages."""
    if file is None:
        return
    try:
        keys = read_signing_keys(file)
    except SettingsError as error:
        yield Finding("keys", "problem", str(error))
        return
    if not any(keys.state(key, now) == "signs" for key in keys.keys):
        yield Finding("keys", "problem", "No key signs now.", "Make one: cds-service keys new.")
    for key in keys.keys:
        state = keys.state(key, now)
        age = now - key.signs_from
        is_dated = key.signs_from.year > 1
        if state == "replaced":
            text = f"{key.kid} was replaced and is still published."
            yield Finding("keys", "warning", text, f"cds-service keys retire {key.kid}")
        elif state == "signs" and is_dated and age > _OLD:
            text = f"{key.kid} has signed for {age.days} days."
            yield Finding("keys", "warning", text, "Change it: cds-service keys new.")
        else:
            since = f" since {key.signs_from:%Y-%m-%d}" if is_dated else ""
            yield Finding("keys", "fine", f"{key.kid} {state}{since}.")


def certificate_findings(settings: Settings, now: datetime) -> Iterator[Finding]:
    """The certificate of HTTPS without a proxy: fits its key, and has not ended."""
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None or key is None:
        return
    from cryptography.x509 import load_pem_x509_certificates

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        chain = load_pem_x509_certificates(certificate.read_bytes())
    except (OSError, ValueError):  # of which ssl.SSLError is one
        text = "The certificate and its key cannot be read, or are not those of each other."
        yield Finding("certificate", "problem", text, "See CDS_TLS_CERTIFICATE and CDS_TLS_KEY.")
        return
    ends = min(certificate.not_valid_after_utc for certificate in chain)
    begins = max(certificate.not_valid_before_utc for certificate in chain)
    if now > ends or now < begins:
        yield Finding(
            "certificate",
            "problem",
            f"The certificate counts from {begins:%Y-%m-%d} to {ends:%Y-%m-%d}, and not today.",
            "Renew it.",
        )
    else:
        left = counted((ends - now).days, "day")
        severity: Severity = "warning" if ends - now < _SOON else "fine"
        yield Finding("certificate", severity, f"The certificate ends in {left}.")
