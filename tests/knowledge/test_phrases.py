# SPDX-License-Identifier: Apache-2.0
"""Phrases to conditions, and back to the same words."""

from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.amounts import Relation, plain
from cds_service.knowledge.model.bounds import (
    Bound,
    Earlier,
    LimitKind,
    Number,
    TimesLimit,
    TimesMarker,
)
from cds_service.knowledge.model.conditions import (
    AllOf,
    AnyOf,
    Condition,
    leaves,
)
from cds_service.knowledge.model.leaves import (
    AgeCompare,
    Compare,
    FactIs,
    IsExact,
    MeasureCompare,
    MeasuredWith,
    NoLimit,
    Ordering,
    OtherMethod,
    Present,
    SetAsideBecause,
    Sex,
    SexIs,
    Taking,
)
from cds_service.knowledge.model.leaves import (
    TestedBefore as Before,  # pytest would collect it
)
from cds_service.knowledge.model.marker_parts import markers_of
from cds_service.knowledge.reading.phrases import Phrases
from cds_service.knowledge.reading.vocabulary import MarkerWords, Vocabulary
from cds_service.sourcefile.document import Data, Document

LIMITS: tuple[LimitKind, ...] = get_args(LimitKind)
FACTORS = {"U/L": Fraction(1), "kU/L": Fraction(1000), "umol/L": 1 / Fraction("17.104")}


def words(*limits: LimitKind) -> MarkerWords:
    methods = frozenset({"by X", "by Y"})
    return MarkerWords(unit="U/L", factors=FACTORS, methods=methods, limits=frozenset(limits))


VOCABULARY = Vocabulary(
    markers={
        "alpha": words(*LIMITS),
        "beta": words(*LIMITS),
        "gamma-2": words(),
        "odd": MarkerWords(unit="kU/L", factors={"U/L": Fraction(1, 9)}, methods=frozenset()),
        "pure": MarkerWords(unit="", factors={}, methods=frozenset()),
    },
    measures=frozenset({"ratio"}),
    facts=frozenset({"on-gammazine", "delta-disease"}),
    orders=frozenset({"repeat-alpha", "beta-test"}),
)


def read(data: Data) -> tuple[Condition | None, list[str]]:
    reader = Phrases(Document("text.yaml", data), VOCABULARY)
    return reader.condition(data, ()), [problem.code for problem in reader.problems]


def as_data(condition: Condition) -> Data:
    """The condition as a file writes it, each leaf in its own words."""
    match condition:
        case AllOf(parts=parts):
            return {"all": [as_data(part) for part in parts]}
        case AnyOf(parts=parts):
            return {"any": [as_data(part) for part in parts]}
        case leaf:
            return {leaf.subject: leaf.phrase}


numbers = st.decimals(0, 9999, allow_nan=False, places=2).map(lambda n: f"{n:f}")
times = st.integers(1, 400).map(lambda n: Fraction(n, 20))
one_marker = st.sampled_from(["alpha", "beta"])
markers = st.lists(one_marker, min_size=1, max_size=3).map(tuple)
relations = st.sampled_from(get_args(Relation))
days = st.tuples(st.integers(0, 40), st.integers(41, 400)).map(lambda pair: Earlier(*pair))


def in_unit(number: str, unit: str) -> Number:
    return Number(Fraction(number) * FACTORS[unit], f"{number} {unit}")


