# SPDX-License-Identifier: Apache-2.0
"""The lines of a source in the engine: what each is, whose it is, and what cannot be read.

Files are read where they lie, twice: once for the little that says who could have a card, and once
for the resources of these. A line that is no JSON costs itself alone.
"""

import gzip
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from cds_service.counting import counted
from cds_service.fhir.references import parts_of
from cds_service.fhir.resource_types import RESOURCE_TYPES
from cds_service.prefetch_keys import KINDS, Kind
from cds_service.screening.documents import write_documents
from cds_service.screening.engine import Engine
from cds_service.screening.files import SourceFiles
from cds_service.screening.relations import Relations

SHARED: Final = "Medication"
"""What no patient is named in, and the resources of patients refer to."""

_SHOWN = 5  # lines of a file that are named
_LONGEST_LINE: Final = 16 * 1024 * 1024
_PLAIN_REFERENCE: Final = "Patient/[A-Za-z0-9.-]+"
_QUOTED = "''"
_WILD = re.compile(r"[*?[]")


class _Head(Struct):
    resourceType: str = ""  # noqa: N815 - the name on the wire


_HEAD: Decoder[_Head] = Decoder(_Head)


@dataclass(frozen=True, slots=True)
class LineColumns:
    """Columns that are made of the text of a resource, and the parts that they are made from."""

    part: Callable[[str], str]
    of: Callable[[str], str]


@dataclass(slots=True)
class UnreadCounts:
    """What of a source cannot be read or belongs to nobody, counted and named."""

    lines: dict[str, int] = field(default_factory=dict)  # by file
    places: dict[str, list[int]] = field(default_factory=dict)  # the first of these lines
    documents: list[str] = field(default_factory=list)
    without_patient: Counter[str] = field(default_factory=Counter)  # by type
    not_asked_for: Counter[str] = field(default_factory=Counter)  # by type: no rule reads them
    without_resource: int = 0  # patients who are only referred to
    servers: int = 0  # that patients are named by; with more than one, ids differ

    def __bool__(self) -> bool:
        """Whether anything that might have counted was lost."""
        return bool(self.lines or self.documents or self.without_patient)


@dataclass(frozen=True, slots=True)
class Lines:
    """The tables that were made: `line` of the resources of patients, `owner` of odd references.

    `scan` is a query of every line again: `file`, `text`, `owner`, `address`.
    """

    scan: str
    patients: int
    resources: int
    known: frozenset[Kind]
    unread: UnreadCounts


def read_lines(
    engine: Engine, files: SourceFiles, folder: Path, columns: LineColumns | None = None
) -> Lines:
    """Read the source once; `columns` are made of each resource that rules read."""
    unread = UnreadCounts()
    documents = folder / "documents.ndjson"
    read = write_documents(files.documents, documents)
    unread.documents.extend([*files.losses, *read.unreadable])
    scan = _scan([*files.lines, *read.lines], documents if files.documents else None)
    engine.make("line", _heads(scan, columns))
    _name_owners(engine, unread)
    return counted_lines(engine, scan, unread)


def counted_lines(engine: Relations, scan: str, unread: UnreadCounts) -> Lines:
    """Count what is in the relation `line`, and make `patient` of it."""
    _count_unread(engine, unread)
    kinds = {row[0] for row in engine.rows("SELECT DISTINCT kind FROM line WHERE kind IS NOT NULL")}
    engine.make(
        "patient",
        "SELECT owner AS patient, count(*) FILTER (WHERE kind = 'Patient') AS persons, "
        "count(*) AS resources "
        f"FROM line WHERE owner IS NOT NULL AND kind IN {_listed(KINDS)} GROUP BY owner",
    )
    patients, resources, unread.without_resource = engine.rows(
        "SELECT count(*), coalesce(sum(resources), 0), count(*) FILTER (WHERE persons = 0) "
        "FROM patient"
    )[0]
    return Lines(
        scan=scan,
        patients=patients,
        resources=int(resources),
        known=frozenset(kind for kind in KINDS if kind in kinds),
        unread=unread,
    )


def with_owner(lines: str) -> str:
    """A query of the scan's lines with `kind`, and with `reference` for the patient of each."""
    return f"""
        SELECT file, text, address, heads[1] AS kind, heads[2] AS id,
            coalesce(owner, CASE WHEN heads[1] = 'Patient' THEN 'Patient/' || heads[2]
                ELSE heads[3] END) AS reference
        FROM (SELECT *, json_extract_string(text,
            ['$.resourceType', '$.id', '$.subject.reference']) AS heads FROM ({lines}))
    """


def owner_of(reference: str) -> str:
    """The id in a reference that has no more than that, as SQL; NULL for any other."""
    return (
        f"CASE WHEN regexp_full_match({reference}, '{_PLAIN_REFERENCE}') "
        f"THEN substr({reference}, 9) END"
    )


def _scan(lines: Sequence[Path], documents: Path | None) -> str:
    parts: list[str] = []
    options = f"ignore_errors = true, maximum_object_size = {_LONGEST_LINE}"
    if lines:
        parts.append(
            "SELECT filename AS file, json AS text, NULL AS owner, NULL AS address FROM "
            f"read_ndjson_objects({_listed(map(_literal, lines), '[]')}, "
            f"filename = true, {options})"
        )
    if documents is not None and documents.stat().st_size:
        parts.append(
            "SELECT NULL AS file, text::JSON AS text, owner, address FROM "
            f"read_json({_listed([_literal(documents)], '[]')}, format = 'newline_delimited', "
            f"columns = {{text: 'VARCHAR', owner: 'VARCHAR', address: 'VARCHAR'}}, {options})"
        )
    nothing = "SELECT NULL AS file, NULL::JSON AS text, NULL AS owner, NULL AS address WHERE false"
    return " UNION ALL ".join(parts) or nothing


