# SPDX-License-Identifier: Apache-2.0
"""`cds-service clients`: the registered clients, and why a token is refused."""

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TextIO

import click

from cds_service.cli.printable import printable
from cds_service.clock import system_clock
from cds_service.settings import Settings, load_settings
from cds_service.trust.claims import TokenLimits, request_target
from cds_service.trust.clients import Client, Registrations
from cds_service.trust.keysets import KeySets
from cds_service.trust.registry import Registry
from cds_service.trust.tokens import MalformedToken, parse_jws
from cds_service.trust.verify import Fault, Verifier


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
    faults = list(_faults(text, registered, settings, url))
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


def _faults(
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