bounds: st.SearchStrategy[Bound] = st.one_of(
    st.builds(in_unit, numbers, st.sampled_from(sorted(FACTORS))),
    st.builds(TimesLimit, times, st.sampled_from(LIMITS)),
    st.builds(TimesMarker, times, one_marker),
)
sexes: st.SearchStrategy[tuple[Sex, ...]] = st.lists(
    st.sampled_from(get_args(Sex)), min_size=1, max_size=3
).map(tuple)
leaf_conditions: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Compare, markers, relations, bounds, st.none() | days),
    st.builds(
        MeasureCompare, st.just("ratio"), relations, numbers.map(lambda n: Number(Fraction(n), n))
    ),
    st.builds(
        lambda relation, n: AgeCompare(relation, n * 12, f"{n} years"),
        st.sampled_from(("below", "at least")),
        st.integers(1, 99),
    ),
    st.builds(
        lambda relation, n: AgeCompare(relation, n, f"{n} months"),
        st.sampled_from(("below", "at least")),
        st.integers(1, 99),
    ),
    st.builds(SexIs, sexes),
    st.builds(FactIs, st.sampled_from(sorted(VOCABULARY.facts)), st.booleans()),
    st.builds(Present, one_marker, st.booleans()),
    st.builds(IsExact, one_marker),
    st.builds(MeasuredWith, one_marker, st.sampled_from(("by X", "by Y"))),
    st.builds(OtherMethod, one_marker, st.sampled_from(("by X", "by Y")), days),
    st.builds(Before, one_marker, days),
    st.builds(NoLimit, one_marker, st.sampled_from(LIMITS)),
    st.builds(SetAsideBecause, st.sampled_from(("unit-missing", "implausible"))),
    st.builds(Taking, st.just("on-gammazine")),
    st.builds(
        Ordering,
        st.sampled_from(("on-gammazine", "repeat-alpha")),
        st.none() | st.just("beta-test"),
    ),
)
conditions = st.recursive(
    leaf_conditions,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: AllOf(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
    ),
    max_leaves=6,
)


@given(conditions)
def test_the_words_of_a_condition_are_read_as_the_same_condition(condition: Condition) -> None:
    again, problems = read(as_data(condition))

    assert again == condition
    assert set(problems) <= {"K205"}  # `below 1` and `above 2` can be drawn together


@given(condition=conditions)
def test_a_sentence_holds_the_words_of_every_leaf(condition: Condition) -> None:
    assert all(leaf.in_words() in condition.in_words() for leaf in leaves(condition))


