# SPDX-License-Identifier: Apache-2.0
"""`decisions.ndjson` -> the same rows as Parquet, written by DuckDB.

Each member of a line is a column of its name; `index` is a structure, `orders` and `because` are
lists. What a line does not have is NULL. Times are texts, as in the line: they keep their offset.
"""

from pathlib import Path
from typing import Final

from cds_service.screening.engine import open_engine
from cds_service.screening.scans import literal, quoted

COLUMNS: Final = {
    "patient": "VARCHAR",
    "as_of": "VARCHAR",
    "first_shown": "VARCHAR",
    "rule": "VARCHAR",
    "version": "VARCHAR",
    "pack": "VARCHAR",
    "answer": "VARCHAR",
    "indicator": "VARCHAR",
    "index": 'STRUCT(marker VARCHAR, "value" VARCHAR, "time" VARCHAR)',
    "orders": "VARCHAR[]",
    "because": "VARCHAR[]",
}
"""The columns of `decisions.parquet`, in their order, with their types in DuckDB."""

_MEMORY_MB: Final = 300
# A group is in memory until it is written, by default of 122,880 rows (DuckDB, "Parquet Tips");
# these may have many reasons.
_ROWS_A_GROUP: Final = 8192


def write_parquet(lines: Path, to: Path, folder: Path) -> None:
    """Write the rows of a file of decisions to a Parquet file, in their order.

    `folder` is where the engine writes what it has no room for. Raises `RequestError` without
    DuckDB.
    """
    types = ", ".join(f'"{name}": {quoted(kind)}' for name, kind in COLUMNS.items())
    with open_engine(folder, memory_mb=_MEMORY_MB, threads=1) as engine:
        engine.run("SET preserve_insertion_order = true")
        engine.run(
            f"COPY (SELECT * FROM read_json({quoted(literal(lines))}, "
            f"format = 'newline_delimited', columns = {{{types}}})) "
            f"TO {quoted(to)} "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROWS_A_GROUP})"
        )
