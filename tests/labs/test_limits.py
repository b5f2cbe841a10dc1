# SPDX-License-Identifier: Apache-2.0
"""Which limit a result is judged by."""

from fractions import Fraction
from typing import Literal

import pytest

from cds_service.copying import replace
from cds_service.knowledge.model.bounds import LimitKind
from cds_service.labs.limits import Limit, lab_limit, limit_of
from cds_service.labs.patient import Person
from cds_service.labs.patient_record import ReferenceRange
from tests.labs.patients import ALPHA, BETA, printed, result

MAN, WOMAN = Person((480, 480), "male"), Person((480, 480), "female")
NOBODY = Person(None, "unknown")


def span(
    high: str,
    *,
    sex: Literal["male", "female"] | None = None,
    ages: tuple[int | None, int | None] = (None, None),
) -> ReferenceRange:
    return ReferenceRange(
        low=Fraction(1), high=Fraction(high), sex=sex, age_from=ages[0], age_below=ages[1]
    )


@pytest.mark.parametrize(
    ("ranges", "person", "expected"),
    [
        ((), MAN, None),
        ((span("30"),), MAN, 30),
        ((span("30"), span("30")), MAN, 30),
        ((span("30"), span("40")), MAN, None),
        ((span("30", sex="female"), span("40", sex="male")), MAN, 40),
        ((span("30", sex="female"), span("40", sex="male")), WOMAN, 30),
        ((span("30", sex="female"), span("40", sex="male")), NOBODY, None),
        ((span("30"), span("40", sex="male")), MAN, 40),
        ((span("30"), span("40", sex="male")), WOMAN, 30),
        ((span("30"), span("40", ages=(216, None))), MAN, 40),
        ((span("30", ages=(None, 216)), span("40", ages=(216, None))), MAN, 40),
        ((span("30", ages=(480, 481)),), MAN, 30),
        ((span("30", ages=(481, None)),), MAN, None),
        ((span("30", ages=(None, 480)),), MAN, None),
        ((span("30", ages=(0, 2000)),), NOBODY, None),
        ((span("30", ages=(215, None)),), Person((215, 216), "male"), 30),
        ((span("30", ages=(216, None)),), Person((215, 216), "male"), None),
        ((span("30", ages=(None, 216)),), Person((215, 216), "male"), None),
        ((span("30", sex="male"), span("40", ages=(0, 999))), MAN, None),
        ((span("30", sex="male"), span("40", sex="male", ages=(0, 999))), MAN, 40),
        ((printed("7", None), span("40")), MAN, 40),
        ((printed("7", None),), MAN, None),
    ],
)
def test_the_range_that_says_most_about_the_patient_is_the_laboratorys_limit(
    ranges: tuple[ReferenceRange, ...], person: Person, expected: int | None
) -> None:
    assert lab_limit("upper limit", replace(result(), ranges=ranges), person) == expected


def test_a_lower_limit_is_the_other_end() -> None:
    of = result(limits=("7", "40"))

    assert lab_limit("lower limit", of, MAN) == 7
    assert lab_limit("screening limit", of, MAN) == 40


@pytest.mark.parametrize(
    ("high", "person", "limit"),
    [
        ("30", MAN, Limit(Fraction(30), "lab")),
        ("5", MAN, Limit(Fraction(5), "lab")),
        ("50", MAN, Limit(Fraction(50), "lab")),
        ("4.99", MAN, Limit(Fraction(20), "fallback-20")),
        ("50.01", MAN, Limit(Fraction(20), "fallback-20")),
        (None, MAN, Limit(Fraction(20), "fallback-20")),
        ("30", Person((215, 215), "male"), Limit(Fraction(10), "child-10")),
        ("30", Person((215, 216), "male"), Limit(Fraction(10), "age", up_to=Fraction(30))),
        ("30", Person((209, 215), "male"), Limit(Fraction(10), "child-10")),
        ("30", Person((216, 227), "male"), Limit(Fraction(30), "lab")),
        ("30", NOBODY, Limit(Fraction(30), "lab")),
    ],
)
def test_the_first_line_of_the_policy_that_applies_is_used(
    high: str | None, person: Person, limit: Limit
) -> None:
    assert limit_of(ALPHA, "upper limit", result(limits=(None, high)), person) == limit


@pytest.mark.parametrize("kind", ["lower limit", "screening limit"])
def test_without_a_policy_there_is_no_limit(kind: LimitKind) -> None:
    assert limit_of(ALPHA, kind, result(limits=("7", "40")), MAN) is None


def test_any_limit_of_the_laboratory_is_believed_if_the_policy_says_so() -> None:
    of = result("3", "beta", limits=("0.001", None))

    assert limit_of(BETA, "lower limit", of, MAN) == Limit(Fraction(1, 1000), "lab")


def test_two_ranges_that_differ_are_both_left_aside() -> None:
    of = replace(result(), ranges=(span("30"), span("40")))

    assert limit_of(ALPHA, "upper limit", of, MAN) == Limit(Fraction(20), "fallback-20")
