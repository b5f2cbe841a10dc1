# SPDX-License-Identifier: Apache-2.0
"""The lines of a source in the engine: what each is, whose it is, and what cannot be read.

Files are read where they lie, twice: once for the little that says who could have a card, and once
for the resources of these. A line that is no JSON costs itself alone.
"""

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from cds_service.counting import counted
from cds_service.fhir.references import parts_of
from cds_service.fhir.resource_types import RESOURCE_TYPES
from cds_service.prefetch_keys import KINDS, Kind
from cds_service.screening import flatten
from cds_service.screening.documents import write_documents
from cds_service.screening.engine import Engine
from cds_service.screening.files import SourceFiles
from cds_service.screening.forms import UsesForm
from cds_service.screening.reading import BAD, read_files
from cds_service.screening.relations import Relations
from cds_service.screening.scans import SHARED, listed, opened

_SHOWN = 5  # lines of a file that are named


class _Head(Struct):
    resourceType: str = ""  # noqa: N815 - the name on the wire


_HEAD: Decoder[_Head] = Decoder(_Head)


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

    `scan` is a query of every line again: `text`, `owner`, `address`. `layouts` are the texts of
    the forms that `line` has as numbers; other forms are in it as texts.
    """

    scan: str
    patients: int
    resources: int
    known: frozenset[Kind]
    unread: UnreadCounts
    layouts: Mapping[str, str]

    def specimen_of(self, kind: str, form: str) -> dict[str, object] | None:
        """A resource of a form of `line`; `None` if it may be anything."""
        return flatten.specimen_of(kind, self.layouts.get(form, form))


def read_lines(
    engine: Engine,
    files: SourceFiles,
    folder: Path,
    *,
    with_forms: bool = True,
    uses: UsesForm | None = None,
) -> Lines:
    """Read the source once; without forms, where everybody is decided about.

    Of a result with a usual form that `uses` denies, no number and no time is read.
    """
    unread = UnreadCounts()
    documents = folder / "documents.ndjson"
    read = write_documents(files.documents, documents)
    unread.documents.extend([*files.losses, *read.unreadable])
    made = documents if files.documents else None
    reading = read_files(
        engine,
        [*files.lines, *read.lines],
        files.tables,
        made,
        folder,
        with_forms=with_forms,
        uses=uses,
    )
    for path in reading.damaged:
        unread.documents.append(f"{path.name}: cut off or damaged, and read only as far as it goes")
    _name_owners(engine, unread)
    return counted_lines(engine, reading.scan, unread, layouts=reading.layouts, names=reading.names)


def counted_lines(
    engine: Relations,
    scan: str,
    unread: UnreadCounts,
    *,
    layouts: Mapping[str, str] = MappingProxyType({}),
    names: Mapping[Path, Path] = MappingProxyType({}),
) -> Lines:
    """Count what is in the relation `line`, and make `patient` of it.

    `names` are the files that others of the source were unzipped from.
    """
    kinds = _count(engine, unread, names)
    engine.make(
        "patient",
        "SELECT owner AS patient, count(*) FILTER (WHERE kind = 'Patient') AS persons, "
        "count(*) AS resources "
        f"FROM line WHERE owner IS NOT NULL AND kind IN {listed(KINDS)} GROUP BY owner",
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
        layouts=layouts,
    )


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
        engine.run(f"INSERT INTO owner VALUES {marks}", [cell for row in part for cell in row])
    engine.run(
        "UPDATE line SET owner = owner.patient FROM owner WHERE line.reference = owner.reference"
    )


def named_patient(text: str) -> tuple[str, str] | None:
    """The server and the id of a patient, as `intake.subjects` reads a reference."""
    plain = text.strip().rstrip("/")
    if plain in {"", "Patient"} or "?" in plain or plain.startswith("#"):
        return None
    parts = parts_of(plain)
    if not parts.may_be_patient or not parts.id:
        return None
    return parts.base, parts.id


def _count(engine: Relations, unread: UnreadCounts, names: Mapping[Path, Path]) -> set[str]:
    """Count what cannot be read or is nobody's, and say which types are there."""
    kinds: set[str] = set()
    for kind, file, is_owned, count in engine.rows(
        "SELECT fine, bad_file, is_owned, count(*) FROM (SELECT bad_file, "
        f"owner IS NOT NULL AS is_owned, CASE WHEN kind IN {listed(KINDS)} THEN kind "
        f"WHEN {BAD} THEN NULL ELSE kind END AS fine FROM line"
        ") AS found GROUP BY fine, bad_file, is_owned ORDER BY fine, bad_file, is_owned"
    ):
        kinds.add(kind or "")
        if kind is None and file is None:
            unread.documents.append(
                f"{counted(count, 'resource')} of no type of FHIR R4 in documents"
            )
        elif kind is None:
            name = _name(names.get(Path(file), Path(file)), unread.lines)
            unread.lines[name] = count
            is_table = file.endswith(".parquet")
            unread.places[name] = [] if is_table else list(_bad_lines(Path(file)))
        elif kind == "Bundle":
            unread.documents.append(
                f"{counted(count, 'Bundle')} among lines: each has to be a .json file"
            )
        elif kind not in {*KINDS, SHARED}:
            unread.not_asked_for[kind] += count
        elif kind != SHARED and not is_owned:
            unread.without_patient[kind] = count
    return kinds


def _name(path: Path, taken: Container[str]) -> str:
    """The name of a file, with as many of its folders as tell it from those that are taken."""
    names = ("/".join(path.parts[-count:]) for count in range(1, len(path.parts)))
    return next((name for name in names if name not in taken), str(path))


def _bad_lines(path: Path) -> Iterator[int]:
    """The numbers of the first lines of a file that are no resource."""
    found = 0
    with opened(path) as data:
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
