# SPDX-License-Identifier: Apache-2.0
"""`orders/*.yaml`, `measures/*.yaml` and `patterns/*.yaml` -> orders, measures and patterns."""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Literal, cast

from cds_service.knowledge.model.bounds import Earlier
from cds_service.knowledge.model.code_systems import LOINC, SNOMED, Code
from cds_service.knowledge.model.formulas import Formula, Input, read_formula
from cds_service.knowledge.model.pack import (
    Measure,
    NotComputed,
    Order,
    Pattern,
    Reading,
    Reason,
)
from cds_service.knowledge.reading.phrases import Phrases
from cds_service.knowledge.reading.schemas import (
    MeasureShape,
    OrderShape,
    PatternShape,
)
from cds_service.knowledge.reading.vocabulary import COUNT, NUMBER
from cds_service.sourcefile.diagnostics import nearest
from cds_service.sourcefile.document import Data, Where

_EARLIER = re.compile(rf"({COUNT}) to ({COUNT}) days earlier")
_CALLED = re.compile(rf"(at least|above) ({NUMBER})")
_DAYS = re.compile(rf"({COUNT}) days?")
_WORD = re.compile(r"[a-z0-9:.-]+")  # a reason is a word, so that it can be counted and logged
_AGE = "age"


def read_order(shape: OrderShape, reader: Phrases) -> Order:
    """The order; problems are noted in the reader."""
    answers = {
        "answered by": shape.answered_by,
        "unless the index also by": shape.unless_the_index_also_by,
    }
    for key, markers in answers.items():
        for n, marker in enumerate(markers):
            if marker not in reader.vocabulary.markers:
                remedy = nearest(marker, reader.vocabulary.markers)
                reader.problem("K301", (key, n), f"there is no marker '{marker}'", remedy)
    if not shape.code.loinc:
        reader.problem("K105", ("code",), "an order has a LOINC code: 'loinc: CODE'")
    return Order(
        id=shape.id,
        title=shape.title,
        code=Code(system=LOINC, code=shape.code.loinc or "", name=shape.code.name),
        text=shape.text,
        instruction=shape.instruction,
        note=shape.note,
        equivalents=frozenset((LOINC, code) for code in shape.counts_as_ordered),
        answered_by=tuple(shape.answered_by),
        answered_beside_index=tuple(shape.unless_the_index_also_by),
        resulted_days=read_days(shape.resulted_within, ("resulted within",), reader),
        category=(
            Code(system=SNOMED, code=shape.category.snomed, name=shape.category.name)
            if shape.category is not None
            else None
        ),
    )


def read_days(text: str | None, where: Where, reader: Phrases) -> int | None:
    """The number of `90 days`; `None` for no text, and after a problem was noted."""
    match = _DAYS.fullmatch(text) if text is not None else None
    if text is not None and match is None:
        reader.problem("K202", where, f"cannot read '{text}'", "write for example: 90 days")
    return int(match[1]) if match else None


def read_measure(shape: MeasureShape, reader: Phrases) -> Measure | None:
    """The measure, or `None` after its problems were noted."""
    before = len(reader.problems)
    formula = _formula(shape, reader)
    earlier = _previous_test(shape, formula, reader)
    not_computed = tuple(
        NotComputed(when=reason.when, because=reason.because)
        for reason in read_reasons(shape.not_computed, ("not computed",), reader)
    )
    if shape.about not in reader.vocabulary.markers:
        reader.problem("K301", ("about",), f"there is no marker '{shape.about}'")
    readings = tuple(_reading(line, ("called", n), reader) for n, line in enumerate(shape.called))
    if formula is None or len(reader.problems) > before:
        return None
    return Measure(
        id=shape.id,
        title=shape.title,
        about=shape.about,
        formula=formula,
        earlier=earlier,
        decimals=int(shape.decimals),
        not_computed=not_computed,
        readings=readings,
    )


def read_pattern(shape: PatternShape, reader: Phrases) -> Pattern | None:
    """The pattern, or `None` after its problems were noted."""
    if shape.about not in reader.vocabulary.markers:
        remedy = nearest(shape.about, reader.vocabulary.markers)
        reader.problem("K301", ("about",), f"there is no marker '{shape.about}'", remedy)
    when = reader.condition(shape.when, ("when",))
    if when is None:
        return None
    return Pattern(id=shape.id, title=shape.title, about=shape.about, when=when)


def _formula(shape: MeasureShape, reader: Phrases) -> Formula | None:
    try:
        formula = read_formula(shape.formula)
    except ValueError as error:
        reader.problem("K206", ("formula",), str(error))
        return None
    for item in formula.inputs:
        if item.marker not in {*reader.vocabulary.markers, _AGE}:
            remedy = nearest(item.marker, reader.vocabulary.markers)
            reader.problem("K206", ("formula",), f"there is no marker '{item.marker}'", remedy)
        elif item.marker == _AGE and item.part != "value":
            reader.problem("K206", ("formula",), f"age has no {item.part}")
        elif item.part == "previous" and item.marker != shape.about:
            message = f"only {shape.about}, which the measure is about, has a previous test"
            reader.problem("K206", ("formula",), message)
    return formula


def _previous_test(shape: MeasureShape, formula: Formula | None, reader: Phrases) -> Earlier | None:
    """Which earlier test the formula reads; said if, and only if, it reads one."""
    asked = formula is not None and any(
        item == Input(shape.about, "previous") for item in formula.inputs
    )
    if shape.previous_test is None:
        if asked:
            help_text = "write 'previous test: 1 to 180 days earlier'"
            reader.problem("K206", ("formula",), "it is not said which previous test", help_text)
        return None
    if formula is not None and not asked:
        reader.problem("K206", ("previous test",), "the formula reads no previous test")
    match = _EARLIER.fullmatch(shape.previous_test)
    if match is None or int(match[1]) > int(match[2]):
        help_text = "write 'N to N days earlier', the smaller number first"
        reader.problem("K202", ("previous test",), "cannot read this distance", help_text)
        return None
    return Earlier(int(match[1]), int(match[2]))


def _reading(line: dict[str, Data], where: Where, reader: Phrases) -> Reading:
    if len(line) == 1:
        ((bound, called),) = line.items()
        if bound == "otherwise":
            return Reading(relation="otherwise", bound=Fraction(0), called=str(called))
        if match := _CALLED.fullmatch(bound):
            relation = cast('Literal["at least", "above"]', match[1])
            return Reading(relation=relation, bound=Fraction(match[2]), called=str(called))
    help_text = "write 'at least NUMBER: word', 'above NUMBER: word' or 'otherwise: word'"
    reader.problem("K202", where, "cannot read this line", help_text)
    return Reading(relation="otherwise", bound=Fraction(0), called="")


def read_reasons(lines: list[dict[str, Data]], where: Where, reader: Phrases) -> tuple[Reason, ...]:
    """Conditions that each carry `because: word`."""
    return tuple(
        reason for n, line in enumerate(lines) for reason in read_reason(line, (*where, n), reader)
    )


def read_reason(line: dict[str, Data], where: Where, reader: Phrases) -> Iterator[Reason]:
    """The condition of one line with its reason, or nothing after a problem was noted."""
    because = line.get("because")
    words = {key: value for key, value in line.items() if key != "because"}
    if not isinstance(because, str) or not _WORD.fullmatch(because) or not words:
        help_text = "write the condition and 'because: word'"
        reader.problem("K105", where, "each line needs a condition and a reason", help_text)
        return
    when = reader.condition(words, where)
    if when is not None:
        yield Reason(when=when, because=because)
