# SPDX-License-Identifier: Apache-2.0
"""Whether the database answers, has the tables of this version, and somebody does the work in it.

Nothing is made or changed: a SQLite file that is not there stays away.
"""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from cds_service.errors import SettingsError, StoreError
from cds_service.setup_checks.finding import Finding, Severity
from cds_service.store.engine import Database, failing_as_store_error
from cds_service.store.schema import HEAD, check_current
from cds_service.subscriptions.inbox_list import InboxList, InboxState, is_unattended

# What the database itself says may hold its address and the user's name.
_AWAY_SQLITE: Final = "Its file may be damaged, locked or no database, or nobody here may read it."
_AWAY_POSTGRESQL: Final = (
    "It may not run, or CDS_DATABASE_URL may have another host, user, password or database."
)


def database_findings(url: str, now: datetime) -> Iterator[Finding]:
    """The database at this URL, which is never shown, and the inbox in it."""
    try:
        file = _sqlite_file(url)
        if file is not None and not file.exists():
            yield _missing_file(file)
            return
        database = Database(url)
    except (SettingsError, StoreError) as error:
        yield Finding("database", "problem", str(error))
        return
    try:
        with failing_as_store_error():
            check_current(database.engine())
        yield Finding("database", "fine", f"The database answers; its tables are those of {HEAD}.")
        yield from inbox_findings(InboxList(database).state(), now)
    except StoreError as error:
        if "cds-service database upgrade" in str(error):
            # SQLite is brought up to date by the start itself.
            severity: Severity = "warning" if database.is_sqlite else "problem"
            yield Finding("database", severity, _sentence(str(error)))
        else:
            remedy = _AWAY_SQLITE if database.is_sqlite else _AWAY_POSTGRESQL
            yield Finding("database", "problem", _sentence(str(error)), remedy)
    finally:
        database.close()


def inbox_findings(state: InboxState, now: datetime) -> Iterator[Finding]:
    """Whether a worker runs where results arrive, and what it could not do."""
    if is_unattended(state, now):
        yield Finding(
            "worker",
            "problem",
            "Work on results that arrived has been due for minutes, and no worker does it.",
            "Run cds-service worker, or serve --with-worker.",
        )
    if state.dead:
        yield Finding(
            "worker",
            "warning",
            f"Of the results that arrived {state.dead} failed too often and are not tried again.",
            "See cds-service inbox list.",
        )
    if state.failing or state.searches_failing:
        yield Finding(
            "servers",
            "problem",
            f"Subscriptions that do not deliver: {state.failing}; searches for missed results that "
            f"fail: {state.searches_failing}.",
            "See cds-service subscriptions status.",
        )


def _sqlite_file(url: str) -> Path | None:
    """The file of SQLite, if the database is one and has a file of its own."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None  # `Database` says what is wrong
    if parsed.get_backend_name() != "sqlite" or parsed.database in {None, "", ":memory:"}:
        return None
    return Path(str(parsed.database))


def _missing_file(file: Path) -> Finding:
    folder = next((parent for parent in file.parents if parent.exists()), file.parent)
    if os.access(folder, os.W_OK):
        return Finding(
            "database", "warning", "The file of the database is not there; the start makes it."
        )
    return Finding(
        "database",
        "problem",
        "The file of the database is not there and cannot be made.",
        "CDS_DATABASE_URL names another place.",
    )


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
