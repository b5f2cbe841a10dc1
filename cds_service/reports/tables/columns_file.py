# SPDX-License-Identifier: Apache-2.0
"""The file in which a person keeps what the columns of a laboratory's tables are."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from cds_service.errors import RequestError
from cds_service.knowledge.reading.schemas import Shape
from cds_service.reports.tables.grid import Grid
from cds_service.reports.tables.mapping import Columns, Role, as_written
from cds_service.sourcefile.diagnostics import in_words
from cds_service.sourcefile.schema import read_shape_file


class ColumnsShape(Shape):
    """The role of each heading; or of each column, from left to right, of a table without any."""

    columns: dict[str, Role] | list[Role]


def read_columns_file(path: Path, grid: Grid) -> Columns:
    """What the columns of a table are by this file.

    Raises `RequestError` for a file that has problems, and for a table without its headings.
    """
    read, problems = read_shape_file(path, ColumnsShape)
    if read is None:
        raise RequestError(" ".join(in_words(problems)))
    columns = as_written(grid, read[0].columns)
    if columns is None:
        raise RequestError("Expected a table with the headings of the file of columns.")
    return columns


def columns_file(columns: Sequence[tuple[str, str]]) -> str:
    """The text of a file for columns with these headings and roles, to be confirmed or corrected.

    >>> print(columns_file([("Analyse", "test"), ("Wert", "value")]), end="")
    columns:
      Analyse: test
      Wert: value
    """
    named = any(heading for heading, _ in columns)
    roles = dict(columns) if named else [role for _, role in columns]
    return yaml.safe_dump({"columns": roles}, allow_unicode=True, sort_keys=False)
