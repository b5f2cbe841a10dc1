# SPDX-License-Identifier: Apache-2.0
"""The file in which a person keeps what the columns of a laboratory's tables are."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from cds_service.errors import RequestError
from cds_service.knowledge.reading.schemas import Shape
from cds_service.reports.tables.mapping import Role
from cds_service.sourcefile.diagnostics import in_words
from cds_service.sourcefile.schema import read_shape_file


class ColumnsShape(Shape):
    """The role of each heading; or of each column, from left to right, of a table without any."""

    columns: dict[str, Role] | list[Role]


def read_columns_file(path: Path) -> dict[str, str] | list[str]:
    """What the columns of a table are by this file; raises `RequestError` if it has problems."""
    read, problems = read_shape_file(path, ColumnsShape)
    if read is None:
        raise RequestError(" ".join(in_words(problems)))
    written = read[0].columns
    return dict(written) if isinstance(written, dict) else list(written)


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
