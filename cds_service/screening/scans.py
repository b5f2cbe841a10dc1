# SPDX-License-Identifier: Apache-2.0
"""How the files of a source are read, as queries for DuckDB.

Most lines are read *by member*: each member of a resource is a column. The engine then refuses
what it does not expect: a line that is no JSON, a member that comes twice, and one that it has not
found in the first lines. It does so only where a query is of one file and uses every member. A
file with any such line is read *by text*, which is slower and costs no more than the line, and so
are small files, of which there may be thousands.
"""

import gzip
import json
import re
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Final, cast

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from cds_service.errors import RequestError
from cds_service.prefetch_keys import KINDS
from cds_service.screening.flatten import PLAIN, TYPE

SHARED: Final = "Medication"
"""What no patient is named in, and the resources of patients refer to."""

TEXT_COLUMNS: Final = ("resource", "json")
"""Of a Parquet file, one of which holds the JSON of a resource in each row."""

LONGEST_LINE: Final = 16 * 1024 * 1024
SMALL: Final = 2 * 1024 * 1024
_FIRST: Final = 100  # lines of a file that tell what is in it
_MOST_KEYS: Final = 200
_KEY: Final = re.compile("_?[a-z][A-Za-z0-9]*")
_READ: Final = frozenset((*KINDS, SHARED))
_QUOTED: Final = "''"
_WILD: Final = re.compile(r"[*?[]")
_FAULTY: Final = re.compile(r'in file "(.+?)",? (?:at byte|in line)|GZIP stream: (.+)')


class _Head(Struct, rename="camel"):
    resource_type: str = ""


_HEAD: Decoder[_Head] = Decoder(_Head)
Members = Mapping[Path, frozenset[str]]
"""Files that are read by member, with these."""


def has_only_resources(path: Path) -> bool:
    """Whether the first lines of a file are resources that rules read."""
    try:
        with opened(path) as data:
            first = [_HEAD.decode(line).resource_type for line in islice(data, _FIRST)]
    except (DecodeError, UnicodeDecodeError, RecursionError, OSError, EOFError, zlib.error):
        return False
    return bool(first) and set(first) <= _READ


def is_small(path: Path) -> bool:
    """Whether a statement for the file alone is not worth while."""
    return path.stat().st_size < SMALL


def members_in(types: Mapping[str, str]) -> frozenset[str] | None:
    """The members that the engine found in a file; `None` if they cannot all be columns."""
    keys = frozenset(types)
    # Names of columns are the same in large and small letters.
    is_fine = (
        len({key.lower() for key in keys}) == len(keys) <= _MOST_KEYS
        and "file" not in keys
        and all(map(_KEY.fullmatch, keys))
        and set(types.values()) == {"JSON"}
    )
    return keys if is_fine and TYPE in keys else None


def opened(path: Path) -> IO[bytes]:
    """A file, zipped or not."""
    return cast(IO[bytes], gzip.open(path) if path.name.endswith(".gz") else path.open("rb"))


def faulty_file(error: str, files: Iterable[Path]) -> Path:
    """The file that an error of the engine names, or else the first one.

    The error itself may hold values.
    """
    found = _FAULTY.search(error)
    named = Path(found.group(1) or found.group(2)) if found else None
    first, *others = files
    return named if named in others else first


def as_members(path: Path, sample: int) -> str:
    """The lines of a file with a column of JSON for each member of the first so many lines."""
    return (
        f"read_json({quoted(literal(path))}, format = 'newline_delimited', records = true, "
        f"maximum_depth = 1, sample_size = {sample}, maximum_object_size = {LONGEST_LINE})"
    )


def by_member(path: Path, keys: Collection[str], sample: int) -> str:
    """The lines of a file: `file`, and a column of text for each of the keys."""
    # As plain texts: what JSON is compared with, the engine reads as JSON too.
    columns = ", ".join(f'"{name}"::VARCHAR AS "{name}"' for name in sorted(keys))
    return f"SELECT {quoted(path)} AS file, {columns} FROM {as_members(path, sample)}"


def by_text(files: Sequence[Path]) -> str:
    """The lines of files: `file` and `text`; what is no JSON has none."""
    return (
        "SELECT filename AS file, json AS text, NULL AS owner, NULL AS address "
        f"FROM read_ndjson_objects({listed(map(literal, files), '[]')}, filename = true, "
        f"ignore_errors = true, maximum_object_size = {LONGEST_LINE})"
    )


def members_of(text: str) -> str:
    """The members of a resource that may have a form, as one structure; NULL if it has others."""
    columns = json.dumps(dict.fromkeys(sorted(PLAIN), "JSON"))
    keys = f"json_keys({text})"
    is_plain = (
        f"len({keys}) = len(list_distinct({keys})) "
        f"AND len(list_intersect({keys}, {listed(sorted(PLAIN), '[]')})) = len({keys})"
    )
    return f"CASE WHEN {is_plain} THEN json_transform({text}, '{columns}') END"


def literal(path: Path) -> str:
    """The path as a pattern that means it alone: engines take names with `*`, `?` or `[` for more.

    >>> literal(Path("Observation[1].ndjson"))
    'Observation[[]1].ndjson'
    """
    return _WILD.sub(r"[\g<0>]", str(path))


def listed(words: Iterable[object], brackets: str = "()") -> str:
    """The words as a list of SQL; quotes in them are doubled."""
    return f"{brackets[0]}{', '.join(map(quoted, words))}{brackets[1]}"


def quoted(word: object) -> str:
    """A text of SQL."""
    return "'" + str(word).replace("'", _QUOTED) + "'"


def text_column(path: Path, types: Mapping[str, str]) -> str:
    """The column with the JSON of a resource in a Parquet file of these columns.

    Raises `RequestError` if there is none.
    """
    for name in TEXT_COLUMNS:
        if types.get(name) in {"VARCHAR", "JSON"}:
            return name
    raise RequestError(
        f"{path.name}: expected a column {' or '.join(TEXT_COLUMNS)} of text, "
        "with the JSON of one resource in each row."
    )


def by_row(path: Path, column: str) -> str:
    """The rows of a Parquet file, as `by_text` has lines."""
    text = f"CASE WHEN json_valid({column}) THEN {column}::JSON END"
    return (
        f"SELECT {quoted(path)} AS file, {text} AS text, NULL AS owner, NULL AS address "
        f"FROM read_parquet({quoted(literal(path))})"
    )


def of_documents(path: Path) -> str:
    """The lines that were made of documents: `text`, `owner`, `address`."""
    return (
        "SELECT text::JSON AS text, owner, address FROM "
        f"read_json({listed([literal(path)], '[]')}, format = 'newline_delimited', "
        "columns = {text: 'VARCHAR', owner: 'VARCHAR', address: 'VARCHAR'}, "
        f"ignore_errors = true, maximum_object_size = {LONGEST_LINE})"
    )


def with_owner(lines: str) -> str:
    """A query of lines with `kind`, `id`, and with `reference` for the patient of each.

    `owner` of the lines, where they have it, is the reference to their patient.
    """
    return f"""
        SELECT *, heads[1] AS kind, heads[2] AS id,
            coalesce(owner, CASE WHEN heads[1] = 'Patient' THEN 'Patient/' || heads[2]
                ELSE heads[3] END) AS reference
        FROM (SELECT *, json_extract_string(text,
            ['$.resourceType', '$.id', '$.subject.reference']) AS heads FROM ({lines}))
    """
