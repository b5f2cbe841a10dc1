# SPDX-License-Identifier: Apache-2.0
"""How many cards a population is shown: read, choose whom to decide about, decide and count."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final

from cds_service.copying import replace
from cds_service.counting import counted
from cds_service.prefetch_keys import Kind
from cds_service.screening.burden_batches import (
    BatchCounter,
    BurdenBatch,
    BurdenQuestion,
    BurdenTally,
    CountedBatch,
    CountedPatient,
    EditionTally,
    start,
    work,
)
from cds_service.screening.burden_source import BurdenSource
from cds_service.screening.changes import Change
from cds_service.screening.decisions import TRIGGER, ScreeningQuestion
from cds_service.screening.described import count_people, describe, openings_of, people_of, split
from cds_service.screening.engine import Engine, open_engine
from cds_service.screening.kept import batches_of, keep
from cds_service.screening.lines import Lines, UnreadCounts, read_lines
from cds_service.screening.openings import Openings, no_openings, read_openings
from cds_service.screening.people import Cell, SexAndAge
from cds_service.screening.prune import choose
from cds_service.screening.run import FEW, Progress, Resources, check_somebody
from cds_service.screening.views import (
    AnsweredEdition,
    CardsEdition,
    EditionPlace,
    read_answered,
)
from cds_service.screening.workers import in_processes
from cds_service.service import Knowledge

_REQUESTS_A_BATCH: Final = 40
_SHOWN: Final = 5  # patients whose changes are shown


@dataclass(frozen=True, slots=True)
class AskedEdition:
    """An edition by its name: where its cards are, or a file of answered views."""

    name: str
    place: EditionPlace | Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Burden:
    """What came of a population; `first` are the changes of a few patients.

    `openings` is `None` where the source has no encounters, or nobody can be asked about them.
    """

    patients: int
    pruned: int  # who could have no card, and were not decided about
    people: Mapping[Cell, int]
    unread: UnreadCounts
    known: frozenset[Kind]
    openings: Openings | None
    why_no_openings: str
    tally: BurdenTally
    first: Sequence[Change]


@dataclass(slots=True)
class _Read:
    """What the engine has found in the source."""

    patients: int = 0
    people: Counter[Cell] = field(default_factory=Counter)
    unread: UnreadCounts = field(default_factory=UnreadCounts)
    openings: Openings | None = None
    chosen: int = 0
    batches: int = 0


class BurdenRun:
    """One population, asked of one or two editions."""

    def __init__(
        self,
        source: BurdenSource,
        editions: Sequence[AskedEdition],
        question: BurdenQuestion,
        resources: Resources,
        progress: Progress,
    ) -> None:
        self._source = source
        self._places = [edition.place for edition in editions]
        self._editions = [_edition(edition.place, question.hook) for edition in editions]
        self._question = question
        self._resources = resources
        self._progress = progress
        self._read = _Read()

    @property
    def _decides(self) -> bool:
        """Whether every edition decides, so that it can be asked about any moment."""
        return all(isinstance(edition, CardsEdition) for edition in self._editions)

    def count(self, changes: BinaryIO | None = None) -> Burden:
        """Count everything, and write what changes; raises `RequestError`."""
        tally = BurdenTally([EditionTally() for _ in self._editions])
        first: dict[int, tuple[Change, ...]] = {}
        for batch in self._batches():
            tally.add(batch.tally)
            if changes is not None:
                changes.write(batch.lines)
            if batch.first:
                first[batch.number] = batch.first
                if len(first) > _SHOWN:
                    del first[max(first)]
        for edition in self._editions:
            if isinstance(edition, AnsweredEdition):
                edition.check()
        people = self._read.people + Counter(tally.people)
        return Burden(
            patients=self._read.patients + tally.requests,
            pruned=self._read.patients - self._read.chosen,
            people=people,
            unread=self._read.unread,
            known=self._question.known,
            openings=self._read.openings,
            why_no_openings=self._why_no_openings(),
            tally=tally,
            first=_of_few(change for number in sorted(first) for change in first[number]),
        )

    def _batches(self) -> Iterator[CountedBatch]:
        files, requests = self._source.files, self._source.requests
        if files is None:
            yield from self._counted(_of_requests(requests, 0), len(requests))
            return
        with files.held_unchanged(), TemporaryDirectory(prefix="burden-") as name:
            folder = Path(name)
            memory, threads = self._resources.memory_mb, self._resources.workers
            with open_engine(folder, memory_mb=memory, threads=threads) as engine:
                size = f"{counted(len(files.read), 'file')} ({files.size / 1e6:,.0f} MB)"
                self._progress.say(f"Reading {size}")
                lines = read_lines(engine, files, folder, with_forms=self._prunes)
                if not requests:
                    check_somebody(lines)
                self._ask(engine, lines, folder)
                yield from self._counted(self._of_both(engine), self._read.chosen + len(requests))

    def _why_no_openings(self) -> str:
        if self._read.openings is not None:
            return ""
        if self._question.hook != TRIGGER:
            return f"encounters are counted for {TRIGGER} alone"
        if not self._decides:
            return "views that were answered before are of no encounter"
        return "SOURCE has no Encounter"

    @property
    def _prunes(self) -> bool:
        return self._decides and self._question.hook == TRIGGER

    def _ask(self, engine: Engine, lines: Lines, folder: Path) -> None:
        """Choose whom to decide about, and when their charts are opened."""
        self._question = replace(self._question, known=lines.known)
        period = self._question.period
        describe(engine, lines.scan, period)
        has_encounters = bool(lines.unread.not_asked_for["Encounter"])
        if has_encounters and self._prunes:
            self._read.openings = read_openings(engine, period, folder)
        else:
            no_openings(engine)
        self._choose(engine, lines)
        self._read.patients, self._read.unread = lines.patients, lines.unread
        self._read.people = count_people(engine, self._question.day)
        self._read.chosen = engine.value("SELECT count(*) FROM chosen")
        self._progress.say(
            f"{counted(lines.patients, 'patient')}; deciding about {self._read.chosen:,}"
        )
        self._read.batches = keep(engine, lines)
        split(engine, self._read.batches)

    def _choose(self, engine: Engine, lines: Lines) -> None:
        """Make the table `chosen` of those who could have a card by any edition."""
        if not self._prunes:
            engine.run("CREATE OR REPLACE TABLE chosen AS SELECT patient FROM patient")
            return
        engine.run("CREATE OR REPLACE TABLE by_any (patient VARCHAR)")
        for edition in self._editions:
            if isinstance(edition, CardsEdition):
                self._choose_by(engine, lines, edition.knowledge)
        engine.run("CREATE OR REPLACE TABLE chosen AS SELECT DISTINCT patient FROM by_any")

    def _choose_by(self, engine: Engine, lines: Lines, knowledge: Knowledge) -> None:
        """Those who could have a card in a view, or on one of the days of their encounters."""
        asked = self._question
        days = engine.rows("SELECT DISTINCT day FROM opening ORDER BY day")
        opened = [asked.period.moment_of(day) for (day,) in days]
        for moments, cut, only in (
            (
                [moment.time for moment in asked.moments],
                any(moment.cut for moment in asked.moments),
                "",
            ),
            (opened, True, "SEMI JOIN (SELECT DISTINCT patient FROM opening) USING (patient)"),
        ):
            if moments:
                last = max(moments)
                question = ScreeningQuestion(
                    moment=last, cut=cut, known=lines.known, key=None, moments=tuple(moments)
                )
                choose(engine, lines.known, knowledge, question, lines.specimen_of)
                engine.run(f"INSERT INTO by_any SELECT patient FROM chosen {only}")

    def _of_both(self, engine: Engine) -> Iterator[BurdenBatch]:
        for batch in batches_of(engine, self._read.batches, ()):
            people = people_of(engine, batch.number, self._question.day)
            openings = openings_of(engine, batch.number)
            yield BurdenBatch(
                batch.number,
                subjects=tuple(
                    CountedPatient(
                        patient, lines, people.get(patient, SexAndAge()), openings.get(patient, ())
                    )
                    for patient, lines in batch.patients
                ),
            )
        yield from _of_requests(self._source.requests, self._read.batches)

    def _counted(self, batches: Iterator[BurdenBatch], people: int) -> Iterator[CountedBatch]:
        places = [place for place in self._places if isinstance(place, EditionPlace)]
        requests = -(-len(self._source.requests) // _REQUESTS_A_BATCH)
        count = max(1, self._read.batches + requests)
        if self._decides and people * max(1, len(self._question.moments)) > FEW:
            given = (places, self._question)
            found = in_processes(work, batches, self._resources.workers, start, given)
        else:
            found = map(BatchCounter(self._editions, self._question).count, batches)
        for number, batch in enumerate(found, start=1):
            yield batch
            self._progress.done(number, count)


def _edition(place: EditionPlace | Path, hook: str) -> CardsEdition | AnsweredEdition:
    if isinstance(place, Path):
        return read_answered(place)
    edition = CardsEdition(place.knowledge(), hook)
    edition.services()
    return edition


def _of_requests(requests: Sequence[Path], first: int) -> Iterator[BurdenBatch]:
    for place in range(0, len(requests), _REQUESTS_A_BATCH):
        part = tuple(requests[place : place + _REQUESTS_A_BATCH])
        yield BurdenBatch(first + place // _REQUESTS_A_BATCH, requests=part)


def _of_few(changes: Iterator[Change]) -> list[Change]:
    """The changes of the first few patients."""
    found: list[Change] = []
    patients: set[str] = set()
    for change in changes:
        patients.add(change["patient"])
        if len(patients) > _SHOWN:
            break
        found.append(change)
    return found
