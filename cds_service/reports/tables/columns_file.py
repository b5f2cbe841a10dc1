# SPDX-License-Identifier: Apache-2.0
"""The file in which a person keeps what the columns of a laboratory's tables are."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from cds_service.errors import RequestError
from cds_service.knowledge.reading.schemas import Shape
from cds_service.reports.tables.mapping import Role
from cds_service.sourcefile.diagnostics import Problem, in_words
from cds_service.sourcefile.document import parse
from cds_service.sourcefile.schema import read_shape, read_shape_file


class ColumnsShape(Shape):
    """The role of each heading; or of each column, from left to right, of a table without any."""

    columns: dict[str, Role] | list[Role]


def read_columns_file(path: Path) -> dict[str, str] | list[str]:
    """What the columns of a table are by this file; raises `RequestError` if it has problems."""
    read, problems = read_shape_file(path, ColumnsShape)
    return _columns(None if read is None else read[0], problems)


def read_columns_text(data: bytes) -> dict[str, str] | list[str]:
    """The same by the content of such a file."""
    try:
        document, problems = parse(data.decode("utf-8-sig"), "columns")
    except UnicodeDecodeError:
        raise RequestError("Expected a file of columns, as text in UTF-8.") from None
    if problems and not document.data:
        return _columns(None, problems)
    return _columns(*read_shape(ColumnsShape, document.data, document))


def _columns(found: ColumnsShape | None, problems: Sequence[Problem]) -> dict[str, str] | list[str]:
    if found is None or problems:
        raise RequestError(" ".join(in_words(problems)))
    written = found.columns
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
