# SPDX-License-Identifier: Apache-2.0
"""`cds-service doctor`: what is missing or wrong, in words, before the service is used."""

import json
import sys
from collections.abc import Iterator
from typing import Final

import click

from cds_service.cli.authorities import ca_file_option
from cds_service.cli.printable import printable
from cds_service.clock import system_clock
from cds_service.errors import KnowledgeError, SettingsError
from cds_service.knowledge.site.overlay import load_packs_at
from cds_service.settings import Settings, cards_folder, database_url, load_settings
from cds_service.setup_checks.database import database_findings
from cds_service.setup_checks.finding import Finding, Severity
from cds_service.setup_checks.keys import (
    certificate_findings,
    client_findings,
    signing_findings,
)
from cds_service.setup_checks.servers import server_findings
from cds_service.setup_checks.settings import pack_findings, settings_findings
from cds_service.web.access.open_mode import refuse_unsafe

_MARKS: Final[dict[Severity, str]] = {"fine": "fine", "warning": "look", "problem": "WRONG"}


@click.command()
@ca_file_option
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def doctor(as_json: bool) -> None:
    """Say what is missing or wrong before the service is used.

    It reads the settings, the packs and the files that the settings name, and asks the database,
    the addresses of clients' keys and each FHIR server of CDS_FHIR_SERVERS once. Nothing is changed
    and no secret is shown. What only a running service knows is at its address /ready.

    \b
    Examples:
      cds-service doctor
      cds-service doctor --json

    Exit codes: 0 nothing is wrong, perhaps there is something to look at; 1 something is wrong.
    """
    found = list(_findings())
    if as_json:
        rows = [
            {
                "area": finding.area,
                "severity": finding.severity,
                "text": finding.text,
                "remedy": finding.remedy,
            }
            for finding in found
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        for finding in found:
            click.echo(f"{_MARKS[finding.severity]:<6}{finding.area:<12} {printable(str(finding))}")
    if any(finding.severity == "problem" for finding in found):
        sys.exit(1)


def _findings() -> Iterator[Finding]:
    try:
        settings = load_settings()
    except SettingsError as error:
        yield Finding("settings", "problem", str(error), "See cds-service settings.")
        return
    try:
        refuse_unsafe(settings)
        yield Finding("settings", "fine", f"The settings are whole; profile {settings.profile}.")
    except SettingsError as error:
        yield Finding("settings", "problem", str(error))
    yield from settings_findings(settings)
    yield from _of_packs(settings)
    now = system_clock()
    yield from database_findings(database_url(settings), now)
    yield from client_findings(settings)
    yield from signing_findings(settings.signing_keys, now)
    yield from certificate_findings(settings, now)
    yield from server_findings(settings, system_clock)


def _of_packs(settings: Settings) -> Iterator[Finding]:
    try:
        packs = load_packs_at(cards_folder(settings), settings.site_file)
    except (KnowledgeError, SettingsError) as error:
        yield Finding("pack", "problem", str(error), "See cds-service check.")
        return
    yield from pack_findings(packs)
