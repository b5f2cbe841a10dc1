# SPDX-License-Identifier: Apache-2.0
"""Which schema a database has, and the way to the one that this version needs.

Alembic is imported only when something is to be migrated.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sqlalchemy import Connection, Engine, inspect, text

from cds_service.errors import StoreError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0010"
SQLITE = "sqlite"
MIGRATIONS = Path(__file__).parent / "migrations"
_UPGRADE = "run: cds-service database upgrade"
_PATIENCE_MILLISECONDS = 60_000
_LOCK = 0x636473  # of PostgreSQL's advisory locks, the one that our migrations take


def check_current(engine: Engine) -> None:
    """Raise `StoreError` unless the database has the schema of this version."""
    with engine.connect() as connection:
        found = _version(connection)
    if found is None:
        raise StoreError(f"The database has no tables yet; {_UPGRADE}")
    if found != HEAD:
        raise StoreError(_other(found))


def bring_up_to_date(engine: Engine) -> bool:
    """Whether anything had to be migrated; now the database has the schema of this version.

    All in one transaction, and one process at a time. Raises `StoreError` if the database was
    made by a newer version.
    """
    with engine.connect() as connection:
        if _version(connection) == HEAD:
            return False
    config = _config()  # before anything is locked: Alembic takes a second to import
    with engine.execution_options(write=True).connect() as connection, _alone(connection):
        found = _version(connection)
        if found == HEAD:  # another process was quicker
            return False
        if found is not None and found > HEAD:
            raise StoreError(_other(found))
        _migrate(connection, config)
    return True


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """A transaction that waits for another process that migrates, longer than calls wait.

    The connection is closed after it, and not used for anything else.
    """
    driver: Any = connection.connection.driver_connection
    connection.detach()
    is_sqlite = connection.dialect.name == SQLITE
    if is_sqlite:  # a statement of SQLAlchemy would begin the transaction that has to wait
        driver.execute(f"PRAGMA busy_timeout={_PATIENCE_MILLISECONDS}")
    with connection.begin():
        if not is_sqlite:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {_PATIENCE_MILLISECONDS}")
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        yield


def migration_sql(dialect: str, stream: TextIO) -> None:
    """Write the statements of every migration, for administrators who run them by hand."""
    from alembic import command

    config = _config()
    config.output_buffer = stream
    config.attributes["dialect"] = dialect
    command.upgrade(config, "head", sql=True)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar_one_or_none()
    return found


def _migrate(connection: Connection, config: "Config") -> None:
    from alembic import command

    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> "Config":
    from alembic.config import Config  # which brings the rest of Alembic

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _other(found: str) -> str:
    if found > HEAD:
        return "The database was made by a newer version of cds-service; update this one"
    return f"The database has the tables of an older version; {_UPGRADE}"
