# SPDX-License-Identifier: Apache-2.0
"""Phrases to conditions: `alt: below 5 U/L` -> `Compare(...)`.

The whole language is in `docs/reference/language.md`. A phrase is read against a vocabulary, so
that an unknown marker, word or unit is a problem with a place, never a condition that is false.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, cast

from cds_service.amounts import Relation
from cds_service.knowledge.conditions import (
    AgeCompare,
    AllOf,
    AnyOf,
    Bound,
    Compare,
    Condition,
    Earlier,
    FactIs,
    IsExact,
    LimitKind,
    MeasureCompare,
    MeasuredWith,
    NoLimit,
    Number,
    Ordering,
    OtherMethod,
    Present,
    SetAsideBecause,
    Sex,
    SexIs,
    TestedBefore,
    TimesLimit,
    TimesMarker,
)
from cds_service.knowledge.files import Data, Document, Where
from cds_service.knowledge.problems import Problem, nearest

NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_POSITIVE = r"(?=[0.]*[1-9])[0-9]+(?:\.[0-9]+)?"
_RELATION = r"below|at most|above|at least"
_LIMIT = r"(?:upper|lower|screening) limit"
_AND = re.compile(rf" and (?=(?:{_RELATION}) )")
_PART = re.compile(rf"({_RELATION}) (.+)")
_TIMES_LIMIT = re.compile(rf"(?:({_POSITIVE}) x )?({_LIMIT})")
_TIMES_MARKER = re.compile(rf"(?:({_POSITIVE}) x )?([a-z][a-z0-9-]*)")
_AMOUNT = re.compile(rf"({NUMBER})(?: (\S+))?")
_WITHIN = re.compile(r"(.+?) at the previous test within ([0-9]+) days?")
_EARLIER = re.compile(r"(.+?) at the previous test ([0-9]+) to ([0-9]+) days earlier")
_BEFORE = re.compile(r"tested before ([0-9]+) to ([0-9]+) days earlier")
_AGE = re.compile(r"(below|at least) ([0-9]+) (years?|months?)")
_NO_LIMIT = re.compile(rf"has no ({_LIMIT})")
_OTHER_METHOD = re.compile(r"measured (.+) unlike the previous test")
_MEASURED = re.compile(r"measured (.+)")
_SET_ASIDE = re.compile(r"set aside because ([a-z:-]+)")
_ORDERING = re.compile(r"([a-z][a-z0-9-]*)(?: without ([a-z][a-z0-9-]*))?")
_DOWN = ("below", "at most")
_SEXES = ("male", "female", "unknown")

PHRASE_HELP = (
    "write: below | at most | above | at least NUMBER UNIT, or ... [NUMBER x] upper limit, "
    "or present, an exact value, measured METHOD (docs/reference/language.md)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerWords:
    """What phrases may say of a marker: its units and the methods that its codes name."""

    unit: str
    factors: Mapping[str, Fraction]
    methods: frozenset[str]
    limits: frozenset[LimitKind] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Every name that a phrase may use."""

    markers: Mapping[str, MarkerWords]
    measures: frozenset[str]
    facts: frozenset[str]
    orders: frozenset[str]

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject, for suggestions in messages."""
        return (*self.markers, *self.measures, *self.facts, "age", "sex", "ordering", "any marker")


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

    def _leaf(self, subject: str, phrase: str, where: Where) -> Condition | None:
        words = self.vocabulary
        if subject == "age":
            return self._age(phrase, where)
        if subject == "sex":
            return self._sex(phrase, where)
        if subject == "ordering":
            return self._ordering(phrase, where)
        if subject == "any marker":
            match = _SET_ASIDE.fullmatch(phrase)
            return SetAsideBecause(match[1]) if match else self._unreadable(phrase, where)
        if subject in words.facts:
            if phrase in {"yes", "no", "no or not known"}:
                return FactIs(subject, phrase == "yes", phrase.endswith(" or not known"))
            return self._unreadable(phrase, where, "a fact takes yes, no, or no or not known")
        if subject in words.measures:
            return self._measure(subject, phrase, where)
        markers = _markers(subject)
        unknown = [marker for marker in markers if marker not in words.markers]
        if unknown:
            message = f"there is no marker, measure or fact '{unknown[0]}'"
            mark = self.document.key_mark(where)
            remedy = nearest(unknown[0], words.subjects)
            self.problems.append(Problem("K201", mark, message, remedy))
            return None
        if len(markers) == 1:
            special = self._of_marker(markers[0], phrase, where)
            if special is not None:
                return special
        return self._comparison(markers, phrase, where)

    def _of_marker(self, marker: str, phrase: str, where: Where) -> Condition | None:
        if phrase in {"present", "present since the index"}:
            return Present(marker, phrase != "present")
        if phrase == "an exact value":
            return IsExact(marker)
        if match := _BEFORE.fullmatch(phrase):
            earlier = Earlier(int(match[1]), int(match[2]))
            self._check_earlier(earlier, where)
            return TestedBefore(marker, earlier)
        if match := _NO_LIMIT.fullmatch(phrase):
            return NoLimit(marker, cast("LimitKind", match[1]))
        methods = self.vocabulary.markers[marker].methods
        if (match := _OTHER_METHOD.fullmatch(phrase)) and match[1] in methods:
            return OtherMethod(marker, match[1])
        if (match := _MEASURED.fullmatch(phrase)) and match[1] in methods:
            return MeasuredWith(marker, match[1])
        return None

    def _comparison(self, markers: tuple[str, ...], phrase: str, where: Where) -> Condition | None:
        earlier: Earlier | None = None
        if match := _WITHIN.fullmatch(phrase):
            phrase, earlier = match[1], Earlier(0, int(match[2]))
        elif match := _EARLIER.fullmatch(phrase):
            phrase, earlier = match[1], Earlier(int(match[2]), int(match[3]))
        pieces = [_PART.fullmatch(piece) for piece in _AND.split(phrase)]
        if any(piece is None for piece in pieces) or len(pieces) > 2:
            return self._unreadable(phrase, where)
        if len(markers) > 1 and len(pieces) > 1:  # alt could meet one bound and ast the other
            help_text = "write 'any:' with one line for each marker"
            return self._unreadable(phrase, where, help_text)
        if earlier is not None:
            self._check_earlier(earlier, where)
        found = [piece for piece in pieces if piece is not None]
        unit = self._unit_of(found[-1][2])
        parts: list[Condition | None] = []
        for piece in found:
            bound = self._bound(markers, piece[2], unit, where)
            relation = cast("Relation", piece[1])
            parts.append(None if bound is None else Compare(markers, relation, bound, earlier))
        return self._together(parts, where)

    @staticmethod
    def _unit_of(bound: str) -> str | None:
        match = _AMOUNT.fullmatch(bound)
        return match[2] if match else None

    def _bound(
        self, markers: tuple[str, ...], text: str, last_unit: str | None, where: Where
    ) -> Bound | None:
        if match := _TIMES_LIMIT.fullmatch(text):
            return self._times_limit(markers, match[1], cast("LimitKind", match[2]), where)
        if match := _AMOUNT.fullmatch(text):
            unit = match[2] or last_unit
            return self._number(markers, match[1], unit, where)
        if match := _TIMES_MARKER.fullmatch(text):
            if match[2] in self.vocabulary.markers:
                return self._times_marker(markers, match[1], match[2], where)
            message = f"there is no marker '{match[2]}'"
            self.problem("K201", where, message, nearest(match[2], self.vocabulary.markers))
            return None
        self.problem("K204", where, f"cannot read '{text}' as a number, limit or marker")
        return None

    def _times_limit(
        self, markers: tuple[str, ...], times: str | None, kind: LimitKind, where: Where
    ) -> TimesLimit | None:
        for marker in markers:
            if kind not in self.vocabulary.markers[marker].limits:
                message = f"{marker} has no {kind}, so this is never known"
                self.problem("K205", where, message, f"write '{kind}:' in its file")
                return None
        return TimesLimit(Fraction(times or 1), kind)

    def _times_marker(
        self, markers: tuple[str, ...], times: str | None, other: str, where: Where
    ) -> TimesMarker | None:
        unit = self.vocabulary.markers[other].unit
        if any(self.vocabulary.markers[marker].unit != unit for marker in markers):
            self.problem("K203", where, f"{other} has another unit, so the two do not compare")
            return None
        return TimesMarker(Fraction(times or 1), other)

    def _number(
        self, markers: tuple[str, ...], number: str, unit: str | None, where: Where
    ) -> Number | None:
        amounts = set()
        for marker in markers:
            words = self.vocabulary.markers[marker]
            factor = words.factors.get(unit) if unit else (None if words.unit else Fraction(1))
            if factor is None:
                allowed = "write one of: " + (", ".join(words.factors) or "a number without unit")
                what = f"has no unit '{unit}'" if unit else "needs a unit after the number"
                self.problem("K203", where, f"{marker} {what}", allowed)
                return None
            amounts.add(Fraction(number) * factor)
        if len(amounts) != 1:
            self.problem("K203", where, "the markers do not share this unit")
            return None
        return Number(amounts.pop(), f"{number} {unit}" if unit else number)

    def _measure(self, measure: str, phrase: str, where: Where) -> Condition | None:
        parts: list[Condition | None] = []
        for piece in _AND.split(phrase):
            match = re.fullmatch(rf"({_RELATION}) ({NUMBER})", piece)
            if match is None:
                help_text = "write: below | at most | above | at least NUMBER"
                return self._unreadable(phrase, where, help_text)
            number = Number(Fraction(match[2]), match[2])
            parts.append(MeasureCompare(measure, cast("Relation", match[1]), number))
        return self._together(parts, where)

    def _age(self, phrase: str, where: Where) -> Condition | None:
        match = _AGE.fullmatch(phrase)
        if match is None:
            help_text = "write: below N years, or at least N years (or months)"
            return self._unreadable(phrase, where, help_text)
        months = int(match[2]) * (12 if match[3].startswith("year") else 1)
        relation = cast('Literal["below", "at least"]', match[1])
        return AgeCompare(relation, months, f"{match[2]} {match[3]}")

    def _sex(self, phrase: str, where: Where) -> Condition | None:
        words = phrase.split(" or ")
        if any(word not in _SEXES for word in words):
            help_text = "write: male, female, unknown, or several joined by 'or'"
            return self._unreadable(phrase, where, help_text)
        return SexIs(cast("tuple[Sex, ...]", tuple(words)))

    def _ordering(self, phrase: str, where: Where) -> Condition | None:
        match = _ORDERING.fullmatch(phrase)
        if match is None:
            return self._unreadable(phrase, where, "write: a fact or an order of the pack")
        known = self.vocabulary.facts | self.vocabulary.orders
        for word in filter(None, match.groups()):
            if word not in known:
                message = f"there is no fact or order '{word}'"
                self.problem("K201", where, message, nearest(word, known))
                return None
        return Ordering(match[1], match[2])

    def _check_earlier(self, earlier: Earlier, where: Where) -> None:
        if earlier.least_days > earlier.most_days:
            self.problem("K205", where, "the first number of days is above the second")

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

    def _unreadable(self, phrase: str, where: Where, remedy: str = PHRASE_HELP) -> Condition | None:
        hint = ""
        if remedy == PHRASE_HELP:
            first = phrase.partition(" ")[0]
            hint = nearest(first, ("below", "at", "above", "present", "measured", "an", "has"))
        self.problem("K202", where, f"cannot read '{phrase}'", f"{remedy}; {hint}".rstrip("; "))
        return None

    def problem(self, code: str, where: Where, message: str, remedy: str = "") -> None:
        """Note a problem at the value at `where`."""
        self.problems.append(Problem(code, self.document.mark(where), message, remedy))


def _markers(subject: str) -> tuple[str, ...]:
    if subject.startswith("any of "):
        return tuple(word.strip() for word in subject.removeprefix("any of ").split(","))
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
