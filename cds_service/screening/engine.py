# SPDX-License-Identifier: Apache-2.0
"""DuckDB, the embedded engine: imported only where a population is screened."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from cds_service.errors import RequestError
from cds_service.screening.relations import ColumnType, Row

_AT_ONCE = 10_000  # values of one statement
_INTERRUPTED = "Query interrupted"
_OF_STATEMENTS = frozenset(("BinderException", "CatalogException", "ParserException"))
_OUT_OF_MEMORY = "OutOfMemoryException"
_WITHOUT_VALUES = frozenset(("IOException", _OUT_OF_MEMORY))
# What a thread of the engine holds of each file that it reads: 16 MB are the longest line, and it
# has room for twice that, twice. These were tried with 1 to 16 files and threads.
_MB_A_THREAD: Final = 100
_MB_A_FILE: Final = 150
Found = TypeVar("Found")


class Engine:
    """One database of the engine in memory; what it has no room for it writes to a folder.

    A statement that lacks memory is carried out again by fewer threads, down to one.
    """

    def __init__(
        self, connection: Any, error: type[Exception], *, memory_mb: int, threads: int
    ) -> None:
        self._connection = connection
        self._error = error
        self._memory_mb = memory_mb
        self._threads = threads

    @property
    def files_at_once(self) -> int:
        """How many files one statement has room to read."""
        return max(1, self._memory_mb // _MB_A_FILE)

    def run(self, sql: str, values: Sequence[object] | Mapping[str, object] | None = None) -> None:
        """Carry out a statement."""
        self._named(lambda: self._connection.execute(sql, values))

    def fault_of(self, sql: str) -> str | None:
        """Carry out a statement, and say in the words of the engine why it could not be.

        These may hold values of patients, and are not to be shown. Raises `RequestError` if there
        is too little memory.
        """
        try:
            self._tried(lambda: self._connection.execute(sql))
        except self._error as error:
            if type(error).__name__ in _OF_STATEMENTS:
                raise
            if _lacks_memory(error):
                raise self._refusal(error) from None
            return str(error)
        return None

    def rows(
        self, sql: str, values: Sequence[object] | Mapping[str, object] | None = None
    ) -> list[Row]:
        """Every row of a query whose answer is small."""
        # The engine may find what is wrong only while rows are fetched.
        return self._named(lambda: self._connection.execute(sql, values).fetchall())

    def batches(self, sql: str, size: int) -> Iterator[list[Row]]:
        """The rows of a query, so many at a time; no other may run before the last."""
        cursor = self._named(lambda: self._connection.execute(sql))
        while rows := self._named(lambda: cursor.fetchmany(size), again=False):
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
        quotient = f"((({amount})::HUGEINT * {times} + {plus}) // {by})::BIGINT"
        # Most results are in the unit of their marker, and 128 bits take several times as long.
        return f"CASE WHEN {times} = 1 AND {by} = 1 THEN {amount} + {plus} ELSE {quotient} END"

    def _named(self, work: Callable[[], Found], *, again: bool = True) -> Found:
        """What comes of some work; raises `RequestError` without a value of a patient."""
        try:
            return self._tried(work, again=again)
        except self._error as error:
            raise self._refusal(error) from None

    def _tried(self, work: Callable[[], Found], *, again: bool = True) -> Found:
        """What comes of some work, by fewer threads while these lack memory."""
        while True:
            try:
                with _interruptible():
                    return work()
            except self._error as error:
                if not again or self._threads == 1 or not _lacks_memory(error):
                    raise
            self._threads //= 2
            self._connection.execute(f"SET threads = {self._threads}")

    def _refusal(self, error: Exception) -> RequestError:
        if _lacks_memory(error):
            return RequestError(
                f"{self._memory_mb} MB are too little memory for this source: give the engine "
                f"more, such as --memory {2 * self._memory_mb}. It says: {_why(error)}"
            )
        return RequestError(f"The engine could not read the source: {_why(error)}")


def _lacks_memory(error: Exception) -> bool:
    return type(error).__name__ == _OUT_OF_MEMORY


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

    It has so many threads, or as many as the memory has room for. Nothing is installed, loaded or
    asked over the network. Raises `RequestError` without DuckDB.
    """
    duckdb = import_engine()
    threads = max(1, min(threads, memory_mb // _MB_A_THREAD))
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
        yield Engine(connection, duckdb.Error, memory_mb=memory_mb, threads=threads)
    finally:
        connection.close()
