# SPDX-License-Identifier: Apache-2.0
"""`cds-service export SERVER FOLDER`: the patients of a FHIR server as files."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from cds_service.bulk_export.folder import ExportPlan, ExportSummary, open_folder
from cds_service.bulk_export.run import export as fetch
from cds_service.bulk_export.server import ExportServer
from cds_service.cli.export_progress import export_progress_shown
from cds_service.cli.printable import printable
from cds_service.clock import system_clock
from cds_service.counting import counted
from cds_service.fhir.references import is_id
from cds_service.fhir_client.client import Access
from cds_service.fhir_client.servers_file import load_servers
from cds_service.prefetch_keys import KINDS
from cds_service.screening.scans import SHARED
from cds_service.settings import Settings, load_settings, no_color
from cds_service.smart.access import authorize_background
from cds_service.smart.signing_keys import open_keys
from cds_service.smart.token_cache import open_token_cache

EXPORTED: Final = (*KINDS, SHARED)
"""The types of resources that an export is asked for: those that rules read."""


@click.command()
@click.argument("server")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--group", metavar="ID", help="Only the patients of this Group.")
@click.option("--encounters", is_flag=True, help="Also the Encounters, for `burden` to count by.")
@click.option("--overwrite", is_flag=True, help="Export again, whatever is in that folder.")
@click.option("--strict", is_flag=True, help="Exit with 1 if the export is incomplete.")
@click.option("--json", "as_data", is_flag=True, help="JSON in the place of the table.")
def export(
    server: str,
    folder: Path,
    group: str | None,
    encounters: bool,
    overwrite: bool,
    strict: bool,
    as_data: bool,
) -> None:
    """Fetch the patients of a FHIR server to files, to be screened.

    SERVER is the base URL of a FHIR server of CDS_FHIR_SERVERS, or its name there. It exports
    (FHIR Bulk Data, $export) what rules read: FOLDER gets NDJSON files, for you alone to read. A
    run that was killed or interrupted goes on when the same command is given again.

    \b
    Examples:
      cds-service export general population
      cds-service export https://fhir.example.org/r4 population --group diabetes
      cds-service export general population && cds-service screen population
      cds-service export general population --encounters && cds-service burden population

    Exit codes: 0 exported; 1 the server refused, or --strict found the export incomplete; 2 wrong
    use or settings; 3 the server failed or does not answer; 130 interrupted.
    """
    kinds = (*EXPORTED, *(["Encounter"] if encounters else []))
    access = access_to(server, load_settings(), "SERVER", kinds)
    summary = fetched(access, folder, group=group, overwrite=overwrite, kinds=kinds)
    data = as_json(summary, access.server.base, group, folder)
    if as_data:
        click.echo(json.dumps(data, indent=2))
    else:
        for line in _as_lines(data):
            click.echo(line, color=False if no_color() else None)
    sys.exit(1 if strict and data["incomplete"] else 0)


def access_to(name: str, settings: Settings, hint: str, kinds: Sequence[str] = EXPORTED) -> Access:
    """The server of this name or base, with the token of the service; wrong use without any."""
    servers = load_servers(settings.fhir_servers, development=settings.profile == "development")
    server = servers.named(name)
    if server is None:
        raise click.BadParameter(
            "there is no such server: give a name or base of CDS_FHIR_SERVERS", param_hint=hint
        )
    keys = open_keys(settings.signing_keys)
    tokens = None if keys is None else open_token_cache(keys, system_clock)
    access = authorize_background(server, tokens, kinds)
    if access is None:
        raise click.BadParameter(
            "the service has no token for it: CDS_FHIR_SERVERS needs its 'client id' (and"
            " CDS_SIGNING_KEYS the keys), or 'anonymous: yes'",
            param_hint=hint,
        )
    return access


def fetched(
    access: Access,
    folder: Path,
    *,
    group: str | None,
    overwrite: bool,
    kinds: tuple[str, ...] = EXPORTED,
) -> ExportSummary:
    """The export of a server in a folder, whole; shows its progress on standard error."""
    if group is not None and not is_id(group):
        raise click.BadParameter("it is no id of FHIR", param_hint="--group")
    plan = ExportPlan(server=access.server.base, group=group, kinds=kinds)
    with (
        open_folder(folder, plan, overwrite=overwrite) as opened,
        export_progress_shown() as (progress, waits),
    ):
        return fetch(ExportServer(access, waits=waits), opened, progress)


def as_json(summary: ExportSummary, base: str, group: str | None, folder: Path) -> dict[str, Any]:
    """What was exported, and what is missing."""
    return {
        "server": base,
        **({"group": group} if group is not None else {}),
        "folder": str(folder),
        "transactionTime": summary.transaction_time,
        "files": summary.files,
        "bytes": summary.size,
        "resources": summary.resources,
        "incomplete": summary.losses(),
        "errors": summary.errors,
        "warnings": summary.warnings,
        "notExported": summary.not_exported,
        "notFetched": summary.not_fetched,
        "deletedFiles": summary.deleted,
    }


def not_exported(reasons: Mapping[str, str]) -> list[str]:
    """Which types are missing in an export as a whole, and why."""
    return [f"Not exported: {kind}: {reason}" for kind, reason in reasons.items()]


def _as_lines(data: Mapping[str, Any]) -> Iterator[str]:
    files, size = counted(data["files"], "file"), data["bytes"] / 1e6
    yield click.style(f"{files} ({size:,.1f} MB) in {data['folder']}", bold=True)
    yield f"as of {printable(data['transactionTime'])}"
    yield ""
    yield from (f"  {kind:<24}{count:>12,}" for kind, count in data["resources"].items())
    yield ""
    for sentence in data["incomplete"]:
        yield click.style(printable(sentence), fg="red")
    if not data["incomplete"]:
        yield "The server reports no error."
    yield from not_exported(data["notExported"])
    if data["warnings"]:
        yield f"The server reports {counted(data['warnings'], 'warning')} or notes"
    for kind, count in data["notFetched"].items():
        yield f"Not fetched, as no rule reads it: {printable(kind)} ({counted(count, 'file')})"
