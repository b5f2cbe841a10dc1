# SPDX-License-Identifier: Apache-2.0
"""A copy of the SQLite database while it is in use, by SQLite's own online backup.

A copied file alone could miss what is in the write-ahead log, or hold half of a transaction
(https://www.sqlite.org/howtocorrupt.html, section 1.2). PostgreSQL has `pg_dump`.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from cds_service.errors import StoreError
from cds_service.store.engine import BUSY_MILLISECONDS, sqlite_file

_ELSEWHERE = "Only a SQLite file is backed up by this command; use pg_dump for PostgreSQL."


def back_up(url: str, target: Path) -> None:
    """Write the database at this URL, as it is at one moment, to a new file of its owner alone.

    Raises `StoreError` if that is no SQLite file, the new file is there already or cannot be
    written, or the copy is not whole; nothing is at its place then.
    """
    source = sqlite_file(url)
    if source is None:
        raise StoreError(_ELSEWHERE)
    if not source.is_file():
        raise StoreError("There is no database at CDS_DATABASE_URL.")
    begun = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        begun.touch(mode=0o600, exist_ok=False)
        _copy(source, begun)
        os.link(begun, target)  # in one step, and never in the place of another file
    except FileExistsError:
        raise StoreError("The file of the backup is there already; name a new one.") from None
    except (OSError, sqlite3.Error):
        raise StoreError("The database could not be copied whole to that file.") from None
    finally:
        begun.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(source, timeout=BUSY_MILLISECONDS / 1000)) as used,
        closing(sqlite3.connect(target)) as copy,
    ):
        used.backup(copy)
        # One file without a log beside it, which is on the disk when it is closed.
        copy.execute("PRAGMA journal_mode=DELETE")
        if copy.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            raise sqlite3.DatabaseError
    with target.open("rb") as written:
        os.fsync(written.fileno())
