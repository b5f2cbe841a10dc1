# SPDX-License-Identifier: Apache-2.0
"""The phrases of the language: for each, how it is written, when it is true, what it becomes.

`KINDS` holds the phrases by the kind of subject that they follow, `BOUNDS` what a result may be
compared with. `knowledge.reading.phrases` reads by these tables and by nothing else, and
`docs/reference/language.md` prints them.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import Final, Literal, cast

from cds_service.amounts import Relation
from cds_service.knowledge.model.bounds import (
    Earlier,
    Number,
)
from cds_service.knowledge.model.conditions import (
    AllOf,
    Condition,
    PatternIs,
)
from cds_service.knowledge.model.leaves import (
    AgeCompare,
    Compare,
    FactIs,
    HasUnusedData,
    IndexAge,
    IsExact,
    MeasureCompare,
    MeasuredWith,
    NoLimit,
    Ordering,
    OtherMethod,
    Present,
    PresentBeforeNow,
    SameMethod,
    SetAsideBecause,
    Sex,
    SexIs,
    Taking,
    TestedBefore,
)
from cds_service.knowledge.reading.bound_forms import AMOUNT, BOUNDS, earlier
from cds_service.knowledge.reading.forms import Kind, Phrase, PhraseForm, read_form
from cds_service.sourcefile.diagnostics import nearest

_MONTHS_A_YEAR = 12
ONE_MARKER: Final = "a marker"
SEVERAL_MARKERS: Final = "several markers"
A_MEASURE: Final = "a measure"
A_FACT: Final = "a fact"
A_PATTERN: Final = "a pattern"


def _compare(phrase: Phrase, *comparison: str | None) -> Condition | None:
    return _comparison(phrase, comparison, None)


def _compare_within(phrase: Phrase, *words: str) -> Condition | None:
    *comparison, days = words
    return _comparison(phrase, comparison, Earlier(0, int(days)))


def _compare_earlier(phrase: Phrase, *words: str) -> Condition | None:
    *comparison, least, most = words
    return _comparison(phrase, comparison, earlier(phrase, least, most))


def _compare_near(phrase: Phrase, *words: str) -> Condition | None:
    *comparison, hours = words
    return _comparison(phrase, comparison, None, int(hours))


def _comparison(
    phrase: Phrase,
    words: Sequence[str | None],
    earlier: Earlier | None,
    within_hours: int | None = None,
) -> Condition | None:
    """The comparisons with one or two bounds; `words` are relation, bound, relation, bound."""
    written = [word for word in words if word is not None]
    pairs = list(zip(written[::2], written[1::2], strict=True))
    if len(phrase.subject) > 1 and len(pairs) > 1:  # one marker could meet one, another the other
        remedy = "write 'any:' with one line for each marker"
        phrase.problem("K202", f"cannot read '{phrase.text}'", remedy)
        return None
    last_number = AMOUNT.pattern.fullmatch(pairs[-1][1])
    unit = last_number[2] if last_number else None
    parts: list[Condition] = []
    for relation, text in pairs:
        before = len(phrase.problems)
        bound = read_form(BOUNDS, text, phrase, unit)
        if bound is not None:
            parts.append(
                Compare(phrase.subject, cast("Relation", relation), bound, earlier, within_hours)
            )
        elif len(phrase.problems) == before:
            phrase.problem("K204", f"cannot read '{text}' as a number, limit or marker")
    return _both(parts) if len(parts) == len(pairs) else None


def _both(parts: list[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _measured(phrase: Phrase, method: str) -> Condition | None:
    (marker,) = phrase.subject
    known = method in phrase.words.markers[marker].methods
    return MeasuredWith(marker, method) if known else None


def _other_method(phrase: Phrase, method: str, least: str, most: str) -> Condition | None:
    (marker,) = phrase.subject
    known = method in phrase.words.markers[marker].methods
    return OtherMethod(marker, method, earlier(phrase, least, most)) if known else None


def _tested_before(phrase: Phrase, least: str, most: str) -> Condition:
    return TestedBefore(phrase.subject[0], earlier(phrase, least, most))


def _pattern(phrase: Phrase, *, answer: bool, or_unknown: bool = False) -> Condition:
    (name,) = phrase.subject
    return PatternIs(name, phrase.words.patterns[name], answer, or_unknown)


def _measure(
    phrase: Phrase,
    relation: Relation,
    number: str,
    second_relation: Relation | None,
    second: str | None,
) -> Condition:
    (measure,) = phrase.subject
    parts: list[Condition] = [MeasureCompare(measure, relation, Number(Fraction(number), number))]
    if second_relation is not None and second is not None:
        bound = Number(Fraction(second), second)
        parts.append(MeasureCompare(measure, second_relation, bound))
    return _both(parts)


def _age(relation: Literal["below", "at least"], age: str) -> Condition:
    number, unit = age.split()
    months = int(number) * (_MONTHS_A_YEAR if unit.startswith("year") else 1)
    return AgeCompare(relation, months, age)


def _sex(_phrase: Phrase, sexes: str) -> Condition:
    return SexIs(cast("tuple[Sex, ...]", tuple(sexes.split(" or "))))


def _ordering(phrase: Phrase, requested: str, without: str | None = None) -> Condition | None:
    known = phrase.words.facts | phrase.words.orders
    named = all(_is(phrase, "fact or order", name, known) for name in (requested, without) if name)
    return Ordering(requested, without) if named else None


def _taking(phrase: Phrase, fact: str) -> Condition | None:
    return Taking(fact) if _is(phrase, "fact", fact, phrase.words.facts) else None


def _is(phrase: Phrase, kind: str, name: str, known: frozenset[str]) -> bool:
    if name not in known:
        phrase.problem("K201", f"there is no {kind} '{name}'", nearest(name, known))
    return name in known


# In this order: a bound of the last form would take in `at the previous test ...`.
_COMPARISONS: Final[tuple[PhraseForm[Condition], ...]] = (
    PhraseForm(
        "RELATION BOUND [and RELATION BOUND] at the previous test within DAYS",
        "the previous test was at most so many days before the index and stands so to the bound;"
        " a limit is that of the index",
        _compare_within,
    ),
    PhraseForm(
        "RELATION BOUND [and RELATION BOUND] at the previous test N to N days earlier",
        "the same of the last test that is at least so many days older than the index, if it is"
        " not more than the second number of days older",
        _compare_earlier,
    ),
    PhraseForm(
        "RELATION BOUND [and RELATION BOUND] within N hours of the index",
        "the result is that near to the index and stands so to the bound",
        _compare_near,
    ),
    PhraseForm(
        "RELATION BOUND [and RELATION BOUND]",
        "the result stands so to the bound; one that came with `<` or `>` is a range of possible"
        " values, and the answer is known only if all of them agree",
        _compare,
    ),
)
_OF_ONE_MARKER: Final[tuple[PhraseForm[Condition], ...]] = (
    PhraseForm(
        "present",
        "a usable result lies in the marker's window around the index",
        lambda phrase: Present(phrase.subject[0]),
    ),
    PhraseForm(
        "present since the index",
        "there is a usable result later than the draw of the index",
        lambda phrase: Present(phrase.subject[0], since_index=True),
    ),
    PhraseForm(
        "present within N days before now",
        "there is a final result of these days, wherever the index is",
        lambda phrase, days: PresentBeforeNow(phrase.subject[0], int(days)),
    ),
    PhraseForm(
        "an exact value within N days before now",
        "the same, of a result without a comparator",
        lambda phrase, days: PresentBeforeNow(phrase.subject[0], int(days), exact=True),
    ),
    PhraseForm(
        "an exact value",
        "the result has no comparator such as `<`",
        lambda phrase: IsExact(phrase.subject[0]),
    ),
    PhraseForm(
        "tested before N to N days earlier",
        "there is such a previous test",
        _tested_before,
    ),
    PhraseForm(
        "measured as the previous test N to N days earlier",
        "the codes of the two name the same method, or neither names one",
        lambda phrase, least, most: SameMethod(phrase.subject[0], earlier(phrase, least, most)),
    ),
    PhraseForm(
        "has no LIMIT",
        "the result is there, but no such limit could be found for it",
        lambda phrase, kind: NoLimit(phrase.subject[0], kind),
    ),
    PhraseForm(
        "measured METHOD unlike the previous test N to N days earlier",
        "one of the result and that previous test was measured so, the other was not",
        _other_method,
    ),
    PhraseForm("measured METHOD", "the code of the result names this method", _measured),
)
PHRASE_HELP: Final = (
    "write: below | at most | above | at least NUMBER UNIT, or ... [NUMBER x] upper limit, "
    "or present, an exact value, measured METHOD (docs/reference/language.md)"
)

KINDS: Final[Mapping[str, Kind]] = {
    SEVERAL_MARKERS: Kind(
        "a marker, or `any of` several",
        _COMPARISONS,
        "write: below | at most | above | at least NUMBER UNIT, or ... [NUMBER x] upper limit;"
        " for any other phrase a line for each marker under 'any:'",
    ),
    ONE_MARKER: Kind("a marker", (*_COMPARISONS, *_OF_ONE_MARKER), PHRASE_HELP),
    A_MEASURE: Kind(
        "a measure",
        (
            PhraseForm(
                "RELATION NUMBER [and RELATION NUMBER]",
                "the measure could be computed and stands so to the number",
                _measure,
            ),
        ),
        "write: below | at most | above | at least NUMBER",
    ),
    A_FACT: Kind(
        "a fact",
        (
            PhraseForm(
                "yes", "known to be so", lambda phrase: FactIs(phrase.subject[0], answer=True)
            ),
            PhraseForm(
                "no",
                "known not to be so: the list was asked for and nothing in it says so",
                lambda phrase: FactIs(phrase.subject[0], answer=False),
            ),
            PhraseForm(
                "no or not known",
                "anything but known to be so",
                lambda phrase: FactIs(phrase.subject[0], answer=False, or_unknown=True),
            ),
        ),
        "a fact takes yes, no, or no or not known",
    ),
    A_PATTERN: Kind(
        "a pattern",
        (
            PhraseForm("yes", "the conditions of its file hold", partial(_pattern, answer=True)),
            PhraseForm("no", "they are known not to hold", partial(_pattern, answer=False)),
            PhraseForm(
                "no or not known",
                "they are anything but known to hold",
                partial(_pattern, answer=False, or_unknown=True),
            ),
        ),
        "a pattern takes yes, no, or no or not known",
    ),
    "index": Kind(
        "`index`",
        (
            PhraseForm(
                "older than DAYS",
                "the index was taken more than so many days of 24 hours before now",
                lambda _phrase, days: IndexAge("older than", int(days)),
            ),
            PhraseForm(
                "at most DAYS old",
                "it was not",
                lambda _phrase, days: IndexAge("at most", int(days)),
            ),
        ),
        "write: older than N days, or at most N days old",
    ),
    "age": Kind(
        "`age`",
        (
            PhraseForm(
                "below AGE",
                "so many years or months are not yet completed on the day of the evaluation",
                lambda _phrase, age: _age("below", age),
            ),
            PhraseForm(
                "at least AGE",
                "so many years or months are completed on the day of the evaluation",
                lambda _phrase, age: _age("at least", age),
            ),
        ),
        "write: below N years, or at least N years (or months)",
    ),
    "sex": Kind(
        "`sex`",
        (
            PhraseForm(
                "SEXES", "it is one of these; `unknown` means missing, other or unknown", _sex
            ),
        ),
        "write: male, female, unknown, or several joined by 'or'",
    ),
    "any marker": Kind(
        "`any marker`",
        (
            PhraseForm(
                "set aside because REASON",
                "the result that the rule is about was set aside for this reason"
                " (in rules `about: set-aside results`)",
                lambda _phrase, reason: SetAsideBecause(reason),
            ),
        ),
        "write: set aside because REASON",
    ),
    "unused data": Kind(
        "`unused data`",
        (
            PhraseForm(
                "present",
                "something was sent that might have raised a card and could not be used"
                " (in rules `about: unused data`)",
                lambda _phrase: HasUnusedData(),
            ),
        ),
        "write: present",
    ),
    "ordering": Kind(
        "`ordering`",
        (
            PhraseForm(
                "NAME",
                "a medicine of the fact, or an equivalent of the order, is being ordered now",
                _ordering,
            ),
            PhraseForm(
                "NAME without NAME",
                "the first is being ordered now and the second is not",
                _ordering,
            ),
        ),
        "write: a fact or an order of the pack",
    ),
    "taking": Kind(
        "`taking`",
        (PhraseForm("FACT", "a medicine of it is on the list, not only being ordered", _taking),),
        "write: a fact of the pack",
    ),
}
