# SPDX-License-Identifier: Apache-2.0
"""Deciding about many patients, in processes beside the engine."""

import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from multiprocessing import get_context, parent_process
from threading import Thread, active_count
from typing import Any, TypeVar

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, Encoder

from cds_service.errors import StoreError
from cds_service.screening.decisions import Decided, ScreeningQuestion, decide_patient
from cds_service.screening.over_time import ReplayTally, decide_over_time
from cds_service.screening.people import Cell, cells_of, person_of
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import load_settings
from cds_service.sources.lines import ResourceText

_AHEAD = 2  # batches a worker has waiting, so that none of them is idle and memory stays bounded
_ENCODER = Encoder()


class _Person(Struct):
    gender: Any = None
    birthDate: Any = None  # noqa: N815 - the name on the wire


_PERSON: Decoder[_Person] = Decoder(_Person)

BatchT = TypeVar("BatchT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Batch:
    """Some patients with their resources; the number names their part of the output."""

    number: int
    patients: tuple[tuple[str, tuple[ResourceText, ...]], ...]


@dataclass(slots=True)
class DecisionTally:
    """What was decided, counted: cards by rule and severity, patients, and why some were not."""

    decided: int = 0
    with_card: int = 0
    cards: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    replay: ReplayTally = field(default_factory=ReplayTally)
    people: Counter[Cell] = field(default_factory=Counter)  # patients with a card

    def add(self, other: "DecisionTally") -> None:
        """Add what another part counted."""
        self.decided += other.decided
        self.with_card += other.with_card
        self.cards.update(other.cards)
        self.refused.update(other.refused)
        self.replay.add(other.replay)
        self.people.update(other.people)


@dataclass(frozen=True, slots=True)
class DecidedBatch:
    """The lines of one batch, in the order of its patients, and what they count."""

    number: int
    lines: bytes
    tally: DecisionTally


def decide_batch(knowledge: Knowledge, batch: Batch, question: ScreeningQuestion) -> DecidedBatch:
    """Decide about every patient of a batch."""
    tally = DecisionTally()
    written: list[bytes] = []
    day = question.day(knowledge.zone)
    for patient, lines in batch.patients:
        if question.moments:
            over_time = decide_over_time(knowledge, patient, lines, question)
            written.extend(_ENCODER.encode(row) + b"\n" for row in over_time.rows)
            _count(tally, over_time.rows, over_time.refused, decided=over_time.decided)
            tally.people.update(_cells(lines, over_time.rows, day))
            tally.replay.add(over_time.tally)
            continue
        found = decide_patient(knowledge, patient, lines, question)
        written.extend(_ENCODER.encode(row) + b"\n" for row in found.rows)
        _count(tally, found.rows, found.refused, decided=not found.refused)
        tally.people.update(_cells(lines, found.rows, day))
    return DecidedBatch(batch.number, b"".join(written), tally)


def _cells(lines: Iterable[ResourceText], rows: Sequence[Decided], day: date) -> tuple[Cell, ...]:
    """What a patient with a card is counted under on that day."""
    if not any("indicator" in row for row in rows):
        return ()
    try:
        persons = [_PERSON.decode(line.text) for line in lines if line.kind == "Patient"]
    except (DecodeError, RecursionError):
        persons = []
    gender = min(
        (person.gender for person in persons if isinstance(person.gender, str)), default=None
    )
    born = min(
        (person.birthDate for person in persons if isinstance(person.birthDate, str)), default=None
    )
    return cells_of(person_of(gender, born, day))


def _count(tally: DecisionTally, rows: Sequence[Decided], refused: str, *, decided: bool) -> None:
    shown = [row for row in rows if "indicator" in row]
    tally.refused.update([refused] if refused else [])
    tally.decided += decided
    tally.with_card += bool(shown)
    tally.cards.update((row["rule"], row["indicator"]) for row in shown)


def decide_batches(
    batches: Iterable[Batch],
    question: ScreeningQuestion,
    workers: int,
    knowledge: Knowledge,
    forked: ProcessPoolExecutor | None = None,
) -> Iterator[DecidedBatch]:
    """Decide about every batch, in any order; without workers in this process.

    `forked` are the processes of `forked_early`. Raises `StoreError` as `in_processes` does.
    """
    if workers < 1:
        for batch in batches:
            yield decide_batch(knowledge, batch, question)
        return
    work = partial(_work, question)
    if forked is None:
        yield from in_processes(work, batches, workers, _load, ())
    else:
        yield from _by_pool(forked, work, batches, workers)


@contextmanager
def forked_early(
    knowledge: Knowledge, workers: int, release: Callable[[], None]
) -> Iterator[ProcessPoolExecutor | None]:
    """Processes that have the knowledge of this one, for what is decided while the block runs.

    To be entered before the engine is opened: a process that is forked while other threads run may
    inherit their locks. `None` where there are any, or where forking is not safe. `release` is
    called in each process, for what it is not to hold.
    """
    if workers < 1 or sys.platform != "linux" or active_count() > 1:
        yield None
        return
    given = (_share, (knowledge, release))
    pool = ProcessPoolExecutor(workers, get_context("fork"), _begin, given)
    try:
        with _interrupts_held():
            pool.submit(int)  # with the first task all of them are started
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def in_processes(
    work: Callable[[BatchT], ResultT],
    batches: Iterable[BatchT],
    workers: int,
    start: Callable[..., None],
    given: tuple[object, ...],
) -> Iterator[ResultT]:
    """What `work` makes of every batch, in any order; each process begins with `start(*given)`.

    Raises `StoreError` if a process ends, for example because memory ran out.
    """
    # A process that is forked while the engine's threads run may inherit their locks.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (start, given))
    try:
        yield from _by_pool(pool, work, batches, workers)
    finally:
        pool.shutdown(cancel_futures=True)


def _by_pool(
    pool: ProcessPoolExecutor,
    work: Callable[[BatchT], ResultT],
    batches: Iterable[BatchT],
    workers: int,
) -> Iterator[ResultT]:
    try:
        yield from _in_pool(pool, work, batches, workers * _AHEAD)
    except BrokenProcessPool:
        raise StoreError("A worker process ended before it had decided.") from None


def _in_pool(
    pool: ProcessPoolExecutor,
    work: Callable[[BatchT], ResultT],
    batches: Iterable[BatchT],
    most: int,
) -> Iterator[ResultT]:
    waiting: set[Future[ResultT]] = set()
    for batch in batches:
        with _interrupts_held():
            waiting.add(pool.submit(work, batch))
        while len(waiting) >= most:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in done)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach before they can end without a word."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(start: Callable[..., None], given: tuple[object, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    Thread(target=_end_with_parent, daemon=True).start()
    start(*given)


_here: list[Knowledge] = []


def _load() -> None:
    _here[:] = [load_knowledge(load_settings())]


def _share(knowledge: Knowledge, release: Callable[[], None]) -> None:
    release()
    gc.freeze()  # what is shared stays so: the collector would write to each of its pages
    _here[:] = [knowledge]


def _end_with_parent() -> None:
    # A parent that is killed tells nobody, and its workers would wait for ever.
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(question: ScreeningQuestion, batch: Batch) -> DecidedBatch:
    return decide_batch(_here[0], batch, question)
