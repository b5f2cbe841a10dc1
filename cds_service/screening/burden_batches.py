# SPDX-License-Identifier: Apache-2.0
"""A batch of patients or of hook requests -> the counts of each edition, and what changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from msgspec.json import Encoder

from cds_service.errors import CdsServiceError, RequestError
from cds_service.fhir.resources import Patient
from cds_service.intake.patient_input import PatientInput
from cds_service.prefetch_keys import Kind
from cds_service.screening.burden_tally import ViewTally, add_to
from cds_service.screening.changes import Change, ChangeTally, changes_of
from cds_service.screening.openings import DaySpan, Opening
from cds_service.screening.people import Cell, SexAndAge, cells_of, person_of
from cds_service.screening.privacy import name_of
from cds_service.screening.views import CardsEdition, Edition, EditionPlace, ViewMoment
from cds_service.sources.file import inputs_from_document, read_resources
from cds_service.sources.lines import ResourceText, input_from_lines

_FIRST = 5  # changed patients of a batch that are kept to be shown
_ENCODER = Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class BurdenQuestion:
    """What is asked about every patient: the views, and the days on which charts are opened.

    `known` holds the kinds that the source has for anybody; `key` hashes ids, `None` leaves them.
    """

    hook: str
    moments: tuple[ViewMoment, ...]
    period: DaySpan
    known: frozenset[Kind]
    key: str | None

    @property
    def day(self) -> date:
        """The day that ages are counted on."""
        return self.period.last


@dataclass(frozen=True, slots=True)
class CountedPatient:
    """A patient of the engine: the resources, and the days on which the chart is opened."""

    id: str
    lines: tuple[ResourceText, ...]
    person: SexAndAge
    openings: tuple[Opening, ...]


@dataclass(frozen=True, slots=True)
class BurdenBatch:
    """Some patients, or files of hook requests; its number gives it its place in the output."""

    number: int
    subjects: tuple[CountedPatient, ...] = ()
    requests: tuple[Path, ...] = ()


@dataclass(slots=True)
class EditionTally:
    """What one edition shows: in the views of all patients, and where charts were opened."""

    views: ViewTally = field(default_factory=ViewTally)
    openings: ViewTally = field(default_factory=ViewTally)


@dataclass(slots=True)
class BurdenTally:
    """The counts of each edition and of what changes; `asked` counts the people of requests."""

    editions: list[EditionTally]
    changes: ChangeTally = field(default_factory=ChangeTally)
    requests: int = 0
    people: dict[Cell, int] = field(default_factory=dict)

    def add(self, other: "BurdenTally") -> None:
        """Add what another part counted."""
        for edition, more in zip(self.editions, other.editions, strict=True):
            edition.views.add(more.views)
            edition.openings.add(more.openings)
        self.changes.add(other.changes)
        add_to(self, other, ("requests",), ())
        for cell, count in other.people.items():
            self.people[cell] = self.people.get(cell, 0) + count


@dataclass(frozen=True, slots=True)
class CountedBatch:
    """The counts of a batch, its changes as lines, and the changes of its first patients."""

    number: int
    tally: BurdenTally
    lines: bytes
    first: tuple[Change, ...]


class BatchCounter:
    """Counts batches with these editions; two are also compared."""

    def __init__(self, editions: Sequence[Edition], question: BurdenQuestion) -> None:
        self._editions = editions
        self._question = question

    def count(self, batch: BurdenBatch) -> CountedBatch:
        """Count a batch."""
        tally = BurdenTally([EditionTally() for _ in self._editions])
        found: list[list[Change]] = []
        for subject in batch.subjects:
            given = input_from_lines(
                subject.id.rpartition("/")[2], subject.lines, self._question.known
            )
            found.append(self._count(tally, subject.id, given, subject.person, subject.openings))
        for path in batch.requests:
            found.extend(self._count_request(tally, path))
        changed = [changes for changes in found if changes]
        return CountedBatch(
            batch.number,
            tally,
            b"".join(_ENCODER.encode(change) + b"\n" for changes in changed for change in changes),
            tuple(change for changes in changed[:_FIRST] for change in changes),
        )

    def _count_request(self, tally: BurdenTally, path: Path) -> list[list[Change]]:
        try:
            inputs = inputs_from_document(read_resources(path.read_bytes()))
        except CdsServiceError as error:
            raise RequestError(f"{path.name}: {error}") from None
        found = []
        for given in inputs:
            patient = next(
                (entry.resource for entry in given.entries if isinstance(entry.resource, Patient)),
                None,
            )
            person = SexAndAge()
            if patient is not None:
                person = person_of(patient.gender, patient.birth_date, self._question.day)
            tally.requests += 1
            for cell in cells_of(person):
                tally.people[cell] = tally.people.get(cell, 0) + 1
            found.append(self._count(tally, given.patient_id or path.stem, given, person, ()))
        return found

    def _count(
        self,
        tally: BurdenTally,
        patient: str,
        given: PatientInput,
        person: SexAndAge,
        openings: Sequence[Opening],
    ) -> list[Change]:
        asked = self._question
        cells = cells_of(person)
        opened = [ViewMoment(asked.period.moment_of(opening.day), cut=True) for opening in openings]
        views = []
        for edition, counts in zip(self._editions, tally.editions, strict=True):
            views.append(edition.views(patient, given, asked.moments))
            counts.views.count(views[-1], [cells] * len(asked.moments))
            if opened:
                found = edition.views(patient, given, opened)
                wards = [(*cells, ("ward", opening.ward)) for opening in openings]
                counts.openings.count(found, wards)
                for opening, view in zip(openings, found, strict=True):
                    counts.openings.days[opening.day] += len(view.cards)
        if len(views) == 1:
            return []
        changes = changes_of(name_of(patient, asked.key), asked.moments, *views)
        tally.changes.count(changes)
        return changes


_started: dict[str, Callable[[BurdenBatch], CountedBatch]] = {}


def start(places: Sequence[EditionPlace], question: BurdenQuestion) -> None:
    """Make a process ready to count."""
    editions = [CardsEdition(place.knowledge(), question.hook) for place in places]
    _started["count"] = BatchCounter(editions, question).count


def work(batch: BurdenBatch) -> CountedBatch:
    """Count a batch in a process that was started."""
    return _started["count"](batch)
