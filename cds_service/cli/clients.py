# SPDX-License-Identifier: Apache-2.0
"""`cds-service clients`: the registered clients, and why a token is refused."""

import json
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TextIO

import click

from cds_service.cli.client_keys import client_key, made_test_key, test_key_file
from cds_service.cli.client_tokens import called_base, registered_client, signed_token
from cds_service.cli.printable import printable
from cds_service.clock import system_clock
from cds_service.service import load_knowledge
from cds_service.settings import Settings, load_settings
from cds_service.trust.claims import TokenLimits, request_target
from cds_service.trust.clients import Client, Registrations
from cds_service.trust.keysets import KeySets
from cds_service.trust.registry import Registry
from cds_service.trust.tokens import MalformedToken, parse_jws
from cds_service.trust.verify import Fault, Verifier

PRIVATE_KEY = click.Path(exists=True, dir_okay=False, path_type=Path)
# As a registration has it, without the rows of digits that the log would drop.
CLIENT_ID = re.compile(r"(?!.*\d{4})[a-z][a-z0-9_-]{0,47}")


@click.group()
def clients() -> None:
    """Who may call the service."""


@clients.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--token", type=click.File("r"), help="A file with a token, or - [never the token].")
@click.option("--url", help="The address the token was sent to [default: what its aud says].")
def check(file: str | None, token: TextIO | None, url: str | None) -> None:
    """Check the file of clients, and say which check a token fails.

    FILE is by default that of CDS_CLIENTS. The token is not used up by this; a token of a client
    whose keys are fetched causes one fetch, and only from where the registration allows.

    \b
    Examples:
      cds-service clients check
      cds-service clients check clients.yaml
      cds-service clients check --token token.txt --url https://cds.example.org/cds-services/x

    Exit codes: 0 fine; 1 the token would be refused; 2 the file has problems.
    """
    settings = load_settings()
    path = Path(file) if file is not None else settings.clients
    if path is None:
        raise click.UsageError("name a file of clients, or set CDS_CLIENTS")
    registered = Registry(path, development=settings.profile == "development").current()
    if token is None:
        for client in registered.clients:
            for line in _described(client):
                click.echo(line)
    elif not _explain(token.read().strip(), registered, settings, url):
        sys.exit(1)


@clients.command("test-key")
@click.argument("client")
@click.option("--issuer", help="The issuer of its tokens [default: one of example.org].")
def test_key(client: str, issuer: str | None) -> None:
    """Make a test key for CLIENT on this machine, and print a registration with its public half.

    In development only: who can read the file of the private half can sign as this client. It is
    kept in the user's folder for state, and made once.

    \b
    Example:
      export CDS_PROFILE=development CDS_PUBLIC_URL=http://127.0.0.1:8000
      cds-service clients test-key first-ehr > clients.yaml
      CDS_CLIENTS=clients.yaml cds-service serve

    Exit codes: 0 printed; 2 wrong use, or not in development.
    """
    if load_settings().profile != "development":
        raise click.UsageError("a test key is for CDS_PROFILE=development alone")
    if not CLIENT_ID.fullmatch(client):
        raise click.BadParameter(
            "lower case letters, digits (no four in a row), - and _, as first-ehr"
        )
    key = made_test_key(client, system_clock())
    entry = {
        "id": client,
        "issuer": issuer or f"https://{client.replace('_', '-')}.example.org",
        "keys": [{**key.members, "kid": key.kid, "use": "sig"}],
    }
    click.echo(json.dumps({"clients": [entry]}, indent=2))
    click.echo(f"The private half is in {test_key_file(client)}.", err=True)


