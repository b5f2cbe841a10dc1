# SPDX-License-Identifier: Apache-2.0
"""`cds-service servers`: which FHIR servers may be asked, and whether they give us a token."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from cds_service.cli.printable import printable
from cds_service.clock import Deadline, system_clock
from cds_service.fhir.references import base_url
from cds_service.fhir_client.failures import QueryError
from cds_service.fhir_client.references import MOST
from cds_service.fhir_client.servers import Server
from cds_service.fhir_client.servers_file import load_servers
from cds_service.service import load_knowledge
from cds_service.settings import Settings, load_settings
from cds_service.smart.failures import TOKEN_FAILURES, TokenError
from cds_service.smart.scopes import missing
from cds_service.smart.signing_keys import open_keys
from cds_service.smart.token_cache import TokenCache, open_token_cache

_PATIENCE = 10.0  # seconds for one server


@click.group()
def servers() -> None:
    """Which FHIR servers the service may ask."""


@servers.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--server", "base", metavar="BASE", help="Only this one.")
@click.option("--json", "as_json", is_flag=True, help="JSON.")
def check(file: str | None, base: str | None, as_json: bool) -> None:
    """Check the file of FHIR servers, and ask for a token where the service is registered.

    FILE is by default that of CDS_FHIR_SERVERS. A server with a client id is asked for its SMART
    configuration and for a token; what fails is named. The token is thrown away.

    \b
    Examples:
      cds-service servers check
      cds-service servers check servers.yaml --server https://fhir.example.org/r4

    Exit codes: 0 fine; 1 a server gave no token; 2 the file has problems.
    """
    settings = load_settings()
    path = Path(file) if file is not None else settings.fhir_servers
    if path is None:
        raise click.UsageError("name a file of servers, or set CDS_FHIR_SERVERS")
    listed = load_servers(path, development=settings.profile == "development").listed
    chosen = [server for server in listed.values() if base is None or server.base == base_url(base)]
    if not chosen:
        raise click.BadParameter("there is no such server in the file", param_hint="--server")
    tokens = _tokens(settings)
    rows = [_row(server, tokens, settings) for server in chosen]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        for row in rows:
            _print(row)
    if any("failed" in row for row in rows):
        sys.exit(1)


def _tokens(settings: Settings) -> TokenCache | None:

    keys = open_keys(settings.signing_keys)
    return None if keys is None else open_token_cache(keys, system_clock)


def _row(server: Server, tokens: TokenCache | None, settings: Settings) -> dict[str, Any]:
    """What the file says of a server, and what came of asking for a token."""
    row: dict[str, Any] = {
        "base": server.base,
        "anonymous": server.anonymous,
        "privateNetwork": server.policy.private,
        **({"name": server.name} if server.name is not None else {}),
    }
    if server.client_id is None:
        return row
    row |= {
        "clientId": server.client_id,
        "algorithm": server.algorithm,
        "ownAccessForHooks": server.own_access_for_hooks,
    }
    return row | _asked(server, tokens, settings)


def _asked(server: Server, tokens: TokenCache | None, settings: Settings) -> dict[str, Any]:

    if tokens is None:
        return {"failed": TOKEN_FAILURES["no-keys"]}
    bearer = tokens.bearer(server, _queries(settings))
    try:
        token = tokens.token(server, bearer.types, Deadline(_PATIENCE))
    except TokenError as error:
        return {"failed": error.text}
    except QueryError as error:
        return {"failed": str(error)}
    without = sorted(missing(token.asked, token.scopes))
    return {
        "token": f"for {int(token.life.total_seconds())} seconds",
        "granted": sorted(token.scopes),
        **({"notGranted": without} if without else {}),
    }


def _queries(settings: Settings) -> tuple[str, ...]:
    """Everything that hook calls may ask for, over all services."""
    served = load_knowledge(settings).services.values()
    found = {q for hooks in served for hook in hooks.values() for q in hook.prefetch.values()}
    return (*sorted(found), *MOST)


def _print(row: dict[str, Any]) -> None:
    """The row for people; what another server wrote must not steer the terminal."""
    words = {
        "name": "name",
        "anonymous": "without a token",
        "privateNetwork": "private network",
        "clientId": "client id",
        "algorithm": "algorithm",
        "ownAccessForHooks": "own access for hooks",
        "token": "token",
        "granted": "granted",
        "notGranted": "not granted",
        "failed": "no token",
    }
    click.echo(row["base"])
    for name, word in words.items():
        if name not in row:
            continue
        value = row[name]
        shown = ("no", "yes")[value] if isinstance(value, bool) else value
        text = " ".join(shown) if isinstance(shown, list) else str(shown)
        click.echo(f"  {word:<21} {printable(text)}")
