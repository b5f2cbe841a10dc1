# SPDX-License-Identifier: Apache-2.0
"""Tokens as a registered client signs them, to try a call; and which address they are for."""

from datetime import datetime
from uuid import uuid4

import click
import jwt

from cds_service.cli.client_keys import ClientKey
from cds_service.settings import Settings
from cds_service.trust.claims import request_target
from cds_service.trust.clients import SERVICE_URL, URL_CALLED, Client
from cds_service.trust.jwk import FITS, Key
from cds_service.trust.registry import Registry


def registered_client(settings: Settings, name: str) -> Client:
    """The client of this id in the file of CDS_CLIENTS.

    Raises `click.UsageError` if there is none, and `SettingsError` if the file has problems.
    """
    if settings.clients is None:
        raise click.UsageError("set CDS_CLIENTS to the file where the client is registered")
    registered = Registry(settings.clients, development=settings.profile == "development")
    clients = {client.id: client for client in registered.current().clients}
    if name not in clients:
        raise click.UsageError(f"no client is registered as that; known: {', '.join(clients)}")
    return clients[name]


def called_base(settings: Settings) -> str:
    """Where the service of these settings is called: its public address, else on this machine."""
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    scheme = "http" if settings.tls_key is None else "https"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{settings.port}"


def signed_token(
    client: Client, key: ClientKey, url: str, now: datetime, tenant: str | None, seconds: int
) -> str:
    """A token of the client for one call of this address, as CDS Hooks 2.0.1 has it.

    Raises `click.ClickException` if no algorithm of the client fits the key.
    """
    target = request_target(url)
    audience = {URL_CALLED: target.url, SERVICE_URL: target.service_url}
    wanted = client.audiences[0] if URL_CALLED not in client.audiences else URL_CALLED
    tenant = tenant or min(client.tenants, default=None)
    header = {"kid": key.public.kid, "typ": "JWT"}
    if not client.keys and client.jwks_url is None:
        header["jku"] = min(client.jku)
    claims = {
        "iss": client.issuer,
        "aud": audience.get(wanted, wanted),
        "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + seconds,
        "jti": str(uuid4()),
        **({} if tenant is None else {"tenant": tenant}),
    }
    algorithm = _algorithm_for(key.public, client)
    return jwt.encode(claims, key.private, algorithm, headers=header)


def _algorithm_for(key: Key, client: Client) -> str:
    """The algorithm by which the key signs for a client; raises `click.ClickException`."""
    fitting = [name for name in client.algorithms if name in FITS and key.fits(name)]
    if fitting:
        return fitting[0]
    allowed = ", ".join(client.algorithms)
    raise click.UsageError(
        f"the key is {key.kind} {key.curve}".rstrip()
        + f", and '{client.id}' is registered with {allowed}"
    )
