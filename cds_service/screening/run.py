# SPDX-License-Identifier: Apache-2.0
"""A whole population: read, choose whom to decide about, decide."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import cds_service
from cds_service.copying import replace
from cds_service.counting import counted
from cds_service.errors import RequestError
from cds_service.screening.decisions import TRIGGER, ScreeningQuestion
from cds_service.screening.described import count_people, describe
from cds_service.screening.engine import Engine, import_engine, open_engine
from cds_service.screening.files import SourceFiles
from cds_service.screening.kept import AGAIN, batches_of, keep
from cds_service.screening.lines import Lines, UnreadCounts, read_lines
from cds_service.screening.output import OutputFolder
from cds_service.screening.people import Cell
from cds_service.screening.prune import choose, last_result, uses_form
from cds_service.screening.relations import Relations
from cds_service.screening.workers import DecidedBatch, DecisionTally, decide_batches, forked_early
from cds_service.service import Knowledge

_NAMED = 5  # of what could not be read
MEMORY_MB: Final = 700
"""What the engine uses unless it is given another."""

FEW: Final = 500  # patients, below which starting processes takes longer than deciding
FORKED_FROM: Final = 2_000_000  # bytes of a source that may have more


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a run may use of the machine."""

    workers: int
    memory_mb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """What came of a population."""

    patients: int
    resources: int
    pruned: int  # who could have no card, and were not decided about
    known: frozenset[str]
    people: Counter[Cell]  # patients by sex and by age
    data_end: datetime | None  # where next steps are looked at
    unread: UnreadCounts
    tally: DecisionTally


@dataclass(frozen=True, slots=True)
class Progress:
    """What is shown while a run goes on: sentences, and how many batches of how many are done."""

    say: Callable[[str], None] = field(default=lambda _: None)
    done: Callable[[int, int], None] = field(default=lambda _done, _all: None)


def run_of(files: SourceFiles, knowledge: Knowledge, options: Sequence[object]) -> str:
    """What tells a run from every other: the files, the knowledge, the version, the options."""
    parts = [TRIGGER, *map(str, options), mark_of(knowledge), *files.states()]
    return sha256("\n".join(parts).encode()).hexdigest()


def mark_of(knowledge: Knowledge) -> str:
    """What tells this knowledge, in this version of the service, from every other."""
    parts = [cds_service.__version__]
    parts.extend(
        f"{pack.id} {pack.version} {pack.site!r} {knowledge.locks.get(pack.id)!r}"
        for pack in knowledge.packs
    )
    parts.append(str(knowledge.zone))
    for held in knowledge.files.values():  # what was edited may have no version of its own yet
        parts.extend(f"{name} {held.documents[name].data!r}" for name in sorted(held.documents))
    return sha256("\n".join(parts).encode()).hexdigest()


def screen(
    files: SourceFiles,
    knowledge: Knowledge,
    question: ScreeningQuestion,
    resources: Resources,
    *,
    output: OutputFolder | None = None,
    progress: Progress = Progress(),
) -> Screened:
    """Decide about everybody in the files; `question.known` is taken from them.

    Raises `RequestError` if they have no result or are changed meanwhile.
    """
    import_engine()  # before there are processes, so that nobody waits for an error
    early = resources.workers if files.size >= FORKED_FROM or question.moments else 0
    release = output.held.close if output else lambda: None
    with (
        files.held_unchanged(),
        forked_early(knowledge, early, release) as forked,
        TemporaryDirectory(dir=output.work if output else None, prefix="screen-") as name,
        open_engine(Path(name), memory_mb=resources.memory_mb, threads=resources.workers) as engine,
    ):
        progress.say(f"Reading {counted(len(files.read), 'file')} ({files.size / 1e6:,.0f} MB)")
        uses = uses_form(knowledge, question)
        lines = read_lines(engine, files, Path(name), with_forms=not question.every, uses=uses)
        check_somebody(lines)
        use = _Use(knowledge, resources, forked, output, progress)
        return _decided(engine, lines, question, use)


def check_somebody(lines: Lines) -> None:
    """Raise `RequestError` if there is nobody to decide about."""
    if "Observation" not in lines.known or not lines.patients:
        raise RequestError(_why_nobody(lines.unread))


def _why_nobody(unread: UnreadCounts) -> str:
    found = "There are no laboratory results: no Observation was found."
    if unread.without_patient["Observation"]:
        found = "There are no laboratory results of a patient: no Observation names one."
    lost = [f"{counted(count, 'line')} of {name}" for name, count in unread.lines.items()]
    lost.extend(unread.documents)
    return f"{found} Could not be read: {'; '.join(lost[:_NAMED])}" if lost else found


@dataclass(frozen=True, slots=True)
class _Use:
    """What a run decides by, and where to."""

    knowledge: Knowledge
    resources: Resources
    forked: ProcessPoolExecutor | None
    output: OutputFolder | None
    progress: Progress


def _decided(engine: Engine, lines: Lines, question: ScreeningQuestion, use: _Use) -> Screened:
    knowledge, output, progress = use.knowledge, use.output, use.progress
    question = question_of(lines, engine, question)
    if question.every:
        engine.run("CREATE OR REPLACE TABLE chosen AS SELECT patient FROM patient")
    else:
        choose(engine, lines.known, knowledge, question, lines.specimen_of)
    chosen: int = engine.value("SELECT count(*) FROM chosen")
    progress.say(f"{counted(lines.patients, 'patient')}; deciding about {chosen:,}")
    count = keep(engine, lines)
    parts, tally = decided_before(output)
    left = batches_of(engine, count, parts)
    workers = use.resources.workers if chosen * max(1, len(question.moments)) > FEW else 0
    done = len(parts)
    for batch in decide_batches(left, question, workers, knowledge, use.forked):
        take(batch, tally, output)
        done += 1
        progress.done(done, count)
    people = _people(engine, knowledge, question) if output is not None else Counter()
    return screened(lines, chosen, question, people, tally)


def _people(engine: Engine, knowledge: Knowledge, question: ScreeningQuestion) -> Counter[Cell]:
    describe(engine, AGAIN)
    return count_people(engine, question.day(knowledge.zone))


def take(batch: DecidedBatch, tally: DecisionTally, output: OutputFolder | None) -> None:
    """Write a batch that was decided about, and count it."""
    if output is not None:
        output.write(batch)
    tally.add(batch.tally)


def question_of(lines: Lines, engine: Relations, question: ScreeningQuestion) -> ScreeningQuestion:
    """The question with what the source says: the kinds that it has, and its last result."""
    end = question.data_end
    newest = None if end is None else last_result(engine, end)
    return replace(question, known=lines.known, data_end=newest)


def decided_before(output: OutputFolder | None) -> tuple[frozenset[int], DecisionTally]:
    """The batches that an earlier start of the run has written, and what they count."""
    tallies = output.done() if output else {}
    tally = DecisionTally()
    for each_tally in tallies.values():
        tally.add(each_tally)
    return frozenset(tallies), tally


def screened(
    lines: Lines,
    chosen: int,
    question: ScreeningQuestion,
    people: Counter[Cell],
    tally: DecisionTally,
) -> Screened:
    """What came of the population, of whom so many were decided about."""
    return Screened(
        patients=lines.patients,
        resources=lines.resources,
        pruned=lines.patients - chosen,
        known=lines.known,
        people=people,
        data_end=question.data_end,
        unread=lines.unread,
        tally=tally,
    )
