# SPDX-License-Identifier: Apache-2.0
"""Facts about the patient from medicines, conditions and encounters: yes, no or not known.

A fact is yes if any record says so. It is no only if everything that could have made it yes was
asked for and does not; a list that was never available leaves it not known. Encounters are not
asked for: a fact that reads them is no without one.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime
from typing import TypeAlias

from msgspec import Struct

from cds_service.amounts import Ternary
from cds_service.copying import replace
from cds_service.knowledge.model.dependencies import fact_closure
from cds_service.knowledge.model.facts import Fact
from cds_service.knowledge.model.pack import Pack
from cds_service.labs.fact_finders import FactFinders, FactMatch, as_read, fact_finders
from cds_service.labs.patient import Person, all_known, any_known, meets
from cds_service.labs.patient_record import PatientRecord, Recorded


class FactAnswer(Struct, frozen=True):
    """Whether the fact is so, the names of what made it yes, and these as they were sent."""

    known: Ternary
    names: tuple[str, ...] = ()
    as_sent: tuple[str, ...] = ()


class _Entry(Struct, frozen=True):
    """A record that speaks of a fact: by what name, and when a condition was recorded."""

    name: str
    as_sent: str
    recorded: datetime | None = None


_Entries: TypeAlias = Mapping[str, list[_Entry]]  # by fact


class CompiledFacts(Struct, frozen=True):
    """The facts of a pack and what finds them, made once.

    Most facts of most patients have no entry, and then only three things decide: which lists are
    whole, and whom a fact is never for. `bare` remembers these answers by the three.
    """

    pack: Pack
    finders: FactFinders
    read_by: Mapping[str, frozenset[str]]  # by fact: itself, and those that read it
    by_class: Mapping[str, frozenset[str]]  # the same by class of encounter
    guarded: tuple[Fact, ...]  # those that are never so for some people
    bare: dict[tuple[bool, bool, frozenset[str]], Mapping[str, FactAnswer]]


class PatientFacts(Struct, frozen=True):
    """What is so of one patient.

    `taking`: whether a medicine of the fact is on the list, apart from what is being ordered now.
    `ordering`: the facts that would be yes by a medicine that is being ordered now.
    """

    known: Mapping[str, FactAnswer]
    taking: Mapping[str, Ternary]
    ordering: frozenset[str]


def compile_facts(pack: Pack) -> CompiledFacts:
    """The facts of the pack ready to be answered."""
    read_by: dict[str, set[str]] = {name: set() for name in pack.facts}
    by_class: dict[str, set[str]] = {}
    for name in pack.facts:
        for part in fact_closure([name], pack):
            read_by[part].add(name)
            for kind in pack.facts[part].encounter_classes:
                by_class.setdefault(kind, set()).add(name)
    return CompiledFacts(
        pack=pack,
        finders=fact_finders(pack),
        read_by={name: frozenset(names) for name, names in read_by.items()},
        by_class={kind: frozenset(names) for kind, names in by_class.items()},
        guarded=tuple(fact for fact in pack.facts.values() if fact.never_for),
        bare={},
    )


def facts_of(
    facts: CompiledFacts, record: PatientRecord, now: datetime, person: Person
) -> PatientFacts:
    """The answer of every fact of the pack."""
    medicines = [
        (medicine, facts.finders.medicines.found(medicine)) for medicine in record.medicines or ()
    ]
    drafts = [(draft, facts.finders.medicines.found(draft)) for draft in record.prescribing]
    conditions = [
        (condition, facts.finders.conditions.found(condition))
        for condition in record.conditions or ()
    ]
    direct = {found.fact for _, every in drafts for found in every}
    never = frozenset(
        fact.id
        for fact in facts.guarded
        if any(meets(condition, person) is True for condition in fact.never_for)
    )
    known = _answers(
        facts,
        _Reader(
            now=now,
            entries=_entries([*medicines, *drafts, *conditions]),
            whole_medicines=record.is_whole("medicines"),
            whole_conditions=record.is_whole("conditions"),
            encounters=record.encounters,
            never=never,
        ),
    )
    ordered = {draft.reference for draft in record.prescribing if draft.reference}
    taken = _answers(
        facts,
        _Reader(
            now=now,
            entries=_entries(pair for pair in medicines if pair[0].reference not in ordered),
            whole_medicines=record.is_whole("medicines"),
            whole_conditions=True,
            encounters=(),
            never=never,
        ),
    )
    return PatientFacts(
        known=known,
        taking={name: answer.known for name, answer in taken.items()},
        ordering=made_so(direct, facts.pack) if direct else frozenset(),
    )


def made_so(direct: AbstractSet[str], pack: Pack) -> frozenset[str]:
    """The facts that are so if these are: themselves, and those of which they are one part."""
    return frozenset(
        name for name in pack.facts if not direct.isdisjoint(_alternatives(name, pack))
    )


def _alternatives(name: str, pack: Pack) -> Iterator[str]:
    """The fact and every fact that implies it."""
    yield name
    for part in pack.facts[name].any_of:
        yield from _alternatives(part, pack)


def _entries(spoken: Iterable[tuple[Recorded, Iterable[FactMatch]]]) -> _Entries:
    entries: dict[str, list[_Entry]] = {}
    for record, every in spoken:
        for found in every:
            entry = _Entry(found.name, _as_sent(found, record), record.recorded)
            entries.setdefault(found.fact, []).append(entry)
    return entries


def _as_sent(found: FactMatch, record: Recorded) -> str:
    """What was sent, with the name behind it if it is not in there: `Gammavite (gammazine)`."""
    sent = found.text or next(iter(record.texts), found.name)
    return sent if as_read(found.name) in as_read(sent) else f"{sent} ({found.name})"


class _Reader(Struct, frozen=True, kw_only=True):
    """What the facts of one patient are read from."""

    now: datetime
    entries: _Entries
    whole_medicines: bool
    whole_conditions: bool
    encounters: tuple[str, ...]
    never: frozenset[str]  # the facts that are never so for this person


def _answers(facts: CompiledFacts, reader: _Reader) -> Mapping[str, FactAnswer]:
    """The answers each after its parts; those that no entry can have changed are remembered."""
    bare = _bare_answers(facts, reader)
    touched = frozenset().union(
        *(facts.read_by[name] for name in reader.entries),
        *(facts.by_class.get(kind, ()) for kind in reader.encounters),
    )
    if not touched:
        return bare
    answers = {name: answer for name, answer in bare.items() if name not in touched}
    return {name: _answer(name, facts.pack, reader, answers) for name in bare}


def _bare_answers(facts: CompiledFacts, reader: _Reader) -> Mapping[str, FactAnswer]:
    """The answers of a patient of whom nothing is on any list."""
    key = (reader.whole_medicines, reader.whole_conditions, reader.never)
    bare = facts.bare.get(key)
    if bare is None:
        nothing = replace(reader, entries={}, encounters=())
        answers: dict[str, FactAnswer] = {}
        for name in facts.pack.facts:
            _answer(name, facts.pack, nothing, answers)
        bare = facts.bare[key] = answers
    return bare


def _answer(name: str, pack: Pack, reader: _Reader, answers: dict[str, FactAnswer]) -> FactAnswer:
    if name not in answers:
        answers[name] = _answer_of(pack.facts[name], pack, reader, answers)
    return answers[name]


def _answer_of(
    fact: Fact, pack: Pack, reader: _Reader, answers: dict[str, FactAnswer]
) -> FactAnswer:
    if fact.id in reader.never:
        return FactAnswer(False)
    own = _most_telling(_own_names(fact, reader))
    known: list[Ternary] = [True] if own else list(_lists(fact, reader))
    either = [_answer(part, pack, reader, answers) for part in fact.any_of]
    known.extend(part.known for part in either)
    every = [_answer(part, pack, reader, answers) for part in fact.all_of]
    if every:
        together = all_known([part.known for part in every])
        known.append(together)
        either.extend(every if together is True else ())
    names = {name for _, name in own}.union(*(part.names for part in either))
    as_sent = {sent for sent, _ in own}.union(*(part.as_sent for part in either))
    return FactAnswer(any_known(known), tuple(sorted(names)), tuple(sorted(as_sent)))


def _lists(fact: Fact, reader: _Reader) -> Iterator[Ternary]:
    """What each list that the fact reads says if nothing on it counts."""
    if fact.medicines:
        yield False if reader.whole_medicines else None
    if fact.reads_conditions:
        yield False if reader.whole_conditions else None
    if fact.encounter_classes:
        yield False


def _own_names(fact: Fact, reader: _Reader) -> Iterator[tuple[str, str]]:
    """What makes the fact so without other facts: as it was sent, and its name."""
    ends = () if fact.ended_by is None else reader.entries.get(fact.ended_by, ())
    last_day = max((_day(end.recorded) for end in ends if end.recorded), default=None)
    for entry in reader.entries.get(fact.id, ()):
        has_ended = _has_ended(entry, last_day, is_ended=bool(ends))
        if _is_recent(entry, fact, reader.now) and not has_ended:
            yield entry.as_sent, entry.name
    yield from (
        (encounter, encounter)
        for encounter in reader.encounters
        if encounter in fact.encounter_classes
    )


def _most_telling(found: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """The pairs without names that a longer name of the same text holds."""
    by_text: dict[str, set[str]] = {}  # a list may be long; the names in one text are few
    for sent, name in found:
        by_text.setdefault(sent, set()).add(name)
    return frozenset(
        (sent, name)
        for sent, names in by_text.items()
        for name in names
        if not any(other != name and as_read(name) in as_read(other) for other in names)
    )


def _is_recent(entry: _Entry, fact: Fact, now: datetime) -> bool:
    """Whether it is young enough, in whole days; one without a date counts."""
    if fact.days is None or entry.recorded is None:
        return True
    return (now - entry.recorded).days <= fact.days


def _has_ended(entry: _Entry, last_day: date | None, *, is_ended: bool) -> bool:
    """Whether an entry that ends this one is dated on the same day or later.

    `last_day` is the last on which one is dated. Any such entry ends one without a date.
    """
    if entry.recorded is None:
        return is_ended
    return last_day is not None and last_day >= _day(entry.recorded)


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
