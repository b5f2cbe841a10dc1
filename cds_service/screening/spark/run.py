# SPDX-License-Identifier: Apache-2.0
"""A whole population on Spark: read, choose whom to decide about, decide, as on DuckDB.

The files are read twice: once for what says who could have a card, once for the resources of
these. The decisions come back wave by wave, so that this machine holds those of few batches.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from cds_service.counting import counted
from cds_service.errors import RequestError
from cds_service.screening.decisions import ScreeningQuestion
from cds_service.screening.described import count_people
from cds_service.screening.documents import write_documents
from cds_service.screening.files import SourceFiles
from cds_service.screening.kept import batch_count
from cds_service.screening.lines import Lines, UnreadCounts, counted_lines
from cds_service.screening.output import OutputFolder, tally_of
from cds_service.screening.people import Cell
from cds_service.screening.prune import choose
from cds_service.screening.run import (
    Progress,
    Screened,
    check_somebody,
    decided_before,
    mark_of,
    question_of,
    screened,
    take,
)
from cds_service.screening.scans import SHARED, text_column
from cds_service.screening.spark import workers
from cds_service.screening.spark.flatten import specimen_of
from cds_service.screening.spark.relations import SparkRelations
from cds_service.screening.spark.session import failures_named, spark_session
from cds_service.screening.workers import DecidedBatch
from cds_service.service import Knowledge
from cds_service.settings import Settings

_MOST_PARTS: Final = 2000  # of one shuffle
_WAVES_AHEAD: Final = 2  # parts in a wave, for each that runs at once
_WILD: Final = str.maketrans({char: f"\\{char}" for char in "\\*?[]{}"})
_HIDDEN: Final = ("_", ".")


@dataclass(frozen=True, slots=True)
class SparkUse:
    """Where Spark runs, and the settings that its workers load the packs with."""

    master: str | None
    settings: Settings


@dataclass(frozen=True, slots=True)
class SparkSource:
    """Every line of the source, to be read again, and what was counted of them."""

    session: Any
    relations: SparkRelations
    scan: Any
    lines: Lines
    forms: dict[str, str]


def screen_on_spark(
    files: SourceFiles,
    knowledge: Knowledge,
    question: ScreeningQuestion,
    use: SparkUse,
    output: OutputFolder | None = None,
    progress: Progress | None = None,
) -> Screened:
    """Decide about everybody in the files; `question.known` is taken from them.

    Raises `RequestError` if they have no result or are changed meanwhile.
    """
    shown = progress or Progress()
    within = output.work if output else None
    with files.held_unchanged(), TemporaryDirectory(dir=within, prefix="screen-") as name:
        folder = Path(name)
        shown.say("Starting Spark")
        with spark_session(folder, use.master) as session, failures_named(files):
            shown.say(f"Reading {counted(len(files.read), 'file')} ({files.size / 1e6:,.0f} MB)")
            source = read_source(session, files, folder, read=not question.every)
            check_somebody(source.lines)
            return decided_on_spark(source, knowledge, question, use, output, shown)


def read_source(session: Any, files: SourceFiles, folder: Path, *, read: bool) -> SparkSource:
    """Make the relation `line`; with `read` also what says who could have a card."""
    engine = SparkRelations(session)
    unread = UnreadCounts()
    documents = folder / "documents.ndjson"
    found = write_documents(files.documents, documents)
    unread.documents.extend([*files.losses, *found.unreadable])
    made = documents if files.documents else None
    scan = _scan(session, [*files.lines, *found.lines], files.tables, made)
    flat = scan.mapInArrow(workers.work_of(workers.flatten_lines, read), _schema(workers.LINE))
    engine.keep("flat", flat)
    unread.servers = engine.rows("SELECT count(DISTINCT base) FROM flat WHERE base <> ''")[0][0]
    several = unread.servers > 1
    owner = "CASE WHEN base <> '' THEN concat(base, '/', name) ELSE name END" if several else "name"
    session.sql(
        f"SELECT *, {owner} AS owner, CASE WHEN is_odd THEN 'odd' END AS reference FROM flat"
    ).createOrReplaceTempView("line")
    lines = counted_lines(engine, "", unread)
    forms: dict[str, str] = dict(
        engine.rows("SELECT DISTINCT form, form_text FROM flat WHERE form_text IS NOT NULL")
    )
    return SparkSource(session, engine, scan, lines, forms)


def _scan(
    session: Any, lines: Sequence[Path], tables: Sequence[Path], documents: Path | None
) -> Any:
    """Every line with the file it is of, or with none if it was made of a document."""
    for path in (*lines, *tables):
        if path.name.startswith(_HIDDEN):
            raise RequestError(f"Spark reads no file whose name begins as that of {path.name}.")
    scans = [_rows(session, path) for path in tables]
    if lines:
        scans.append(
            _text(session, lines).selectExpr(
                "CAST(value AS BINARY) AS value", "_metadata.file_path AS file"
            )
        )
    if documents is not None and documents.stat().st_size:
        scans.append(
            _text(session, [documents]).selectExpr(
                "CAST(value AS BINARY) AS value", "CAST(NULL AS STRING) AS file"
            )
        )
    if not scans:
        return session.createDataFrame([], "value binary, file string")
    return reduce(lambda one, other: one.unionAll(other), scans)


def _rows(session: Any, path: Path) -> Any:
    """The rows of a Parquet file, as lines; one without a text is a line that cannot be read."""
    table = _reader(session).parquet(_pattern(path))
    types = {name: "VARCHAR" for name, kind in table.dtypes if kind == "string"}
    column = text_column(path, types)
    return table.selectExpr(
        f"CASE WHEN {column} RLIKE '\\\\S' THEN CAST({column} AS BINARY) END AS value",
        "_metadata.file_path AS file",
    )


def _text(session: Any, paths: Sequence[Path]) -> Any:
    return _reader(session).option("lineSep", "\n").text([_pattern(path) for path in paths])


def _reader(session: Any) -> Any:
    """What reads files, and passes over none, whatever the settings of a site say."""
    reader = session.read
    for name in ("ignoreCorruptFiles", "ignoreMissingFiles"):
        reader = reader.option(name, "false")
    return reader


def _pattern(path: Path) -> str:
    """The address of a file as Spark has it, where `*` and others stand for more."""
    return f"file://{str(path.resolve()).translate(_WILD)}"


def _schema(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


def choose_on_spark(source: SparkSource, knowledge: Knowledge, question: ScreeningQuestion) -> int:
    """Make the relation `chosen` of the patients who are decided about, and count them."""
    if question.every:
        source.relations.make("chosen", "SELECT patient FROM patient")
    else:
        choose(
            source.relations,
            source.lines.known,
            knowledge,
            question,
            lambda _kind, form: specimen_of(source.forms[form]),
        )
    return int(source.relations.rows("SELECT count(*) FROM chosen")[0][0])


def decided_on_spark(
    source: SparkSource,
    knowledge: Knowledge,
    question: ScreeningQuestion,
    use: SparkUse,
    output: OutputFolder | None,
    progress: Progress,
) -> Screened:
    """Decide about everybody who could have a card."""
    lines = source.lines
    question = question_of(lines, source.relations, question)
    chosen = choose_on_spark(source, knowledge, question)
    progress.say(f"{counted(lines.patients, 'patient')}; deciding about {chosen:,}")
    resources: int = source.relations.rows(
        "SELECT coalesce(sum(resources), 0) FROM patient "
        "WHERE patient IN (SELECT patient FROM chosen)"
    )[0][0]
    count = batch_count(resources)
    parts, tally = decided_before(output)
    left = sorted(set(range(count)) - parts)
    done = len(parts)
    if left:
        kept = _kept(source, question, chosen, count, left)
        packs = _of_packs(use.settings)
        work = workers.work_of(workers.decide, question, packs, mark_of(knowledge))
        for wave, batches in _in_waves(source.session, kept, work, count, left):
            for batch in batches:
                take(batch, tally, output)
            done += wave
            progress.done(done, count)
    people = _people(source, knowledge, question) if output is not None else Counter()
    return screened(lines, chosen, question, people, tally)


def _people(
    source: SparkSource, knowledge: Knowledge, question: ScreeningQuestion
) -> Counter[Cell]:
    source.session.sql(
        "SELECT owner AS patient, kind, gender, birth FROM line WHERE kind = 'Patient'"
    ).createOrReplaceTempView("described")
    return count_people(source.relations, question.day(knowledge.zone))


def _kept(
    source: SparkSource, question: ScreeningQuestion, chosen: int, count: int, left: Sequence[int]
) -> Any:
    """The resources of the patients who are decided about, with the medicines they refer to."""
    session, engine = source.session, source.relations
    wanted = None if question.every else workers.PatientFilter(_patients(session), chosen)
    texts = workers.work_of(
        workers.texts_of,
        session.sparkContext.broadcast(wanted),
        count,
        frozenset(left),
        source.lines.unread.servers > 1,
    )
    kept = source.scan.mapInArrow(texts, _schema(workers.KEPT))
    if not question.every:
        kept = kept.join(session.table("chosen"), "patient", "left_semi")
    if not engine.rows(f"SELECT 1 FROM line WHERE kind = '{SHARED}' LIMIT 1"):
        return kept
    engine.keep("kept", kept)
    engine.keep(
        "shared",
        source.scan.mapInArrow(workers.work_of(workers.shared_texts), _schema(workers.SHARED_ROW)),
    )
    medicines = (
        f"SELECT batch, patient, '{SHARED}' AS kind, shared.text AS text, "
        "shared.address AS address FROM kept JOIN shared ON "
    )
    return session.sql(
        "SELECT batch, patient, kind, text, address FROM kept UNION ALL ("
        f"{medicines} shared.id = kept.shared_id UNION {medicines} shared.address = kept.shared)"
    )


def _patients(session: Any) -> Iterator[str]:
    for chunk in session.table("chosen").toArrow().column("patient").chunks:
        yield from chunk.to_pylist()


def _in_waves(
    session: Any, kept: Any, work: workers.Work, count: int, left: Sequence[int]
) -> Iterator[tuple[int, list[DecidedBatch]]]:
    """The decided batches, some parts of the shuffle at a time, with how many they are of."""
    context = session.sparkContext
    parts = min(count, _MOST_PARTS)
    decided = (
        kept.selectExpr("batch", "patient", "kind", "text", "address", f"batch % {parts} AS part")
        .selectExpr("*", "CAST(part AS INT) AS place")
        .repartitionById(parts, "place")
        .sortWithinPartitions("batch", "patient")
        .mapInArrow(work, _schema(workers.DECIDED))
        .rdd
    )
    places = sorted({number % parts for number in left})
    step = _WAVES_AHEAD * context.defaultParallelism
    for begin in range(0, len(places), step):
        wave = places[begin : begin + step]
        rows = context.runJob(decided, list, wave)
        batches = [
            DecidedBatch(number, bytes(lines), tally_of(json.loads(counts)))
            for number, lines, counts in rows
        ]
        of_wave = set(wave)
        yield sum(number % parts in of_wave for number in left), batches


def _of_packs(settings: Settings) -> Settings:
    """The settings that packs are loaded with, and no others: no secret leaves this process."""
    return Settings(
        cards=settings.cards and settings.cards.resolve(),
        site_file=settings.site_file and settings.site_file.resolve(),
        site_time_zone=settings.site_time_zone,
        names_fallback=settings.names_fallback,
        lab_category_prefetch=settings.lab_category_prefetch,
        language=settings.language,
    )
