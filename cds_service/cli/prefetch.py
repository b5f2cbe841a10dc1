# SPDX-License-Identifier: Apache-2.0
"""`cds-service prefetch-sheet`."""

import json
from collections.abc import Iterator
from typing import Any

import click

from cds_service.hooks.discovery import entry_of
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.site.overlay import load_packs_at
from cds_service.prefetch_keys import OBSERVATIONS
from cds_service.render.profiles import EPIC_CODES
from cds_service.settings import cards_folder, load_settings

# Hooks that Epic can call; the others are of no use to its analysts.
_OF_EPIC = ("patient-view", "order-select", "order-sign")
_ABOUT = """\
For each service: its address, and the queries to type into the prefetch table of its record.

An EHR that reads discovery (GET /cds-services) needs none of this. Epic never reads it. The tokens
in double braces are the ones that its documentation names. A key may have any name: what it brings
counts by its type. But to be understood when it brings nothing, it needs the name given here or an
entry in `prefetch keys` of the client (CDS_PREFETCH_KEYS without clients)."""


@click.command("prefetch-sheet")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def prefetch_sheet(as_json: bool) -> None:
    """Print the prefetch queries of each service, for EHRs without discovery.

    The sheet is for those who set the service up in an EHR such as Epic: addresses, keys, queries,
    and the order codes of the site that suggestions need there.

    \b
    Examples:
      cds-service prefetch-sheet > sheet.md
      cds-service prefetch-sheet --json
    """
    settings = load_settings()
    base = (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")
    packs = load_packs_at(cards_folder(settings), settings.site_file)
    services = [
        service
        for pack in packs
        for service in services_of(pack, base, by_category=settings.lab_category_prefetch)
    ]
    orders = [code for pack in packs for code in order_codes(pack)]
    if as_json:
        sheet = {"services": services, "orders": orders}
        click.echo(json.dumps(sheet, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(services, orders)))


def services_of(pack: Pack, base: str, *, by_category: bool) -> Iterator[dict[str, Any]]:
    """What is to be typed in for each service of the pack."""
    for service in pack.services:
        entry = entry_of(service, pack, by_category=by_category)
        yield {
            "title": entry.title,
            "hook": entry.hook,
            "epic": entry.hook in _OF_EPIC,
            "url": f"{base}/cds-services/{entry.id}",
            "prefetch": [
                {"key": key, "query": query, "required": key == OBSERVATIONS}
                for key, query in entry.prefetch.items()
            ],
        }


def order_codes(pack: Pack) -> Iterator[dict[str, Any]]:
    """Every order that a card may suggest, with the code by which this site places it."""
    for order in pack.orders.values():
        code = order.site_code
        yield {
            "order": order.id,
            "title": order.title,
            "code": None if code is None else code.code,
            "system": None if code is None else code.system,
            "epic": code is not None and code.system.startswith(EPIC_CODES),
        }


def _lines(services: list[dict[str, Any]], orders: list[dict[str, Any]]) -> Iterator[str]:
    yield from ("# Prefetch sheet", "", _ABOUT)
    for service in services:
        note = "" if service["epic"] else " (a hook that Epic does not call)"
        yield from ("", f"## {service['title']}", "")
        yield from (f"- Hook: {service['hook']}{note}", f"- Address: {service['url']}", "")
        for row in service["prefetch"]:
            need = ", required: without it the answer is 412" if row["required"] else ""
            yield from (f"Key `{row['key']}`{need}", "", f"    {row['query']}", "")
    yield from ("## Order codes", "")
    yield "A suggestion of an order without an Epic code is not shown to clients of Epic's profile;"
    yield from (
        "its code goes into `order codes` of the site file (docs/how-to/site-values.md).",
        "",
    )
    yield from ("| order | code of this site | Epic code |", "| --- | --- | --- |")
    for order in orders:
        code = f"{order['system']} {order['code']}" if order["code"] else "none"
        known = "yes" if order["epic"] else "no"
        yield f"| {order['order']}: {order['title']} | {code} | {known} |"