def test_a_tree_in_words_keeps_what_belongs_together() -> None:
    condition, _ = read([{"any": [{"alpha": "present"}, {"beta": "present"}]}, {"sex": "male"}])

    assert condition is not None
    assert condition.in_words() == "(alpha: present or beta: present) and sex: male"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {"alpha": "below 5 U/L"},
            Compare(("alpha",), "below", Number(Fraction(5), "5 U/L")),
        ),
        (
            {"alpha": "  below   0.005 kU/L "},
            Compare(("alpha",), "below", Number(Fraction(5), "0.005 kU/L")),
        ),
        (
            {"alpha": "at least 42 umol/L"},
            Compare(("alpha",), "at least", Number(Fraction(42000, 17104), "42 umol/L")),
        ),
        (
            {"pure": "above 1.5"},
            Compare(("pure",), "above", Number(Fraction(3, 2), "1.5")),
        ),
        (
            {"alpha": "at least 20 and below 30 U/L"},
            AllOf(
                (
                    Compare(("alpha",), "at least", Number(Fraction(20), "20 U/L")),
                    Compare(("alpha",), "below", Number(Fraction(30), "30 U/L")),
                )
            ),
        ),
        (
            {"ratio": "at least 2 and below 5"},
            AllOf(
                (
                    MeasureCompare("ratio", "at least", Number(Fraction(2), "2")),
                    MeasureCompare("ratio", "below", Number(Fraction(5), "5")),
                )
            ),
        ),
        (
            {"any of alpha, beta": "above upper limit"},
            Compare(("alpha", "beta"), "above", TimesLimit(Fraction(1), "upper limit")),
        ),
        (
            {"alpha": "at least 1.5 x beta"},
            Compare(("alpha",), "at least", TimesMarker(Fraction(3, 2), "beta")),
        ),
        (
            {"alpha": "below 5 U/L at the previous test within 1 day"},
            Compare(("alpha",), "below", Number(Fraction(5), "5 U/L"), Earlier(0, 1)),
        ),
        ({"age": "below 6 months"}, AgeCompare("below", 6, "6 months")),
        ({"age": "at least 1 year"}, AgeCompare("at least", 12, "1 year")),
        ([{"sex": "male"}], SexIs(("male",))),
        (
            {"sex": "male", "on-gammazine": "no"},
            AllOf((SexIs(("male",)), FactIs("on-gammazine", answer=False))),
        ),
    ],
)
def test_a_phrase_means(data: Data, expected: Condition) -> None:
    assert read(data) == (expected, [])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("alpha: below 5", "K106"),
        ([], "K106"),
        ({}, "K106"),
        ({"all": []}, "K106"),
        ({"any": []}, "K106"),
        ({"any": {"alpha": "present"}}, "K106"),
        ({"alpha": ["below 5 U/L"]}, "K106"),
        ([["sex: male"]], "K106"),
        ({"alhpa": "present"}, "K201"),
        ({"any of alpha, delta": "above upper limit"}, "K201"),
        ({"alpha": "above delta"}, "K201"),
        ({"ordering": "gammazine"}, "K201"),
        ({"taking": "gammazine"}, "K201"),
        ({"taking": "repeat-alpha"}, "K201"),
        ({"ordering": "on-gammazine without nothing"}, "K201"),
        ({"alpha": ""}, "K202"),
        ({"alpha": "not present"}, "K202"),
        ({"alpha": "below 5 U/L or above 9 U/L"}, "K204"),
        ({"alpha": "below 3 U/L and below 2 U/L and below 1 U/L"}, "K202"),
        ({"any of alpha, beta": "at least 20 and below 30 U/L"}, "K202"),
        ({"any of alpha, beta": "present"}, "K202"),
        ({"alpha": "measured by Z"}, "K202"),
        ({"on-gammazine": "true"}, "K202"),
        ({"sex": "other"}, "K202"),
        ({"age": "above 18 years"}, "K202"),
        ({"age": "below 18"}, "K202"),
        ({"age": "below 1.5 years"}, "K202"),
        ({"ratio": "at least 5 U/L"}, "K202"),
        ({"ratio": "at least 1e3"}, "K202"),
        ({"ordering": "On Gammazine"}, "K202"),
        ({"any marker": "unit-missing"}, "K202"),
        ({"alpha": "below 5"}, "K203"),
        ({"alpha": "below 5 mg/dL"}, "K203"),
        ({"pure": "below 5 U/L"}, "K203"),
        ({"pure": "below alpha"}, "K203"),
        ({"any of alpha, pure": "below 5 U/L"}, "K203"),
        ({"alpha": "above 3 U/L and below 5"}, "K203"),
        ({"any of alpha, odd": "below 5 U/L"}, "K203"),
        ({"any of alpha, odd": "above beta"}, "K203"),
        ({"alpha": "below 1e3 U/L"}, "K204"),
        ({"alpha": "below 1,000 U/L"}, "K204"),
        ({"alpha": "below <5 U/L"}, "K204"),
        ({"alpha": "below 0 x upper limit"}, "K204"),
        ({"alpha": "below -1 x upper limit"}, "K204"),
        ({"alpha": "below -1 x beta"}, "K204"),
        ({"alpha": "above 5 U/L and below 3 U/L"}, "K205"),
        ({"alpha": "above 5 U/L and at most 5 U/L"}, "K205"),
        ([{"alpha": "above 5 U/L"}, {"alpha": "below 0.005 kU/L"}], "K205"),
        ({"ratio": "above 5 and below 3"}, "K205"),
        ([{"age": "below 3 years"}, {"age": "at least 36 months"}], "K205"),
        ({"gamma-2": "above upper limit"}, "K205"),
        ({"alpha": "tested before 30 to 3 days earlier"}, "K205"),
        ({"alpha": "below 5 U/L at the previous test 30 to 3 days earlier"}, "K205"),
    ],
)
def test_what_cannot_be_meant_is_a_problem(data: Data, code: str) -> None:
    _, problems = read(data)

    assert problems == [code]


