# SPDX-License-Identifier: Apache-2.0
"""`cds-service database`: the tables that the service needs."""

import sys
from pathlib import Path

import click

from cds_service.settings import database_url, load_settings
from cds_service.store.backup import back_up
from cds_service.store.engine import upgrade_database
from cds_service.store.schema import HEAD, migration_sql


@click.group()
def database() -> None:
    """The database that keeps feedback (CDS_DATABASE_URL)."""


@database.command()
@click.option(
    "--sql",
    type=click.Choice(["postgresql", "sqlite"]),
    help="Print the statements for this kind of database instead of running them.",
)
def upgrade(sql: str | None) -> None:
    """Bring the tables to what this version needs. Running it again changes nothing.

    Run it before a new version is started. A SQLite file is also brought up to date when the
    service starts; PostgreSQL is changed by this command alone.

    \b
    Examples:
      cds-service database upgrade
      cds-service database upgrade --sql postgresql > upgrade.sql
    """
    if sql is not None:
        migration_sql(sql, sys.stdout)
        return
    changed = upgrade_database(database_url(load_settings()))
    click.echo(
        f"The tables are at version {HEAD}."
        if changed
        else f"The tables were at version {HEAD} already."
    )


@database.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Copy the SQLite database to a new FILE, whole, while the service goes on.

    FILE is checked, and readable for its owner alone: it is a record of patients where results
    arrive by Subscriptions. A PostgreSQL database is backed up by pg_dump. How either is restored
    is in docs/how-to/deploy.md.

    \b
    Example:
      cds-service database backup /backup/cds-service-2026-06-15.db

    Exit codes: 0 FILE is there and whole; 3 it is not, or was there already.
    """
    back_up(database_url(load_settings()), file)
    click.echo(f"The database is in {file}.")
