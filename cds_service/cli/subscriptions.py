# SPDX-License-Identifier: Apache-2.0
"""`cds-service subscriptions`: those that are registered, whether they deliver, their end."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from cds_service.cli.printable import printable
from cds_service.cli.registrar import (
    SubscriptionCommands,
    open_registry,
    print_registered,
    registered_row,
    row_of,
)
from cds_service.clock import system_clock
from cds_service.subscriptions.health import SubscriptionHealth, health_of
from cds_service.subscriptions.register import renewal_plan
from cds_service.subscriptions.registration import OFF, Registration
from cds_service.subscriptions.remote_subscriptions import RegistrationError

_server = click.option("--server", metavar="NAME", help="Only those of this server.")
_json = click.option("--json", "as_json", is_flag=True, help="JSON.")
_USUAL_DAYS = 30


@click.group()
def subscriptions() -> None:
    """By which Subscriptions FHIR servers notify the service.

    \b
    Examples:
      cds-service subscriptions list
      cds-service subscriptions status --server general
      cds-service subscriptions renew
      cds-service subscriptions off --server general
    """


@subscriptions.command("list")
@_server
@_json
def list_(server: str | None, as_json: bool) -> None:
    """Show the registered Subscriptions as the database has them; no server is asked.

    \b
    Examples:
      cds-service subscriptions list
      cds-service subscriptions list --server general --json

    Exit codes: 0 fine; 2 there is no such server, or the settings have problems.
    """
    with open_registry() as registry:
        rows = registry.chosen(server)
    if as_json:
        click.echo(json.dumps([row_of(row) for row in rows], indent=2))
        return
    for row in rows:
        click.echo(_title(row, row.status))


@subscriptions.command()
@_server
@_json
def status(server: str | None, as_json: bool) -> None:
    """Ask the servers about the Subscriptions, and compare that with what arrived.

    That a server calls a Subscription active proves nothing. So the events that it counts
    ($status), the newest result that a search finds and the heartbeat are compared with the last
    notification.

    \b
    Examples:
      cds-service subscriptions status
      cds-service subscriptions status --server general --json

    Exit codes: 0 all is well; 1 a Subscription has a problem; 2 wrong use or settings; 3 a server
    does not answer.
    """

    def asked(registry: SubscriptionCommands, row: Registration) -> tuple[dict[str, Any], bool]:
        search = f"Observation?{registry.results()}"
        remote = registry.remote_of(row)
        found = health_of(row, remote, registry.rows, search, system_clock())
        if not as_json:
            _print_health(found)
        return _health_row(found), not found.problems

    _each(server, asked, as_json=as_json)


@subscriptions.command()
@_server
@click.option("--days", type=click.IntRange(1, 3650), help="It ends then [default: as before].")
@_json
def renew(server: str | None, days: int | None, as_json: bool) -> None:
    """Write the Subscriptions again with a new secret, and later ends; those off stay off.

    One that has an end and is renewed without --days ends in 30 days.

    \b
    Examples:
      cds-service subscriptions renew
      cds-service subscriptions renew --server general --days 90

    Exit codes: 0 all are active; 1 a server refused or has not activated one; 2 wrong use or
    settings; 3 a server does not answer.
    """

    def renewed(registry: SubscriptionCommands, row: Registration) -> tuple[dict[str, Any], bool]:
        if row.switched_off is not None:
            if not as_json:
                click.echo(_title(row, "off, and stays off: 'cds-service subscribe' sets it on"))
            return row_of(row), True
        remote = registry.remote_of(row)
        plan = renewal_plan(row, remote, registry.plan(registry.server_of(row)))
        until = days or (_USUAL_DAYS if row.expires is not None else None)
        found = registry.registrar(remote, 10).renew(replace(plan, days=until))
        if not as_json:
            print_registered(found)
        return registered_row(found), found.registration.status == "active"

    _each(server, renewed, as_json=as_json)


@subscriptions.command()
@click.option("--server", metavar="NAME", help="Those of this server.")
@click.option("--all", "of_all", is_flag=True, help="Those of every server.")
@_json
def off(server: str | None, of_all: bool, as_json: bool) -> None:
    """Set Subscriptions off: the server sends nothing more. `subscribe` sets them on again.

    \b
    Examples:
      cds-service subscriptions off --server general
      cds-service subscriptions off --all

    Exit codes: 0 off; 1 a server refused; 2 wrong use or settings; 3 a server does not answer.
    """
    if (server is None) != of_all:
        raise click.UsageError("name one server with --server, or all of them with --all")

    def ended(registry: SubscriptionCommands, row: Registration) -> tuple[dict[str, Any], bool]:
        had = registry.registrar(registry.remote_of(row), 0).end(row)
        if not as_json:
            click.echo(_title(row, OFF if had else "off; the server no longer had it"))
        return {**row_of(row), "status": OFF}, True

    _each(server, ended, as_json=as_json)


def _each(
    server: str | None,
    work: Callable[[SubscriptionCommands, Registration], tuple[dict[str, Any], bool]],
    *,
    as_json: bool,
) -> None:
    """Do it for each registration; one that fails does not keep the others from it."""
    found, code = [], 0
    with open_registry() as registry:
        for row in registry.chosen(server):
            try:
                shown, is_well = work(registry, row)
                code = max(code, 0 if is_well else 1)
            except RegistrationError as error:
                shown = {**row_of(row), "failed": str(error)}
                code = max(code, 3 if error.outside else 1)
                if not as_json:
                    click.echo(_title(row, row.status))
                    click.echo(f"  {'failed':<21} {printable(str(error))}")
            found.append(shown)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("no Subscription is registered; see 'cds-service subscribe'", err=True)
    sys.exit(code)


def _title(row: Registration, state: str) -> str:
    of = "by criteria" if row.kind == "criteria" else f"on {row.what}"
    name = f"Subscription/{row.remote_id}" if row.remote_id else "Subscription"
    return printable(f"{name} on {row.server}: {state}, {of}, {row.content}")


def _health_row(health: SubscriptionHealth) -> dict[str, Any]:
    newest = health.newest_result
    return {
        **row_of(health.registration),
        "status": health.status,
        "delivery": health.delivery,
        "events": health.events,
        "newestResult": None if newest is None else newest.isoformat(timespec="seconds"),
        "problems": list(health.problems),
    }


def _print_health(health: SubscriptionHealth) -> None:
    click.echo(_title(health.registration, health.status))
    click.echo(f"  {'delivery':<21} {health.delivery}")
    if health.events is not None:
        arrived = health.registration.last_event or 0
        click.echo(f"  {'events':<21} {health.events} sent, {arrived} arrived")
    for problem in health.problems:
        click.echo(f"  {'problem':<21} {printable(problem)}")