@pytest.mark.parametrize(
    ("data", "remedy"),
    [
        ({"any marker": "unit-missing"}, "write: set aside because REASON"),
        ({"age": "above 18 years"}, "write: below N years, or at least N years (or months)"),
        ({"ratio": "at least 5 U/L"}, "write: below | at most | above | at least NUMBER"),
        ({"on-gammazine": "yess"}, "did you mean 'yes'?"),
        ({"alpha": "tseted before 1 to 9 days earlier"}, "did you mean 'tested'?"),
        ({"alpha": "measured by Z"}, "measured METHOD (docs/reference/language.md)"),
        ({"any of alpha, beta": "present"}, "a line for each marker under 'any:'"),
        ({"any of alpha, beta": "above 1 and below 9 U/L"}, "with one line for each marker"),
    ],
)
def test_a_phrase_that_cannot_be_read_says_what_to_write(data: Data, remedy: str) -> None:
    reader = Phrases(Document("text.yaml", data), VOCABULARY)
    reader.condition(data, ())

    (problem,) = reader.problems
    assert problem.remedy.endswith(remedy)


@pytest.mark.parametrize(
    "data",
    [
        {"alpha": "at least 5 U/L and at most 5 U/L"},
        [{"alpha": "above 5 U/L"}, {"beta": "below 3 U/L"}],
        [{"alpha": "above 5 U/L"}, {"alpha": "below 3 U/L at the previous test within 9 days"}],
        {"any": [{"alpha": "above 5 U/L"}, {"alpha": "below 3 U/L"}]},
        [{"age": "at least 3 years"}, {"age": "below 37 months"}],
    ],
)
def test_bounds_that_can_both_hold_are_fine(data: Data) -> None:
    assert read(data)[1] == []


def test_a_problem_in_one_line_leaves_no_condition() -> None:
    assert read([{"alpha": "present"}, {"beta": "perhaps"}])[0] is None
    assert read({"any": [{"alpha": "present"}, {"beta": "perhaps"}]})[0] is None


@given(st.text(max_size=40), st.sampled_from([*VOCABULARY.subjects, "any of alpha, beta", "x"]))
def test_any_text_is_a_condition_or_a_problem(phrase: str, subject: str) -> None:
    condition, problems = read({subject: phrase})

    assert (condition is None) is bool(set(problems) - {"K205"})


def test_a_leaf_names_the_markers_it_reads() -> None:
    condition, _ = read(
        [{"alpha": "above 2 x beta"}, {"gamma-2": "present"}, {"sex": "male"}, {"ratio": "above 1"}]
    )

    assert condition is not None
    assert [markers_of(leaf) for leaf in leaves(condition)] == [
        ("alpha", "beta"),
        ("gamma-2",),
        (),
        (),
    ]


def test_a_multiple_is_written_without_needless_zeros() -> None:
    assert (
        TimesLimit(Fraction("1.50"), "upper limit").in_words()
        == f"{plain(Fraction(3, 2))} x upper limit"
    )


@pytest.mark.parametrize(
    "phrase",
    [
        {"index": "older than {} days"},
        {"alpha": "tested before 1 to {} days earlier"},
        {"alpha": "below 5 U/L at the previous test within {} days"},
        {"alpha": "below 5 U/L within {} hours of the index"},
        {"alpha": "present within {} days before now"},
        {"age": "below {} years"},
    ],
)
def test_a_number_of_days_has_at_most_four_digits(phrase: dict[str, str]) -> None:
    ((subject, text),) = phrase.items()

    assert read({subject: text.format(9999)})[1] == []
    assert read({subject: text.format(10000)})[1] in (["K202"], ["K204"])
