# SPDX-License-Identifier: Apache-2.0
"""Tokens that were used on this machine: a file that the processes of the service share.

An answer takes some microseconds and waits for no disk. SQLite keeps the file whole and its locks
free when a process is killed.
"""

import os
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

from cds_service.clock import stopwatch
from cds_service.errors import StoreError
from cds_service.store.files import LocalFile, file_identity

_BUSY_SECONDS = 0.05
_QUICK = 5.0  # milliseconds
_FORGET_EVERY = timedelta(minutes=1)
_TABLE = "CREATE TABLE IF NOT EXISTS used (name BLOB PRIMARY KEY, until REAL) WITHOUT ROWID"


class LocalTokens:
    """Remembers names of tokens until they could no longer be used anyway."""

    def __init__(self, file: LocalFile) -> None:
        self._file = file.path
        self._among_others = file.among_others
        self._lock = Lock()
        self._open: tuple[int, tuple[int, int] | None, sqlite3.Connection] | None = None
        self._forgotten: datetime | None = None
        self.is_slow = False
        """Whether the last answer was waited for: another process held the file, or its disk."""

    def add(self, name: bytes, *, until: datetime, now: datetime) -> bool:
        """Whether the name was new; it is kept. Raises `StoreError` if the file cannot be used."""
        with self._lock:
            elapsed = stopwatch()
            try:
                return self._add(name, until, now)
            except (OSError, sqlite3.Error):
                raise StoreError("The file of the tokens that were used does not answer.") from None
            finally:
                self.is_slow = elapsed() > _QUICK

    def _add(self, name: bytes, until: datetime, now: datetime) -> bool:
        connection = self._connection()
        self._forget(connection, now)
        added = connection.execute(
            "INSERT OR IGNORE INTO used VALUES (?, ?)", (name, until.timestamp())
        )
        return added.rowcount == 1

    def _connection(self) -> sqlite3.Connection:
        """The connection of this process to the file; to a new one if it was removed."""
        if self._open is not None:
            process, identity, connection = self._open
            if process == os.getpid() and identity == file_identity(self._file):
                return connection
        if self._among_others:
            _make_folder(self._file.parent)
        self._file.touch(mode=0o600)
        connection = sqlite3.connect(
            self._file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # no commit waits; a crash harms no file
        connection.execute(_TABLE)
        self._open = os.getpid(), file_identity(self._file), connection
        return connection

    def _forget(self, connection: sqlite3.Connection, now: datetime) -> None:
        if self._forgotten is None or now - self._forgotten > _FORGET_EVERY:
            connection.execute("DELETE FROM used WHERE until < ?", (now.timestamp(),))
            self._forgotten = now


def _make_folder(folder: Path) -> None:
    """Make the folder for its owner alone; one that another user has made is not used."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError
