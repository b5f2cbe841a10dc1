# SPDX-License-Identifier: Apache-2.0
"""`cds-service explain RULE`: one rule in words, with its cases and evidence."""

import sys

import click


@click.command()
@click.argument("rule", required=False)
@click.option("--json", "as_json", is_flag=True, help="JSON: id, version, words, cases.")
def explain(rule: str | None, as_json: bool) -> None:
    """Show a rule in words; without RULE, list every rule.

    For one patient's decisions see `cds-service evaluate FILE --explain`.

    \b
    Examples:
      cds-service explain
      cds-service explain alt-very-low
    """
    import json
    from difflib import get_close_matches

    from cds_service.knowledge.site import load_packs_at
    from cds_service.knowledge.words import rule_in_words
    from cds_service.settings import cards_folder, load_settings

    settings = load_settings()
    packs = load_packs_at(cards_folder(settings), settings.site_file)
    rules = {one.id: (one, pack) for pack in packs for one in pack.rules.values()}
    if rule is None:
        listed = [
            {"id": one.id, "version": one.version, "indicator": one.indicator, "title": one.title}
            for one, _ in rules.values()
        ]
        if as_json:
            click.echo(json.dumps(listed, indent=2))
        else:
            for line in listed:
                click.echo(f"{line['id']:<36} {line['indicator']:<9} {line['title']}")
        return
    if rule not in rules:
        near = get_close_matches(rule, rules, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        click.echo(f"there is no rule '{rule}'{hint}", err=True)
        sys.exit(2)
    found, pack = rules[rule]
    words = rule_in_words(found, pack)
    if as_json:
        click.echo(json.dumps({"id": found.id, "version": found.version, "words": words}, indent=2))
    else:
        click.echo(words)
