# SPDX-License-Identifier: Apache-2.0
"""`facts/*.yaml` -> facts."""

from collections.abc import Iterator

from cds_service.knowledge.model.code_systems import ICD_10_CM, RXNORM, SNOMED, Code
from cds_service.knowledge.model.conditions import (
    Condition,
    leaves,
)
from cds_service.knowledge.model.facts import CodeMatch, DenyingWords, Fact, Medicine
from cds_service.knowledge.model.leaves import (
    AgeCompare,
    SexIs,
)
from cds_service.knowledge.reading.orders_measures_patterns import read_days
from cds_service.knowledge.reading.phrases import Phrases
from cds_service.knowledge.reading.schemas import (
    ConditionCodeShape,
    FactShape,
    MedicineShape,
)
from cds_service.sourcefile.diagnostics import nearest
from cds_service.sourcefile.document import Where

_OF_THE_PROBLEM_LIST = "is for a fact with conditions"


def read_fact(shape: FactShape, reader: Phrases) -> Fact:
    """The fact; problems are noted in the reader."""
    _check_names(shape, reader)
    _check_parts(shape, reader)
    return Fact(
        id=shape.id,
        title=shape.title,
        medicines=tuple(_medicine(medicine) for medicine in shape.medicines),
        conditions=tuple(
            _condition_code(code, ("conditions", n), reader)
            for n, code in enumerate(shape.conditions)
        ),
        but_not=tuple(
            _condition_code(code, ("but not", n), reader) for n, code in enumerate(shape.but_not)
        ),
        condition_names=tuple(shape.condition_names),
        denied=DenyingWords(
            before=tuple(shape.denied_before), anywhere=tuple(shape.denied_anywhere)
        ),
        not_denied_by=tuple(shape.not_denied_by),
        not_denied_inside=tuple(shape.not_denied_inside),
        days=read_days(shape.no_older_than, ("no older than",), reader),
        ended_by=shape.ended_by,
        any_of=tuple(shape.any_of),
        all_of=tuple(shape.all_of),
        never_for=tuple(_never_for(shape, reader)),
        encounter_classes=tuple(shape.encounter_classes),
    )


def _check_names(shape: FactShape, reader: Phrases) -> None:
    """Every fact that it names is one."""
    named = {"any of": shape.any_of, "all of": shape.all_of}
    places: list[tuple[Where, str]] = [
        ((key, n), other) for key, others in named.items() for n, other in enumerate(others)
    ]
    if shape.ended_by is not None:
        places.append((("ended by",), shape.ended_by))
    known = reader.vocabulary.facts
    for where, other in places:
        if other not in known:
            reader.problem("K301", where, f"there is no fact '{other}'", nearest(other, known))


def _check_parts(shape: FactShape, reader: Phrases) -> None:
    """Something can make it so, and nothing stands there that has no effect."""
    codes_or_words = bool(shape.conditions or shape.condition_names)
    sources = (shape.medicines, codes_or_words, shape.any_of, shape.all_of, shape.encounter_classes)
    if not any(sources):
        message = "a fact needs medicines, conditions, encounter classes, 'any of' or 'all of'"
        reader.problem("K105", (), message)
    of_conditions = {
        "but not": shape.but_not,
        "no older than": shape.no_older_than,
        "ended by": shape.ended_by,
    }
    for key, value in of_conditions.items():
        if value and not codes_or_words:
            reader.problem("K106", (key,), f"'{key}' {_OF_THE_PROBLEM_LIST}")
    of_words = {
        "denied before": shape.denied_before,
        "denied anywhere": shape.denied_anywhere,
        "not denied by": shape.not_denied_by,
        "not denied inside": shape.not_denied_inside,
    }
    for key, words in of_words.items():
        if words and not shape.condition_names:
            reader.problem("K106", (key,), f"'{key}' is for a fact with 'condition names'")


def _never_for(shape: FactShape, reader: Phrases) -> Iterator[Condition]:
    for n, line in enumerate(shape.never_for):
        where: Where = ("never for", n)
        condition = reader.condition(line, where)
        if condition is None:
            continue
        if all(isinstance(leaf, AgeCompare | SexIs) for leaf in leaves(condition)):
            yield condition
        else:
            reader.problem("K202", where, "a fact is never for people by their age or sex only")


def _medicine(shape: MedicineShape) -> Medicine:
    codes = [*shape.rxnorm, *shape.products]
    return Medicine(
        name=shape.name,
        codes=tuple(Code(system=RXNORM, code=code, name=shape.name) for code in codes),
        also_named=tuple(shape.also_named),
    )


def _condition_code(shape: ConditionCodeShape, where: Where, reader: Phrases) -> CodeMatch:
    if (shape.snomed is None) == (shape.icd_10_cm is None):
        reader.problem("K106", where, "write either 'snomed: CODE' or 'icd-10-cm: CODE'")
    if shape.snomed is not None and shape.and_below:
        reader.problem("K106", where, "'and below' is for ICD-10-CM, where a code is its own tree")
    system, code = (SNOMED, shape.snomed) if shape.snomed else (ICD_10_CM, shape.icd_10_cm)
    return CodeMatch(
        code=Code(system=system, code=code or "", name=shape.name),
        below=shape.and_below is not None,
    )
