# SPDX-License-Identifier: Apache-2.0
"""Makes the table `line` of all files of a source, whatever is wrong with one of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cds_service.errors import RequestError
from cds_service.fhir.resource_types import RESOURCE_TYPES
from cds_service.prefetch_keys import KINDS
from cds_service.screening import flatten
from cds_service.screening.engine import Engine
from cds_service.screening.forms import RESULT, UsesForm
from cds_service.screening.scans import (
    as_members,
    by_member,
    by_row,
    by_text,
    faulty_file,
    has_only_resources,
    is_small,
    listed,
    literal,
    members_in,
    members_of,
    of_documents,
    quoted,
    text_column,
    with_owner,
)
from cds_service.screening.unzipping import is_whole, unzip_rest

BAD: Final = f"kind IS NULL OR kind NOT IN {listed(sorted(RESOURCE_TYPES))}"
_READ: Final = listed(KINDS)
_PLAIN_REFERENCE: Final = "Patient/[A-Za-z0-9.-]+"
_FILES_AT_ONCE: Final = 16
_SAMPLED_LINES: Final = 4000  # that tell the members of a file
_ALL_LINES: Final = -1
_LAYOUT_LINES: Final = 5000  # of a file, that tell the usual forms
_LINE: Final = (
    "kind VARCHAR, owner VARCHAR, reference VARCHAR, is_document BOOLEAN, bad_file VARCHAR, "
    "form VARCHAR, number BIGINT, begins BIGINT, ends BIGINT, by_day BOOLEAN, issued BIGINT, "
    "is_born_oddly BOOLEAN"
)
_COMMON: Final = "kind, owner, reference, is_document, bad_file"
_TEXTS: Final = ", ".join(flatten.TEXT_COLUMNS)
_FORMLESS: Final = ", ".join(f"NULL::VARCHAR AS {name}" for name in ("form", *flatten.TEXT_COLUMNS))


@dataclass(slots=True)
class Reading:
    """What came of reading the lines.

    `layouts` are the texts of forms that `line` has by a number; `names` are the files that others
    were unzipped from; `scan` is a query of every line again: `text`, `owner`, `address`.
    """

    layouts: dict[str, str] = field(default_factory=dict)
    names: dict[Path, Path] = field(default_factory=dict)
    damaged: list[Path] = field(default_factory=list)
    read: list[Path] = field(default_factory=list)
    uses: UsesForm | None = None
    scan: str = "SELECT NULL::JSON AS text, NULL AS owner, NULL AS address WHERE false"


def read_files(
    engine: Engine,
    files: Sequence[Path],
    tables: Sequence[Path],
    documents: Path | None,
    folder: Path,
    *,
    with_forms: bool,
    uses: UsesForm | None = None,
) -> Reading:
    """Make the table `line` of files of lines, of Parquet files and of the lines of documents.

    Of a result with a usual form that `uses` denies, no number and no time is read.
    """
    reading = Reading(uses=uses)
    engine.run(f"CREATE OR REPLACE TABLE line ({_LINE})")
    engine.run("CREATE OR REPLACE TABLE layout (text VARCHAR, number VARCHAR, is_unread BOOLEAN)")
    left = list(files)
    if with_forms and _is_strict(engine, folder):
        left = _read_by_member(engine, left, folder, reading)
    if left:
        whole = [_whole(path, folder, reading) for path in left]
        reading.read.extend(whole)
        engine.run(_insert(_of_texts(by_text(whole), with_forms=with_forms)))
    scans = []
    if reading.read:
        scans.append(f"SELECT text, owner, address FROM ({by_text(reading.read)})")
    for path in tables:
        rows = by_row(path, _column(engine, path))
        scans.append(f"SELECT text, owner, address FROM ({rows})")
        engine.run(_insert(_of_texts(rows, with_forms=with_forms)))
    if documents is not None and documents.stat().st_size:
        scans.append(of_documents(documents))
        engine.run(_insert(_of_documents(scans[-1])))
    reading.scan = " UNION ALL ".join(scans) or reading.scan
    reading.layouts.update(engine.rows("SELECT number, text FROM layout"))
    return reading


def owner_of(reference: str) -> str:
    """The id in a reference that has no more than that, as SQL; NULL for any other."""
    return (
        f"CASE WHEN regexp_full_match({reference}, '{_PLAIN_REFERENCE}') "
        f"THEN substr({reference}, 9) END"
    )


def _is_strict(engine: Engine, folder: Path) -> bool:
    """Whether the engine does refuse what it has to where files are read by member."""
    path = folder / "refused.ndjson"
    for line, reason in (
        ('{"a": 1, "b": 2}', "unknown key"),
        ('{"a": 1, "a": 2}', "duplicate key"),
    ):
        path.write_text(f'{{"a": 1}}\n{line}\n', encoding="utf-8")
        fault = engine.fault_of(f"SELECT count(a) FROM {as_members(path, 1)}")
        if fault is None or reason not in fault:
            return False
    return True


def _read_by_member(
    engine: Engine, files: Sequence[Path], folder: Path, reading: Reading
) -> list[Path]:
    """Read the files that can be read so, some at a time, and return the others."""
    others: list[Path] = []
    left: list[tuple[Path, int]] = []  # with how many lines tell the members
    for path in files:
        if is_small(path) or not has_only_resources(path):
            others.append(path)
        else:
            left.append((path, _SAMPLED_LINES))
    while left:
        group: dict[Path, tuple[frozenset[str], int]] = {}
        at_once = min(_FILES_AT_ONCE, engine.files_at_once)
        for path, sample in left[:at_once]:
            keys = _members_of_file(engine, path, sample)
            if keys is None:
                others.append(path)
            else:
                group[path] = keys, sample
        left = left[at_once:]
        while group and (fault := _try(engine, group, reading)) is not None:
            path = faulty_file(fault, group)
            _, sample = group.pop(path)
            if path.name.endswith(".gz"):
                left.append((_whole(path, folder, reading, unzip=True), sample))
            elif sample != _ALL_LINES and "unknown key" in fault:
                left.append((path, _ALL_LINES))
            else:
                others.append(path)
        reading.read.extend(group)
    return others


def _column(engine: Engine, path: Path) -> str:
    types = engine.rows(f"DESCRIBE SELECT * FROM read_parquet({quoted(literal(path))})")
    return text_column(path, {row[0]: row[1] for row in types})


def _members_of_file(engine: Engine, path: Path, sample: int) -> frozenset[str] | None:
    try:
        types = engine.rows(f"DESCRIBE SELECT * FROM {as_members(path, sample)}")
    except RequestError:
        return None
    return members_in({row[0]: row[1] for row in types})


def _try(
    engine: Engine, group: Mapping[Path, tuple[Collection[str], int]], reading: Reading
) -> str | None:
    """Add the files to `line`, or say what the engine says against it."""
    lines = [
        _of_members(by_member(path, keys, sample), keys) for path, (keys, sample) in group.items()
    ]
    return _learn(engine, lines, reading) or engine.fault_of(_insert(" UNION ALL ".join(lines)))


def _learn(engine: Engine, lines: Sequence[str], reading: Reading) -> str | None:
    """Add the usual forms of these lines to `layout`, or say what the engine says against it."""
    few = " UNION ALL ".join(f"(SELECT form FROM ({one}) LIMIT {_LAYOUT_LINES})" for one in lines)
    new = f"SELECT DISTINCT form FROM ({few}) WHERE form IS NOT NULL"
    fault = engine.fault_of(
        "INSERT INTO layout SELECT form, "
        f"((SELECT count(*) FROM layout) + row_number() OVER ())::VARCHAR, NULL FROM ({new}) "
        "ANTI JOIN layout ON layout.text = form"
    )
    if fault is None and reading.uses is not None:
        for text, number in engine.rows("SELECT text, number FROM layout WHERE is_unread IS NULL"):
            is_unread = not reading.uses(text)
            engine.run("UPDATE layout SET is_unread = ? WHERE number = ?", [is_unread, number])
    return fault


def _insert(rows: str) -> str:
    """Add rows of `_of_members`, `_of_texts` or `_of_documents` to `line`."""
    return f"""
        INSERT INTO line SELECT {_COMMON}, form, {flatten.values("is_read")}
        FROM (SELECT *, {flatten.moments("is_read")}
            FROM (SELECT {_COMMON}, coalesce(layout.number, made.form) AS form, {_TEXTS},
                    NOT coalesce(is_unread AND kind = '{RESULT}', false) AS is_read
                FROM ({rows}) AS made LEFT JOIN layout ON layout.text = made.form))
    """


def _whole(path: Path, folder: Path, reading: Reading, *, unzip: bool = False) -> Path:
    """The file itself, or what can be unzipped of it where that is not all or is asked for."""
    if not path.name.endswith(".gz") or (not unzip and is_whole(path)):
        return path
    to = folder / f"unzipped-{len(reading.names)}.ndjson"
    reading.names[to] = path
    if not unzip_rest(path, to):
        reading.damaged.append(path)
    return to


def _of_members(scan: str, keys: Collection[str]) -> str:
    """The rows of `line` of files that are read by member."""
    kind = flatten.kind_of(flatten.member(flatten.TYPE, keys), KINDS)
    own, subject = flatten.member("id", keys), flatten.member("subject", keys)
    return _lines(
        f"SELECT *, {kind} AS the_kind, {flatten.patient_of(subject)} AS subject_id FROM ({scan})",
        keys,
        f"CASE WHEN the_kind = 'Patient' THEN {flatten.own_id(own)} ELSE subject_id END",
        f"CASE WHEN the_kind = 'Patient' THEN 'Patient/' || json_extract_string({own}, '$') "
        f"ELSE json_extract_string({subject}, '$.reference') END",
        with_forms=True,
    )


def _of_texts(scan: str, *, with_forms: bool) -> str:
    """The rows of `line` of files that are read by text."""
    text = f"CASE WHEN kind IN {_READ} THEN text END"
    made = (
        f"SELECT kind AS the_kind, reference AS the_reference, file, {text} AS the_text "
        f"FROM ({with_owner(scan)})"
    )
    if not with_forms:
        return _lines(made, (), owner_of("the_reference"), "the_reference", with_forms=False)
    columns = ", ".join(f'members."{name}"::VARCHAR AS "{name}"' for name in sorted(flatten.PLAIN))
    return _lines(
        f"SELECT *, {flatten.patient_of('subject')} AS subject_id FROM "
        f"(SELECT the_kind, the_reference, file, {columns} FROM "
        f"(SELECT *, {members_of('the_text')} AS members FROM ({made})))",
        flatten.PLAIN,
        owner_of("the_reference"),
        "the_reference",
        with_forms=True,
    )


def _lines(
    rows: str, keys: Collection[str], owner: str, reference: str, *, with_forms: bool
) -> str:
    bad = BAD.replace("kind", "the_kind")
    columns = flatten.form_columns(keys, "subject_id") if with_forms else _FORMLESS
    parts = f", {flatten.parts(keys)}" if with_forms else ""
    return f"""
        SELECT the_kind AS kind, CASE WHEN the_kind IN {_READ} THEN {owner} END AS owner,
                CASE WHEN the_kind IN {_READ} AND ({owner}) IS NULL THEN {reference} END
                    AS reference,
                false AS is_document,
                CASE WHEN the_kind IN {_READ} THEN NULL WHEN {bad} THEN file END AS bad_file,
                {columns}
            FROM (SELECT *{parts} FROM ({rows}))
    """


def _of_documents(scan: str) -> str:
    """The rows of `line` of documents; they have no form, so that everybody in them is kept."""
    return (
        f"SELECT kind, CASE WHEN kind IN {_READ} THEN {owner_of('reference')} END AS owner, "
        f"CASE WHEN kind IN {_READ} AND ({owner_of('reference')}) IS NULL THEN reference END "
        f"AS reference, true AS is_document, NULL AS bad_file, {_FORMLESS} "
        f"FROM ({with_owner(scan)})"
    )