@clients.command()
@click.argument("client")
@click.option("--url", help="The address that will be called [default: the first service].")
@click.option("--key", type=PRIVATE_KEY, help="The client's private key: a JSON Web Key, or PEM.")
@click.option("--kid", help="Its name, where the file has none or several keys.")
@click.option("--tenant", help="The tenant [default: the first that is registered, if any].")
@click.option("--seconds", type=click.IntRange(1, 3600), default=120, show_default=True)
def token(
    client: str,
    url: str | None,
    key: Path | None,
    kid: str | None,
    tenant: str | None,
    seconds: int,
) -> None:
    """Sign a token for one call of CLIENT, as its EHR would, and print it.

    In development the test key of this machine signs (`clients test-key`); in production only a
    key that you name. The token is a secret until it ends: keep it out of command lines and logs.

    \b
    Examples:
      cds-service clients token first-ehr > token.txt
      cds-service clients token general-hospital --key private.pem --kid key-1 --url https://...
      cds-service clients token first-ehr | cds-service clients check --token -

    Exit codes: 0 printed; 2 wrong use or settings, or no key may sign.
    """
    settings = load_settings()
    registered = registered_client(settings, client)
    signer = client_key(registered, key, settings, kid)
    url = url or f"{called_base(settings)}/cds-services/{_first_service(settings)}"
    now = system_clock()
    click.echo(signed_token(registered, signer, url, now, tenant, seconds))
    until = (now + timedelta(seconds=seconds)).strftime("%H:%M:%S")
    click.echo(f"For one call of {url}, until {until} UTC.", err=True)


def _first_service(settings: Settings) -> str:
    return next(iter(load_knowledge(settings).services))


def _described(client: Client) -> Iterator[str]:
    """The lines of a registration; an empty list is shown as `any` or `none`."""
    yield f"{client.id}"
    yield f"  issuer           {client.issuer}"
    for key in client.keys:
        name = f"{key.kind} {key.curve}".strip()
        yield f"  key              {key.kid} ({name}, thumbprint {key.thumbprint})"
    if client.jwks_url is not None:
        yield f"  keys from        {client.jwks_url}"
    for url in sorted(client.jku):
        yield f"  jku              {url}"
    yield f"  algorithms       {', '.join(client.algorithms)}"
    yield f"  audiences        {', '.join(client.audiences)}"
    yield f"  tenants          {', '.join(sorted(client.tenants)) or 'any'}"
    yield f"  FHIR servers     {', '.join(sorted(client.fhir_servers)) or 'any'}"
    yield f"  web origins      {', '.join(sorted(client.origins)) or 'none'}"
    yield f"  output profile   {client.output_profile}"
    if client.longest_token is not None:
        yield f"  tokens end       within {client.longest_token.total_seconds():.0f} seconds"
    yield f"  patients see     {'cards' if client.patients_see_cards else 'no cards'}"


def _explain(text: str, registered: Registrations, settings: Settings, url: str | None) -> bool:
    """Print the token's contents and what is wrong with it; whether it would be accepted."""
    text = text.removeprefix("Bearer ").strip()
    try:
        token = parse_jws(text)
    except MalformedToken as error:
        click.echo(f"refused (malformed): {error}")
        return False
    click.echo(f"header   {json.dumps(dict(token.header))}")
    click.echo(f"claims   {json.dumps(dict(token.claims))}")
    url = url or _likely_url(token.claims.get("aud"), settings.public_url)
    click.echo(f"called   {url}")
    faults = list(token_faults(text, registered, settings, url))
    for reason, message in faults:
        click.echo(f"refused  {reason}: {printable(message)}")
    if not faults:
        click.echo("accepted, unless it was used before")
    return not faults


def _likely_url(audience: object, public_url: str | None) -> str:
    """The URL that a token was probably sent to, if none is given: its own audience."""
    base = f"{(public_url or '').rstrip('/')}/cds-services"
    named = audience if isinstance(audience, list) else [audience]
    return next((name for name in named if isinstance(name, str) and name.startswith(base)), base)


def token_faults(
    text: str, registered: Registrations, settings: Settings, url: str
) -> Iterator[tuple[str, str]]:
    """The first check that fails; if it is one of the claims, all of those."""
    development = settings.profile == "development"
    longest = timedelta(seconds=settings.token_max_seconds)
    limits = TokenLimits(longest=longest, development=development)
    verifier = Verifier(keys=KeySets(development=development), replay=None, limits=limits)
    verdict = verifier.verify(text, request_target(url), registered, system_clock())
    if isinstance(verdict, Fault):
        yield verdict.reason, verdict.message
        yield from verdict.others
