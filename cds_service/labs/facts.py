# SPDX-License-Identifier: Apache-2.0
"""Facts about the patient from medicines, conditions and encounters: yes, no or not known.

A fact is yes if any record says so. It is no only if everything that could have made it yes was
asked for and does not; a list that was never available leaves it not known. Encounters are not
asked for: a fact that reads them is no without one.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cds_service.amounts import Ternary
from cds_service.knowledge.model.facts import Fact
from cds_service.knowledge.model.pack import Pack
from cds_service.labs.fact_finders import FactFinders, Found, as_read
from cds_service.labs.patient import Person, all_known, any_known, meets
from cds_service.labs.patient_record import PatientRecord, Recorded


@dataclass(frozen=True, slots=True)
class FactAnswer:
    """Whether the fact is so, the names of what made it yes, and these as they were sent."""

    known: Ternary
    names: tuple[str, ...] = ()
    as_sent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    """A record that speaks of a fact: by what name, and when a condition was recorded."""

    name: str
    as_sent: str
    recorded: datetime | None = None


_Entries = Mapping[str, list[_Entry]]  # by fact


def facts_of(
    pack: Pack, finders: FactFinders, record: PatientRecord, now: datetime, person: Person
) -> dict[str, FactAnswer]:
    """The answer of every fact of the pack."""
    return _answers(_Reader(pack, record, now, person, _entries(finders, record)))


def facts_taken(
    pack: Pack, finders: FactFinders, record: PatientRecord, now: datetime, person: Person
) -> dict[str, Ternary]:
    """Whether a medicine of each fact is on the list, apart from what is being ordered now."""
    ordered = {order.reference for order in record.prescribing if order.reference}
    medicines = record.medicines
    if medicines is not None:
        medicines = tuple(one for one in medicines if one.reference not in ordered)
    only = replace(
        record,
        medicines=medicines,
        conditions=(),
        prescribing=(),
        encounters=(),
        incomplete=tuple(lack for lack in record.incomplete if lack.part == "medicines"),
    )
    answers = _answers(_Reader(pack, only, now, person, _entries(finders, only)))
    return {name: answer.known for name, answer in answers.items()}


def facts_ordered(pack: Pack, finders: FactFinders, record: PatientRecord) -> frozenset[str]:
    """The facts that would be yes by a medicine that is being ordered now."""
    direct = {one.fact for order in record.prescribing for one in finders.medicines.found(order)}
    return made_so(direct, pack) if direct else frozenset()


def made_so(direct: AbstractSet[str], pack: Pack) -> frozenset[str]:
    """The facts that are so if these are: themselves, and those of which they are one part."""
    return frozenset(
        name for name in pack.facts if not direct.isdisjoint(_alternatives(name, pack))
    )


def _alternatives(name: str, pack: Pack) -> Iterator[str]:
    """The fact and those of which one alone makes it so."""
    yield name
    for part in pack.facts[name].any_of:
        yield from _alternatives(part, pack)


def _entries(finders: FactFinders, record: PatientRecord) -> dict[str, list[_Entry]]:
    entries: dict[str, list[_Entry]] = {}

    def add(found: Iterable[Found], record: Recorded) -> None:
        for one in found:
            entry = _Entry(one.name, _as_sent(one, record), record.recorded)
            entries.setdefault(one.fact, []).append(entry)

    for medicine in (*(record.medicines or ()), *record.prescribing):
        add(finders.medicines.found(medicine), medicine)
    for condition in record.conditions or ():
        add(finders.conditions.found(condition), condition)
    return entries


def _as_sent(found: Found, record: Recorded) -> str:
    """What was sent, with the name behind it if it is not in there: `Gammavite (gammazine)`."""
    sent = found.text or next(iter(record.texts), found.name)
    return sent if as_read(found.name) in as_read(sent) else f"{sent} ({found.name})"


@dataclass(frozen=True, slots=True)
class _Reader:
    """What the facts of one patient are read from."""

    pack: Pack
    record: PatientRecord
    now: datetime
    person: Person
    entries: _Entries


def _answers(reader: _Reader) -> dict[str, FactAnswer]:
    answers: dict[str, FactAnswer] = {}
    for fact in reader.pack.facts.values():
        _answer(fact, reader, answers)
    return answers


def _answer(fact: Fact, reader: _Reader, answers: dict[str, FactAnswer]) -> FactAnswer:
    if fact.id in answers:
        return answers[fact.id]
    if any(meets(one, reader.person) is True for one in fact.never_for):
        answers[fact.id] = FactAnswer(False)
        return answers[fact.id]
    own = _most_telling(_own_names(fact, reader))
    known = [*_lists(fact, reader.record)]
    if own:
        known.append(True)
    either = [_answer(reader.pack.facts[part], reader, answers) for part in fact.any_of]
    known.extend(part.known for part in either)
    every = [_answer(reader.pack.facts[part], reader, answers) for part in fact.all_of]
    if every:
        together = all_known([part.known for part in every])
        known.append(together)
        either.extend(every if together is True else ())
    names = {name for _, name in own}.union(*(part.names for part in either))
    as_sent = {sent for sent, _ in own}.union(*(part.as_sent for part in either))
    answers[fact.id] = FactAnswer(any_known(known), tuple(sorted(names)), tuple(sorted(as_sent)))
    return answers[fact.id]


def _lists(fact: Fact, record: PatientRecord) -> Iterator[Ternary]:
    """What each list that the fact reads says if nothing on it counts."""
    if fact.medicines:
        yield False if record.is_whole("medicines") else None
    if fact.reads_conditions:
        yield False if record.is_whole("conditions") else None
    if fact.encounter_classes:
        yield False


def _own_names(fact: Fact, reader: _Reader) -> Iterator[tuple[str, str]]:
    """What makes the fact so without other facts: as it was sent, and its name."""
    for entry in reader.entries.get(fact.id, ()):
        if _is_recent(entry, fact, reader.now) and not _has_ended(entry, fact, reader.entries):
            yield entry.as_sent, entry.name
    yield from ((one, one) for one in reader.record.encounters if one in fact.encounter_classes)


def _most_telling(found: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """The pairs without names that a longer name of the same text holds."""
    pairs = frozenset(found)
    return frozenset(
        (sent, name)
        for sent, name in pairs
        if not any(
            other != name and other_sent == sent and as_read(name) in as_read(other)
            for other_sent, other in pairs
        )
    )


def _is_recent(entry: _Entry, fact: Fact, now: datetime) -> bool:
    """Whether it is young enough, in whole days; one without a date counts."""
    if fact.days is None or entry.recorded is None:
        return True
    return (now - entry.recorded).days <= fact.days


def _has_ended(entry: _Entry, fact: Fact, entries: _Entries) -> bool:
    """Whether an entry of the fact that ends this one is dated on the same day or later.

    Any such entry ends one without a date.
    """
    if fact.ended_by is None:
        return False
    ends = entries.get(fact.ended_by, ())
    if entry.recorded is None:
        return bool(ends)
    day = entry.recorded.astimezone(UTC).date()
    return any(end.recorded and end.recorded.astimezone(UTC).date() >= day for end in ends)
