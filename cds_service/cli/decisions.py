# SPDX-License-Identifier: Apache-2.0
"""`cds-service decisions`: what was decided on results that arrived."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Any

import click
import msgspec

from cds_service.cli.printable import printable
from cds_service.knowledge.site.overlay import load_packs_at
from cds_service.settings import cards_folder, database_url, load_settings
from cds_service.store import open_store
from cds_service.subscriptions.decision_list import (
    STATE_WORDS,
    AdviceView,
    DecisionList,
    DecisionPage,
    DecisionView,
    nobody,
)

_json = click.option("--json", "as_json", is_flag=True, help="JSON.")
_NAME = 10


@click.group()
def decisions() -> None:
    """The decisions on arrived results, and what of them was written to the server.

    In silent mode nothing is written: it is what would have been. No command shows a patient, but
    for `show --with-patient`. The page /arrivals shows the newest with advice.

    \b
    Examples:
      cds-service decisions list
      cds-service decisions show 42
      cds-service replay 42
    """


@decisions.command("list")
@click.option("--most", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--all", "every", is_flag=True, help="Those without anything to write as well.")
@_json
def list_(most: int, every: bool, as_json: bool) -> None:
    """Show the newest decisions with advice, newest first.

    \b
    Examples:
      cds-service decisions list
      cds-service decisions list --all --most 500
      cds-service decisions list --json

    Exit codes: 0 fine; 2 the settings have problems; 3 the database cannot be used.
    """
    with _opened() as listed:
        found = listed.newest(most, every=every)
    if as_json:
        _print_json(found)
        return
    for decision in found.decisions:
        for line in _lines(decision):
            click.echo(printable(line))
    click.echo(_left_out(found), err=True)


@decisions.command()
@click.argument("number", metavar="ID", type=int)
@click.option("--with-patient", is_flag=True, help="The patient and the results as well.")
@_json
def show(number: int, with_patient: bool, as_json: bool) -> None:
    """Show one decision, with the rules that have no card and why.

    \b
    Examples:
      cds-service decisions show 42
      cds-service decisions show 42 --with-patient --json

    Exit codes: 0 fine; 2 there is no such decision, or the settings have problems; 3 the database
    cannot be used.
    """
    with _opened() as listed:
        found = listed.one(number, sees=(lambda _: True) if with_patient else nobody)
    if found is None:
        raise click.BadParameter("there is no such decision; see 'decisions list'", param_hint="ID")
    if as_json:
        _print_json(found)
        return
    for line in (*_lines(found), *_more(found)):
        click.echo(printable(line))


@contextmanager
def _opened() -> Iterator[DecisionList]:
    """The decisions of the configured database, until the block ends."""
    settings = load_settings()
    packs = load_packs_at(cards_folder(settings), settings.site_file)
    store = open_store(database_url(settings))
    try:
        yield DecisionList(store.database, packs)
    finally:
        store.close()


def _lines(decision: DecisionView) -> Iterator[str]:
    decided = f"{decision.decided.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    problem = f"  {decision.problem}" if decision.problem else ""
    yield f"{decision.id:>8}  {decided}  {decision.mode:<6}  {decision.server}{problem}"
    if not decision.advice:
        yield f"{'':{_NAME}}nothing to write"
    for advice in decision.advice:
        yield from _advice_lines(advice)


def _advice_lines(advice: AdviceView) -> Iterator[str]:
    why = f": {advice.why.replace('-', ' ')}" if advice.why else ""
    state = STATE_WORDS.get(advice.state, advice.state)
    name = f"{advice.rule} {advice.version}".strip()
    today = "" if advice.current else ", which the packs of today do not have"
    yield f"{'':{_NAME}}{advice.indicator:<8}  {name}{today}: {state}{why}"
    indent = f"{'':{_NAME}}{'':<8}  "
    for order in advice.orders:
        yield f"{indent}{order.title} {order.window}".rstrip()
    if advice.missing:
        yield f"{indent}not known: {', '.join(fact.title for fact in advice.missing)}"


def _more(decision: DecisionView) -> Iterator[str]:
    indent = f"{'':{_NAME}}"
    for other in decision.others:
        yield f"{indent}no card   {other.rule}: {other.because}"
    yield f"{indent}packs     {', '.join(decision.packs)}"
    if decision.is_input_gone:
        yield f"{indent}what it was derived from was removed: it cannot be replayed"
    if decision.patient:
        yield f"{indent}patient   {decision.patient}"
        yield f"{indent}results   {', '.join(decision.results)}"


def _left_out(page: DecisionPage) -> str:
    """How much is not shown, in a line."""
    older = page.total - page.looked_at
    more = "more than " if page.is_more else ""
    left_out = (
        f"{page.without_advice} without anything to write",
        f"{page.left_out} beyond --most",
        f"{more}{older} older",
    )
    return f"{len(page.decisions)} shown; left out: {', '.join(left_out)}"


def _print_json(page: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(page), indent=2).decode())
