# SPDX-License-Identifier: Apache-2.0
"""Facts about the patient from active medicines and conditions: yes, no or not known.

A fact is yes if any record says so. It is no only if everything that could have made it yes was
asked for and does not; a list that was never available leaves it not known.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cds_service.amounts import Ternary
from cds_service.knowledge.model.code_systems import ICD_10_CM, SNOMED
from cds_service.knowledge.model.dependencies import fact_closure
from cds_service.knowledge.model.pack import Fact, Pack
from cds_service.labs.patient import any_known
from cds_service.labs.patient_record import PatientRecord, Recorded

# Words by which a text says that something is not so, or is another's: it then says nothing here.
_DENIED = re.compile(
    r"\b(?:no|not|non|without|denies|denied|negative|excluded|ruled? out|family|mother|father)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class FactAnswer:
    """Whether the fact is so, and the names of what made it yes."""

    known: Ternary
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finder:
    """Which facts a coded record speaks of: by code, by the tree below a code, by name in text."""

    codes: Mapping[tuple[str, str], tuple[tuple[str, str], ...]]  # code -> (fact, name)
    trees: tuple[tuple[str, str, str], ...]  # (code begins with, fact, name), ICD-10-CM
    words: re.Pattern[str] | None  # over casefolded text
    named: Mapping[str, tuple[tuple[str, str], ...]]  # casefolded name -> (fact, name)

    def found(self, record: Recorded, *, text_only_without_codes: bool) -> set[tuple[str, str]]:
        """The (fact, name) pairs that the record makes yes."""
        pairs: set[tuple[str, str]] = set()
        for code in record.codes:
            pairs.update(self.codes.get(code, ()))
            if code[0] == ICD_10_CM:
                pairs.update((f, name) for tree, f, name in self.trees if code[1].startswith(tree))
        if self.words is not None and not (text_only_without_codes and _is_coded(record)):
            for text in record.texts:
                if _DENIED.search(text) and text_only_without_codes:
                    continue
                for match in self.words.finditer(text.casefold()):
                    pairs.update(self.named[match[0]])
        return pairs


@dataclass(frozen=True, slots=True)
class FactFinders:
    """The finders of a pack, made once."""

    medicines: Finder
    conditions: Finder


def _is_coded(record: Recorded) -> bool:
    """Whether a code says what the record means; a local code leaves that to its text."""
    return any(system in {SNOMED, ICD_10_CM} for system, _ in record.codes)


def fact_finders(pack: Pack) -> FactFinders:
    """Make the look-up tables of every fact of the pack."""
    medicine_codes: list[tuple[tuple[str, str], str, str]] = []
    medicine_names: list[tuple[str, str, str]] = []
    condition_codes: list[tuple[tuple[str, str], str, str]] = []
    condition_names: list[tuple[str, str, str]] = []
    trees: list[tuple[str, str, str]] = []
    for fact in pack.facts.values():
        for medicine in fact.medicines:
            medicine_codes.extend(
                ((code.system, code.code), fact.id, medicine.name) for code in medicine.codes
            )
            medicine_names.extend(
                (name, fact.id, medicine.name) for name in (medicine.name, *medicine.also_named)
            )
        for match in fact.conditions:
            code = match.code
            condition_codes.append(((code.system, code.code), fact.id, code.name))
            if match.below:
                trees.append((code.code, fact.id, code.name))
        condition_names.extend((name, fact.id, name) for name in fact.condition_names)
    return FactFinders(
        medicines=_finder(medicine_codes, [], medicine_names),
        conditions=_finder(condition_codes, trees, condition_names),
    )


def facts_of(pack: Pack, finders: FactFinders, record: PatientRecord) -> dict[str, FactAnswer]:
    """The answer of every fact of the pack."""
    names: dict[str, set[str]] = {}
    for medicine in (*(record.medicines or ()), *record.prescribing):
        for fact, name in finders.medicines.found(medicine, text_only_without_codes=False):
            names.setdefault(fact, set()).add(name)
    for condition in record.conditions or ():
        for fact, name in finders.conditions.found(condition, text_only_without_codes=True):
            names.setdefault(fact, set()).add(name)
    answers: dict[str, FactAnswer] = {}
    for each in pack.facts.values():
        _answer(each, pack, record, names, answers)
    return answers


def facts_ordered(pack: Pack, finders: FactFinders, record: PatientRecord) -> frozenset[str]:
    """The facts that would be yes by a medicine that is being ordered now."""
    direct = {
        fact
        for order in record.prescribing
        for fact, _ in finders.medicines.found(order, text_only_without_codes=False)
    }
    if not direct:
        return frozenset()
    return frozenset(
        name for name in pack.facts if not direct.isdisjoint(fact_closure([name], pack))
    )


def _answer(
    fact: Fact,
    pack: Pack,
    record: PatientRecord,
    names: Mapping[str, set[str]],
    answers: dict[str, FactAnswer],
) -> FactAnswer:
    if fact.id in answers:
        return answers[fact.id]
    own = names.get(fact.id, set())
    known: list[Ternary] = []
    if fact.medicines:
        known.append(False if record.is_whole("medicines") else None)
    if fact.conditions or fact.condition_names:
        known.append(False if record.is_whole("conditions") else None)
    if own:
        known.append(True)
    parts = [_answer(pack.facts[part], pack, record, names, answers) for part in fact.any_of]
    known.extend(part.known for part in parts)
    all_names = own.union(*(part.names for part in parts))
    answers[fact.id] = FactAnswer(any_known(known), tuple(sorted(all_names)))
    return answers[fact.id]


def _finder(
    codes: Iterable[tuple[tuple[str, str], str, str]],
    trees: Iterable[tuple[str, str, str]],
    names: Iterable[tuple[str, str, str]],
) -> Finder:
    by_code: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
    for code, fact, name in codes:
        by_code[code] = (*by_code.get(code, ()), (fact, name))
    by_name: dict[str, tuple[tuple[str, str], ...]] = {}
    for word, fact, name in names:
        folded = word.casefold()
        by_name[folded] = (*by_name.get(folded, ()), (fact, name))
    # the longest name first, so that "carbidopa/levodopa" is not read as "carbidopa" alone
    ordered = sorted(by_name, key=len, reverse=True)
    alternatives = "|".join(re.escape(word) for word in ordered)
    pattern = rf"(?<!\w)(?:{alternatives})(?!\w)"
    words = re.compile(pattern) if ordered else None
    return Finder(by_code, tuple(trees), words, by_name)
