# SPDX-License-Identifier: Apache-2.0
"""`cds-service subscribe`: have a FHIR server notify the service of laboratory results."""

import json
import sys
from dataclasses import replace
from typing import Any, TextIO, get_args

import click

from cds_service.cli.registrar import fail, open_registry, print_registered, registered_row
from cds_service.fhir_client.servers import PayloadContent
from cds_service.subscriptions.register import Plan
from cds_service.subscriptions.remote_subscriptions import RegistrationError

_SHORTEST_KEY = 16


@click.command()
@click.option("--server", required=True, metavar="NAME", help="Its name in the file, or its base.")
@click.option(
    "--kind",
    type=click.Choice(["auto", "criteria", "topic", "r5"]),
    default="auto",
    show_default=True,
    help="auto: by what the server declares.",
)
@click.option("--topic", metavar="URL", help="The topic's canonical URL [default: servers file].")
@click.option(
    "--content",
    type=click.Choice(list(get_args(PayloadContent))),
    help="What a notification brings [default: servers file].",
)
@click.option("--all-events", is_flag=True, help="No filter: every event of the topic.")
@click.option("--heartbeat", type=click.IntRange(1), metavar="SECONDS", help="Of a topic.")
@click.option("--timeout", type=click.IntRange(1), metavar="SECONDS", help="Of a topic.")
@click.option(
    "--max-count", type=click.IntRange(1), metavar="N", help="Events at once, of a topic."
)
@click.option("--days", type=click.IntRange(1, 3650), help="It ends then [default: never].")
@click.option("--hmac", is_flag=True, help="Make a key by which the server signs (Medplum).")
@click.option("--hmac-file", type=click.File("r"), help="A file with the key that it signs by.")
@click.option(
    "--wait",
    type=click.FloatRange(0, 300),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="How long the server may take to activate it.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON.")
def subscribe(server: str, as_json: bool, wait: float, **options: Any) -> None:
    """Have a FHIR server notify the service of laboratory results.

    Makes a Subscription on the server, or writes ours again with a new secret: a second run never
    makes a second one. The codes are those of prefetch. Start the service first: a server may
    prove its endpoint at once. What the server made of the Subscription is read back.

    \b
    Examples:
      cds-service subscribe --server general
      cds-service subscribe --server general --content empty
      cds-service subscribe --server general --topic https://fhir.example.org/topics/lab
      cds-service subscribe --server http://127.0.0.1:8090/fhir --kind criteria --json

    Exit codes: 0 it is active; 1 the server refused it or has not activated it; 2 wrong use or
    settings; 3 the server does not answer.
    """
    try:
        with open_registry() as registry:
            chosen = registry.server(server)
            plan = _plan(registry.plan(chosen), options)
            found = registry.registrar(registry.remote(chosen), wait).subscribe(plan)
    except RegistrationError as error:
        fail(error)
    if as_json:
        click.echo(json.dumps(registered_row(found), indent=2))
    else:
        print_registered(found)
    if found.registration.status != "active":
        sys.exit(1)


def _plan(plan: Plan, options: dict[str, Any]) -> Plan:
    """The plan with what the options say otherwise than the servers file."""
    content: PayloadContent | None = options["content"]
    if content is not None:
        plan = replace(
            plan, content=content, payload=content == "full-resource", content_matters=True
        )
    return replace(
        plan,
        kind=options["kind"],
        topic=options["topic"] or plan.topic,
        results="" if options["all_events"] else plan.results,
        heartbeat_seconds=options["heartbeat"],
        timeout_seconds=options["timeout"],
        max_count=options["max_count"],
        days=options["days"],
        hmac_key=_hmac_key(options["hmac_file"], made=options["hmac"]),
    )


def _hmac_key(file: TextIO | None, *, made: bool) -> str | None:
    if file is None:
        return "" if made else None
    key = file.read().strip()
    if made or len(key) < _SHORTEST_KEY:
        raise click.BadParameter(
            f"give a key of {_SHORTEST_KEY} or more characters, or --hmac", param_hint="--hmac-file"
        )
    return key
