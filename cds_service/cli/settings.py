# SPDX-License-Identifier: Apache-2.0
"""`cds-service settings`: every setting, where its value comes from, and what it means."""

import dataclasses
import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def settings(as_json: bool) -> None:
    """Show every setting, its value and where that came from.

    \b
    Examples:
      cds-service settings
      CDS_SITE_TIME_ZONE=Europe/Vienna cds-service settings --json
    """
    from cds_service.settings import load_settings
    from cds_service.settings_page import describe

    described = describe(load_settings())
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(each) for each in described], indent=2))
        return
    width = max(len(each.variable) for each in described)
    for each in described:
        mark = "*" if each.source == "environment" else " "
        click.echo(f"{mark} {each.variable:<{width}}  {each.value:<12}  {each.meaning}")
    click.echo("* set in the environment; the others have their default", err=True)
