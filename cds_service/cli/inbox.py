# SPDX-License-Identifier: Apache-2.0
"""`cds-service inbox`: results that arrived and wait, or failed too often."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeAlias

import click

from cds_service.cli.printable import printable
from cds_service.clock import system_clock
from cds_service.settings import database_url, load_settings
from cds_service.store import open_store
from cds_service.subscriptions.inbox_list import InboxList
from cds_service.subscriptions.work import Item, State

_json = click.option("--json", "as_json", is_flag=True, help="JSON.")
_every = click.option("--all", "every", is_flag=True, help="Every dead letter.")
_Change: TypeAlias = Callable[[InboxList, tuple[int, ...] | None, datetime], int]
_numbers = click.argument("numbers", metavar="[ID]...", type=int, nargs=-1)


@click.group()
def inbox() -> None:
    """Results that arrived by Subscriptions and wait, or failed too often.

    Advice that a FHIR server refused, and that is not written yet, stands among them.

    No command shows a patient, but for `show --with-patient`.

    \b
    Examples:
      cds-service inbox list
      cds-service inbox show 42
      cds-service inbox retry --all
      cds-service inbox drop 42
    """


@inbox.command("list")
@click.option(
    "--state",
    type=click.Choice(["waiting", "dead", "done"]),
    help="Only those [default: waiting and dead].",
)
@click.option("--most", type=click.IntRange(1, 10_000), default=100, show_default=True)
@_json
def list_(state: State | None, most: int, as_json: bool) -> None:
    """Show what waits and what is dead, newest first.

    \b
    Examples:
      cds-service inbox list
      cds-service inbox list --state dead --json

    Exit codes: 0 fine; 1 there are dead letters; 3 the database cannot be used.
    """
    with _opened() as listed:
        items, counts = listed.items(state, most), listed.state()
    if as_json:
        body = {"waiting": counts.waiting, "dead": counts.dead, "items": [*map(_row, items)]}
        click.echo(json.dumps(body, indent=2))
    else:
        for item in items:
            click.echo(_line(item))
        click.echo(f"{counts.waiting} waiting, {counts.dead} dead", err=True)
    sys.exit(1 if counts.dead else 0)


@inbox.command()
@click.argument("number", metavar="ID", type=int)
@click.option("--with-patient", is_flag=True, help="The patient and the resource as well.")
@_json
def show(number: int, with_patient: bool, as_json: bool) -> None:
    """Show one item.

    \b
    Examples:
      cds-service inbox show 42
      cds-service inbox show 42 --with-patient --json

    Exit codes: 0 fine; 2 there is no such item.
    """
    with _opened() as listed:
        item = listed.item(number)
    if item is None:
        raise click.BadParameter("there is no such item; see 'inbox list'", param_hint="ID")
    row = _row(item)
    if with_patient:
        row |= {
            "patient": item.patient,
            "resource": f"{item.type}/{item.resource_id}",
            "version": item.version,
            "body": None if item.body is None else item.body.decode("utf-8", "replace"),
        }
    if as_json:
        click.echo(json.dumps(row, indent=2))
        return
    for name, value in row.items():
        click.echo(f"{name:<10} {printable('' if value is None else str(value))}")


@inbox.command()
@_numbers
@_every
def retry(numbers: tuple[int, ...], every: bool) -> None:
    """Have dead letters tried again.

    \b
    Examples:
      cds-service inbox retry 42 43
      cds-service inbox retry --all

    Exit codes: 0 fine; 1 one of them is no dead letter; 2 wrong use.
    """
    _change(InboxList.retry, numbers, every=every, done="tried again")


@inbox.command()
@_numbers
@_every
def drop(numbers: tuple[int, ...], every: bool) -> None:
    """Give dead letters up: nothing is decided about them.

    \b
    Examples:
      cds-service inbox drop 42
      cds-service inbox drop --all

    Exit codes: 0 fine; 1 one of them is no dead letter; 2 wrong use.
    """
    _change(InboxList.drop, numbers, every=every, done="dropped")


def _change(change: _Change, numbers: tuple[int, ...], *, every: bool, done: str) -> NoReturn:
    """Change these dead letters, or every one, and leave with 1 if one of them is none."""
    if bool(numbers) == every:
        raise click.UsageError("give ids of dead letters, or --all")
    with _opened() as listed:
        changed = change(listed, None if every else numbers, system_clock())
    click.echo(f"{changed} {done}")
    sys.exit(0 if every or changed == len(set(numbers)) else 1)


@contextmanager
def _opened() -> Iterator[InboxList]:
    """The inbox of the configured database, until the block ends."""
    store = open_store(database_url(load_settings()))
    try:
        yield InboxList(store.database)
    finally:
        store.close()


def _row(item: Item) -> dict[str, Any]:
    """What may be shown of an item: neither whose it is nor what it holds."""
    return {
        "id": item.id,
        "state": item.state,
        "server": item.server,
        "type": item.type,
        "gone": item.gone,
        "received": item.received.astimezone(UTC).isoformat(timespec="seconds"),
        "attempts": item.attempts,
        "problem": item.problem or None,
    }


def _line(item: Item) -> str:
    problem = f"  {item.problem}, {item.attempts} attempts" if item.problem else ""
    gone = " (gone)" if item.gone else ""
    received = f"{item.received.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return f"{item.id:>8}  {item.state:<8} {received}  {item.type}{gone}  {item.server}{problem}"
