# SPDX-License-Identifier: Apache-2.0
"""DuckDB, the embedded engine: imported only where a population is screened."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cds_service.errors import RequestError
from cds_service.screening.relations import ColumnType, Row

_AT_ONCE = 10_000  # values of one statement
_INTERRUPTED = "Query interrupted"
_OF_STATEMENTS = frozenset(("BinderException", "CatalogException", "ParserException"))
_WITHOUT_VALUES = frozenset(("IOException", "OutOfMemoryException"))


class Engine:
    """One database of the engine in memory; what it has no room for it writes to a folder."""

    def __init__(self, connection: Any, error: type[Exception]) -> None:
        self._connection = connection
        self._error = error

    def run(self, sql: str, values: Sequence[object] | Mapping[str, object] | None = None) -> None:
        """Carry out a statement."""
        self._execute(sql, values)

    def fault_of(self, sql: str) -> str | None:
        """Carry out a statement, and say in the words of the engine why it could not be.

        These may hold values of patients, and are not to be shown.
        """
        try:
            with _interruptible():
                self._connection.execute(sql)
        except self._error as error:
            if type(error).__name__ in _OF_STATEMENTS:
                raise
            return str(error)
        return None

    def rows(
        self, sql: str, values: Sequence[object] | Mapping[str, object] | None = None
    ) -> list[Row]:
        """Every row of a query whose answer is small."""
        with _interruptible():
            found: list[Row] = self._execute(sql, values).fetchall()
        return found

    def batches(self, sql: str, size: int) -> Iterator[list[Row]]:
        """The rows of a query, so many at a time; no other may run before the last."""
        cursor = self._execute(sql, None)
        while rows := cursor.fetchmany(size):
            yield rows

    def value(self, sql: str) -> Any:
        """The one value of a query."""
        return self.rows(sql)[0][0]

    def make(self, name: str, query: str) -> None:
        """Keep the rows of a query as a table, in the place of what was there."""
        self.run(f"CREATE OR REPLACE TABLE {name} AS {query}")

    def fill(self, name: str, columns: Mapping[str, ColumnType], rows: Sequence[Row]) -> None:
        """Keep these rows as a table, in the place of what was there."""
        typed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
        self.run(f"CREATE OR REPLACE TABLE {name} ({typed})")
        marks = f"({', '.join(['?'] * len(columns))})"
        step = _AT_ONCE // len(columns)
        for begin in range(0, len(rows), step):
            part = rows[begin : begin + step]
            values = [value for row in part for value in row]
            self.run(f"INSERT INTO {name} VALUES {', '.join([marks] * len(part))}", values)

    @staticmethod
    def quotient(amount: str, times: str, plus: str, by: str) -> str:
        """`(amount * times + plus) / by`, cut off towards nought, of products of 128 bits."""
        return f"((({amount})::HUGEINT * {times} + {plus}) // {by})::BIGINT"

    def _execute(self, sql: str, values: object) -> Any:
        try:
            with _interruptible():
                return self._connection.execute(sql, values)
        except self._error as error:
            raise RequestError(f"The engine could not read the source: {_why(error)}") from None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Carry out a query of the engine, which says in its own way that Ctrl-C ended it."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == _INTERRUPTED:
            raise KeyboardInterrupt from None
        raise


def _why(error: Exception) -> str:
    """What went wrong; only what is of files and memory is free of values of patients."""
    name = type(error).__name__
    return str(error).splitlines()[0] if name in _WITHOUT_VALUES else name


def import_engine() -> Any:
    """The module of DuckDB; raises `RequestError` where it is not installed."""
    try:
        import duckdb
    except ImportError:
        raise RequestError(
            "DuckDB is needed to screen a population. Install it with: "
            "pip install 'cds-service[population]'"
        ) from None
    return duckdb


@contextmanager
def open_engine(folder: Path, *, memory_mb: int, threads: int) -> Iterator[Engine]:
    """An engine that writes to the folder what it has no room for.

    Nothing is installed, loaded or asked over the network. Raises `RequestError` without DuckDB.
    """
    duckdb = import_engine()
    connection = duckdb.connect(
        ":memory:",  # tables in a file are compressed and written, which takes longer
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": f"{memory_mb}MB",
            "preserve_insertion_order": "false",
            "temp_directory": str(folder / "spilled"),
            "threads": str(threads),
        },
    )
    try:
        yield Engine(connection, duckdb.Error)
    finally:
        connection.close()
