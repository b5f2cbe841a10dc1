# SPDX-License-Identifier: Apache-2.0
"""`cds-service explain NAME`: one rule in words with its evidence and versions, or a pack."""

import json
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from typing import NoReturn

import click

from cds_service.catalogue.plain_text import pack_in_words, rule_in_words
from cds_service.knowledge.model.pack import Change, Pack
from cds_service.knowledge.site.overlay import load_packs_at
from cds_service.settings import cards_folder, load_settings


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="JSON: id, version, words, history.")
def explain(name: str | None, as_json: bool) -> None:
    """Show a rule, or a pack, in words with its versions; without NAME, list every rule.

    For one patient's decisions see `cds-service evaluate FILE --explain`.

    \b
    Examples:
      cds-service explain
      cds-service explain alt-very-low
      cds-service explain liver
    """
    settings = load_settings()
    packs = load_packs_at(cards_folder(settings), settings.site_file)
    if name is None:
        _list(packs, as_json=as_json)
        return
    rules = {rule.id: (rule, pack) for pack in packs for rule in pack.rules.values()}
    by_id = {pack.id: pack for pack in packs}
    if name in rules:
        rule, pack = rules[name]
        words, version, history = rule_in_words(rule, pack), rule.version, rule.history
    elif name in by_id:
        pack = by_id[name]
        words, version, history = pack_in_words(pack), pack.version, pack.history
    else:
        _unknown(name, (*rules, *by_id))
    if as_json:
        view = {"id": name, "version": version, "words": words, "history": _plain(history)}
        click.echo(json.dumps(view, indent=2))
    else:
        click.echo(words)


def _list(packs: Iterable[Pack], *, as_json: bool) -> None:

    listed = [
        {"id": rule.id, "version": rule.version, "indicator": rule.indicator, "title": rule.title}
        for pack in packs
        for rule in pack.rules.values()
    ]
    if as_json:
        click.echo(json.dumps(listed, indent=2))
    else:
        for line in listed:
            click.echo(f"{line['id']:<36} {line['indicator']:<9} {line['title']}")


def _unknown(name: str, known: Iterable[str]) -> NoReturn:

    near = get_close_matches(name, list(known), n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    click.echo(f"there is no rule '{name}'{hint}", err=True)
    sys.exit(2)


def _plain(history: Iterable["Change"]) -> list[dict[str, str]]:
    return [
        {"version": change.version, "date": change.date, "change": change.change}
        for change in history
    ]
