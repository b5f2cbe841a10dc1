# SPDX-License-Identifier: Apache-2.0
"""The connection to the database: its URL, its safety and its failures.

SQLite: WAL, so that readers never wait for a writer; `synchronous=FULL`, so that a commit is on
the disk before it is acknowledged, even if the machine loses power. PostgreSQL: a commit waits for
its log as the server is configured (`synchronous_commit`, on by default).
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from weakref import finalize

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from cds_service.errors import SettingsError, StoreError
from cds_service.store.files import LocalFile, file_identity
from cds_service.store.schema import SQLITE, bring_up_to_date, check_current
from cds_service.store.store import Store

BUSY_MILLISECONDS = 5000
_WRONG_URL = (
    "CDS_DATABASE_URL: expected sqlite:////folder/file.db or "
    "postgresql+psycopg://user:password@host/database"
)
_NO_DRIVER = (
    "CDS_DATABASE_URL: PostgreSQL needs its driver; install cds-service[postgres]"  # psycopg
)


def open_store(url: str) -> Store:
    """The store at a database URL; `sqlite://` is a file of its own that goes with the store.

    A SQLite file is made and brought up to date here; a PostgreSQL database must have been, by
    `cds-service database upgrade`. Raises `SettingsError` for a URL that cannot be used and
    `StoreError` if the database does not answer or has another schema.
    """
    database = Database(url)
    try:
        with failing_as_store_error():
            if database.is_sqlite:
                bring_up_to_date(database.engine())
            else:
                check_current(database.engine())
    except BaseException:
        database.close()
        raise
    return Store(database)


def upgrade_database(url: str) -> bool:
    """Bring the tables of a database up to date; whether anything had to be changed.

    Raises as `open_store` does.
    """
    database = Database(url)
    try:
        with failing_as_store_error():
            return bring_up_to_date(database.engine())
    finally:
        database.close()


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; `None` if it is another one or has no name.

    Raises `SettingsError` for a URL that cannot be used.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() != SQLITE or parsed.database in {None, "", ":memory:"}:
        return None
    return Path(parsed.database or "")


class Database:
    """An engine for each process: what was connected before a fork is not used after it."""

    def __init__(self, url: str) -> None:
        parsed = _parsed(url)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._file: Path | None = None
        if parsed.get_backend_name() == SQLITE:
            if parsed.database in {None, "", ":memory:"}:
                self._folder = tempfile.TemporaryDirectory(prefix="cds-service-")
                parsed = parsed.set(database=str(Path(self._folder.name, "store.db")))
            self._file = Path(parsed.database or "")
            _make_file(self._file)
            self._opened = file_identity(self._file)
        self._url = parsed
        self._engines: dict[int, Engine] = {}
        self._close = finalize(self, _dispose, self._engines, self._folder)
        self.engine()

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite."""
        return self._url.get_backend_name() == SQLITE

    def local_file(self, kind: str) -> LocalFile:
        """A file that the processes of this machine share which have this database.

        Beside the file of SQLite, else in a folder of this user among those for temporary files.
        """
        if self._file is not None:
            return LocalFile(self._file.with_name(f"{self._file.name}-{kind}"), among_others=False)
        name = sha256(self._url.render_as_string(hide_password=True).encode()).hexdigest()[:16]
        folder = Path(tempfile.gettempdir(), f"cds-service-{os.getuid()}")
        return LocalFile(folder / f"{name}-{kind}", among_others=True)

    def engine(self) -> Engine:
        """The engine of this process; raises `StoreError` once the database is closed."""
        if not self._close.alive:
            raise StoreError("The database was closed.")
        process = os.getpid()
        if process not in self._engines:
            for inherited in self._engines.values():
                inherited.dispose(close=False)  # the parent's connections stay the parent's
            self._engines[process] = _engine(self._url)
        return self._engines[process]

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads; a failure of the database is a `StoreError`."""
        self.check_file()
        with failing_as_store_error(), self.engine().begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable once the block ends; failures are `StoreError`s."""
        self.check_file()
        engine = self.engine().execution_options(write=True)
        with failing_as_store_error(), engine.begin() as connection:
            yield connection
        self.check_file()  # before feedback is acknowledged

    def check_file(self) -> None:
        """Raise `StoreError` if the file of SQLite is not the one that was opened.

        SQLite would go on to write to a file that was removed, or that nobody finds by its name.
        """
        if self._file is not None and file_identity(self._file) != self._opened:
            raise StoreError("The file of the database was removed or replaced; start again.")

    def close(self) -> None:
        """Close every connection; a database of the store's own is removed."""
        self._close()


@contextmanager
def failing_as_store_error() -> Iterator[None]:
    """Turn any failure of the database into a `StoreError` that tells nothing of its content."""
    try:
        yield
    except SQLAlchemyError:
        # The cause would carry the statement, and the address of the database.
        raise StoreError("The database does not answer.") from None


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # a port that is no number
        raise SettingsError([_WRONG_URL]) from None
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise SettingsError([_WRONG_URL])
    return parsed


def _make_file(file: Path) -> None:
    """Make the file for its owner alone: comments of clinicians may name a patient."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
    except OSError:
        raise StoreError(
            "The file of the database cannot be written; CDS_DATABASE_URL names another place."
        ) from None


def _engine(url: URL) -> Engine:
    # Asked of the module by its name, which is where traces take their place.
    # hide_parameters: what a statement was about never enters an error.
    try:
        if url.get_backend_name() == SQLITE:
            made = sqlalchemy.create_engine(url, hide_parameters=True)
            event.listen(made, "connect", _prepare_sqlite)
            event.listen(made, "begin", _begin_sqlite)
            return made
        made = sqlalchemy.create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": 3,
                "tcp_user_timeout": BUSY_MILLISECONDS,
                # Else a database of SQL_ASCII answers with bytes where text is expected.
                "client_encoding": "utf8",
            },
        )
    except ImportError:
        raise SettingsError([_NO_DRIVER]) from None
    event.listen(made, "connect", _prepare_postgresql)
    return made


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says
    for pragma in (
        f"busy_timeout={BUSY_MILLISECONDS}",
        "journal_mode=WAL",
        "synchronous=FULL",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that turns from reading to writing could fail at once instead of waiting.
    writes = connection.get_execution_options().get("write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute(f"SET statement_timeout = {BUSY_MILLISECONDS}")
    connection.commit()


def _dispose(engines: dict[int, Engine], folder: "tempfile.TemporaryDirectory[str] | None") -> None:
    engine = engines.pop(os.getpid(), None)
    if engine is not None:
        engine.dispose()
    if folder is not None:
        folder.cleanup()
