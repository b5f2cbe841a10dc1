# SPDX-License-Identifier: Apache-2.0
"""Phrases to conditions: `alt: below 5 U/L` -> `Compare(...)`.

The phrases are the tables of `knowledge.reading.grammar`; the whole language is in
`docs/reference/language.md`. A phrase is read against a vocabulary, so that an unknown marker,
word or unit is a problem with a place, never a condition that is false.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from cds_service.amounts import Relation
from cds_service.knowledge.model.bounds import Number
from cds_service.knowledge.model.conditions import (
    AllOf,
    AnyOf,
    Condition,
)
from cds_service.knowledge.model.leaves import (
    AgeCompare,
    Compare,
    MeasureCompare,
)
from cds_service.knowledge.reading.forms import Kind, Phrase, read_form
from cds_service.knowledge.reading.grammar import (
    A_FACT,
    A_MEASURE,
    A_PATTERN,
    KINDS,
    ONE_MARKER,
    PHRASE_HELP,
    SEVERAL_MARKERS,
)
from cds_service.knowledge.reading.vocabulary import OF_EVERY_PACK, Vocabulary
from cds_service.sourcefile.diagnostics import Problem, nearest
from cds_service.sourcefile.document import Data, Document, Where

_DOWN = ("below", "at most")
_SEVERAL = "any of "


@dataclass(slots=True)
class Phrases:
    """Reads the conditions of one document and collects the problems."""

    document: Document
    vocabulary: Vocabulary
    problems: list[Problem] = field(default_factory=list)

    def condition(self, data: Data, where: Where) -> Condition | None:
        """The condition written at `where`; `None` after a problem was noted."""
        if isinstance(data, str):
            self.problem("K106", where, "a condition is a list of 'subject: phrase' lines")
            return None
        if not data:
            self.problem("K106", where, "a condition needs a line: 'subject: phrase'")
            return None
        if isinstance(data, list):
            return self._all(data, where)
        parts = [self._line(key, value, (*where, key)) for key, value in data.items()]
        return self._together(parts, where)

    def _all(self, items: list[Data], where: Where) -> Condition | None:
        parts = [self.condition(item, (*where, n)) for n, item in enumerate(items)]
        return self._together(parts, where)

    def _together(self, parts: list[Condition | None], where: Where) -> Condition | None:
        """All of the parts as one condition, unless one of them could not be read."""
        known = tuple(part for part in parts if part is not None)
        if len(known) != len(parts):
            return None
        self._check_order(known, where)
        return known[0] if len(known) == 1 else AllOf(known)

    def _line(self, subject: str, phrase: Data, where: Where) -> Condition | None:
        if subject in {"all", "any"}:
            if not isinstance(phrase, list) or not phrase:
                self.problem("K106", where, f"'{subject}' takes a list of conditions")
                return None
            if subject == "all":
                return self._all(phrase, where)
            parts = [self.condition(item, (*where, n)) for n, item in enumerate(phrase)]
            known = tuple(part for part in parts if part is not None)
            return AnyOf(known) if len(known) == len(parts) else None
        if not isinstance(phrase, str):
            self.problem("K106", where, f"'{subject}' takes one phrase", PHRASE_HELP)
            return None
        return self._leaf(subject, " ".join(phrase.split()), where)

    def _leaf(self, subject: str, text: str, where: Where) -> Condition | None:
        markers = _markers(subject)
        kind = self._kind_of(subject, markers, where)
        if kind is None:
            return None
        phrase = Phrase(markers, text, self.vocabulary)
        condition = read_form(kind.forms, text, phrase)
        if condition is None and not phrase.problems:
            phrase.problem("K202", f"cannot read '{text}'", _remedy(text, kind))
        for code, message, remedy in phrase.problems:
            self.problem(code, where, message, remedy)
        if isinstance(condition, AllOf):
            self._check_order(condition.parts, where)
        return condition

    def _kind_of(self, subject: str, markers: tuple[str, ...], where: Where) -> Kind | None:
        """The kind of the subject, which decides its phrases; `None` if there is no such thing."""
        words = self.vocabulary
        if subject in OF_EVERY_PACK:
            return KINDS[subject]
        if subject in words.facts:
            return KINDS[A_FACT]
        if subject in words.measures:
            return KINDS[A_MEASURE]
        if subject in words.patterns:
            return KINDS[A_PATTERN]
        for marker in markers:
            if marker not in words.markers:
                message = f"there is no marker, measure or fact '{marker}'"
                mark = self.document.key_mark(where)
                remedy = nearest(marker, words.subjects)
                self.problems.append(Problem("K201", mark, message, remedy))
                return None
        return KINDS[ONE_MARKER if len(markers) == 1 else SEVERAL_MARKERS]

    def _check_order(self, parts: tuple[Condition, ...], where: Where) -> None:
        """Refuse `below 3 and above 5`: nothing is both."""
        ends = [end for part in parts if (end := _end(part)) is not None]
        for low_of, low, how_low in ends:
            for high_of, high, how_high in ends:
                if low_of != high_of or how_low in _DOWN or how_high not in _DOWN:
                    continue
                touching = how_low == "at least" and how_high == "at most"
                if low > high or (low == high and not touching):
                    self.problem("K205", where, "no value is on both sides of these bounds")

    def problem(self, code: str, where: Where, message: str, remedy: str = "") -> None:
        """Note a problem at the value at `where`."""
        self.problems.append(Problem(code, self.document.mark(where), message, remedy))


def _remedy(text: str, kind: Kind) -> str:
    """What to write, and the word that is meant if the phrase begins with none that can."""
    first, known = text.partition(" ")[0], kind.first_words()
    hint = "" if first in known else nearest(first, known)
    return f"{kind.remedy}; {hint}".rstrip("; ")


def _markers(subject: str) -> tuple[str, ...]:
    if subject.startswith(_SEVERAL):
        return tuple(word.strip() for word in subject.removeprefix(_SEVERAL).split(","))
    return (subject,)


def _end(part: Condition) -> tuple[object, Fraction, Relation] | None:
    """What a comparison is of, its fixed bound and its relation; `None` for anything else."""
    match part:
        case Compare(markers=(marker,), relation=relation, bound=Number(amount=amount)):
            return (marker, part.earlier), amount, relation
        case MeasureCompare(measure=measure, relation=relation, bound=Number(amount=amount)):
            return measure, amount, relation
        case AgeCompare(relation=relation, months=months):
            return "age", Fraction(months), relation
        case _:
            return None