def _heads(scan: str, columns: LineColumns | None) -> str:
    more = f", {columns.of('text')}" if columns else ""
    part = f", {columns.part('text')} AS part" if columns else ""
    only = f"CASE WHEN kind IN {_listed(KINDS)} THEN text END AS text"
    return f"""
        SELECT kind, {owner_of("reference")} AS owner, is_document,
            CASE WHEN owner IS NULL THEN reference END AS reference,
            CASE WHEN kind IS NULL OR kind NOT IN {_listed(sorted(RESOURCE_TYPES))} THEN file END
                AS bad_file {more}
        FROM (SELECT *{part} FROM (SELECT kind, reference, file, file IS NULL AS is_document, {only}
            FROM ({with_owner(scan)})))
    """


def _name_owners(engine: Engine, unread: UnreadCounts) -> None:
    """Whom references that are not simply `Patient/ID` are to, as the core reads them."""
    engine.run("CREATE OR REPLACE TABLE owner (reference VARCHAR, patient VARCHAR)")
    odd = [
        row[0]
        for row in engine.rows("SELECT DISTINCT reference FROM line WHERE reference IS NOT NULL")
    ]
    if not odd:
        return
    named = {text: named_patient(text) for text in odd}
    bases = {found[0] for found in named.values() if found and found[0]}
    unread.servers = len(bases)
    rows = [
        (text, found[1] if len(bases) < 2 or not found[0] else f"{found[0]}/{found[1]}")
        for text, found in named.items()
        if found
    ]
    for begin in range(0, len(rows), 1000):
        part = rows[begin : begin + 1000]
        marks = ", ".join(["(?, ?)"] * len(part))
        engine.run(f"INSERT INTO owner VALUES {marks}", [one for row in part for one in row])
    engine.run(
        "UPDATE line SET owner = owner.patient FROM owner WHERE line.reference = owner.reference"
    )


def named_patient(text: str) -> tuple[str, str] | None:
    """The server and the id of a patient, as `intake.subjects` reads a reference."""
    plain = text.strip().rstrip("/")
    if not plain or "?" in plain or plain.startswith("#"):
        return None
    parts = parts_of(plain)
    if not parts.may_be_patient or not parts.id:
        return None
    return parts.base, parts.id


def _count_unread(engine: Relations, unread: UnreadCounts) -> None:
    bad = "kind IS NULL OR kind NOT IN " + _listed(sorted(RESOURCE_TYPES))
    for file, count in engine.rows(
        f"SELECT bad_file, count(*) FROM line WHERE {bad} GROUP BY bad_file ORDER BY bad_file"
    ):
        if file is None:
            unread.documents.append(
                f"{counted(count, 'resource')} of no type of FHIR R4 in documents"
            )
            continue
        name = _name(Path(file), unread.lines)
        unread.lines[name] = count
        unread.places[name] = list(_bad_lines(Path(file)))
    for kind, count in engine.rows(
        "SELECT kind, count(*) FROM line WHERE owner IS NULL AND kind IN "
        f"{_listed(KINDS)} GROUP BY kind ORDER BY kind"
    ):
        unread.without_patient[kind] = count
    for kind, count in engine.rows(
        f"SELECT kind, count(*) FROM line WHERE kind NOT IN {_listed((*KINDS, SHARED))} "
        f"AND NOT ({bad}) GROUP BY kind ORDER BY kind"
    ):
        if kind == "Bundle":
            unread.documents.append(
                f"{counted(count, 'Bundle')} among lines: each has to be a .json file"
            )
        else:
            unread.not_asked_for[kind] = count


def _name(path: Path, taken: Container[str]) -> str:
    """The name of a file, with as many of its folders as tell it from those that are taken."""
    names = ("/".join(path.parts[-count:]) for count in range(1, len(path.parts)))
    return next((name for name in names if name not in taken), str(path))


def _bad_lines(path: Path) -> Iterator[int]:
    """The numbers of the first lines of a file that are no resource."""
    found = 0
    with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as data:
        for number, line in enumerate(data, start=1):
            if line.strip() and not _is_resource(line):
                found += 1
                yield number
                if found == _SHOWN:
                    return


def _is_resource(line: bytes) -> bool:
    try:
        line.decode()  # the reader looks only at the texts that it needs
        return _HEAD.decode(line).resourceType in RESOURCE_TYPES
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _literal(path: Path) -> str:
    """The path as a pattern that means it alone: engines take names with `*`, `?` or `[` for more.

    >>> _literal(Path("Observation[1].ndjson"))
    'Observation[[]1].ndjson'
    """
    return _WILD.sub(r"[\g<0>]", str(path))


def _listed(words: object, brackets: str = "()") -> str:
    """The words as a list of SQL; quotes in them are doubled."""
    quoted = ", ".join("'" + str(word).replace("'", _QUOTED) + "'" for word in words)  # type: ignore[attr-defined]
    return f"{brackets[0]}{quoted}{brackets[1]}"
