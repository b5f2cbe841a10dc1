# SPDX-License-Identifier: Apache-2.0
"""Age in completed months, and conditions on age and sex alone."""

from datetime import date, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.amounts import Ternary
from cds_service.knowledge.model.conditions import (
    AllOf,
    AnyOf,
    Condition,
)
from cds_service.knowledge.model.leaves import (
    AgeCompare,
    FactIs,
    SexIs,
)
from cds_service.labs.patient import (
    Person,
    age_is,
    all_known,
    any_known,
    completed_months,
    meets,
    person_on,
)
from cds_service.labs.patient_record import Patient

CHILD = AgeCompare("below", 216, "18 years")
ADULT = AgeCompare("at least", 216, "18 years")


@pytest.mark.parametrize(
    ("born", "today", "months"),
    [
        ("2026-06-15", "2026-06-15", 0),
        ("2026-05-15", "2026-06-14", 0),
        ("2026-05-15", "2026-06-15", 1),
        ("2008-06-16", "2026-06-15", 215),
        ("2008-06-15", "2026-06-15", 216),
        ("2026-01-31", "2026-02-28", 0),
        ("2026-01-31", "2026-03-01", 1),
        ("2026-01-31", "2026-03-30", 1),
        ("2026-01-31", "2026-03-31", 2),
        ("2024-02-29", "2025-02-28", 11),
        ("2024-02-29", "2025-03-01", 12),
        ("2024-02-29", "2028-02-28", 47),
        ("2024-02-29", "2028-02-29", 48),
        ("2025-12-31", "2026-01-01", 0),
        ("2025-12-31", "2026-01-31", 1),
    ],
)
def test_a_month_counts_when_it_is_completed(born: str, today: str, months: int) -> None:
    assert completed_months(date.fromisoformat(born), date.fromisoformat(today)) == months


@given(born=st.dates(date(1900, 1, 1), date(2026, 1, 1)), days=st.integers(0, 30_000))
def test_age_never_goes_down_and_never_jumps(born: date, days: int) -> None:
    today = born + timedelta(days=days)

    step = completed_months(born, today + timedelta(days=1)) - completed_months(born, today)

    assert step in {0, 1}
    assert completed_months(born, born) == 0


@pytest.mark.parametrize(
    ("born", "months", "years"),
    [
        (None, None, None),
        (("2026-06-16", "2026-06-16"), None, None),
        (("2026-06-15", "2026-06-15"), (0, 0), 0),
        (("2008-01-01", "2008-12-31"), (209, 221), None),
        (("2008-06-01", "2008-06-30"), (215, 216), None),
        (("2008-05-01", "2008-05-31"), (216, 217), 18),
        (("2026-01-01", "2026-12-31"), (0, 5), 0),
    ],
)
def test_a_partial_birth_date_is_a_range_of_ages(
    born: tuple[str, str] | None, months: tuple[int, int] | None, years: int | None
) -> None:
    span = None if born is None else (date.fromisoformat(born[0]), date.fromisoformat(born[1]))

    person = person_on(Patient(reference="", born=span), date(2026, 6, 15))

    assert (person.months, person.years, person.sex) == (months, years, "unknown")


@pytest.mark.parametrize(
    ("months", "child", "adult"),
    [
        (None, None, None),
        ((215, 215), True, False),
        ((216, 216), False, True),
        ((215, 216), None, None),
        ((0, 215), True, False),
        ((216, 999), False, True),
    ],
)
def test_an_age_that_may_be_either_is_not_known(
    months: tuple[int, int] | None, child: Ternary, adult: Ternary
) -> None:
    person = Person(months, "male")

    assert (age_is(CHILD, person), age_is(ADULT, person)) == (child, adult)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (None, True),
        (CHILD, None),
        (SexIs(("male", "unknown")), True),
        (SexIs(("female",)), False),
        (AllOf((CHILD, SexIs(("female",)))), False),
        (AllOf((CHILD, SexIs(("male",)))), None),
        (AnyOf((CHILD, SexIs(("male",)))), True),
        (AnyOf((CHILD, SexIs(("female",)))), None),
    ],
)
def test_a_limit_may_ask_for_age_and_sex(condition: Condition | None, expected: Ternary) -> None:
    assert meets(condition, Person(None, "male")) is expected


def test_a_limit_may_ask_for_nothing_else() -> None:
    with pytest.raises(TypeError, match="age and sex only"):
        meets(FactIs("on-gammazine", answer=True), Person(None, "male"))


@pytest.mark.parametrize("answers", list(product((True, False, None), repeat=3)))
def test_kleenes_and_and_or(answers: tuple[Ternary, ...]) -> None:
    in_order = {False: 0, None: 1, True: 2}

    assert all_known(list(answers)) is min(answers, key=in_order.__getitem__)
    assert any_known(list(answers)) is max(answers, key=in_order.__getitem__)


def test_of_nothing_all_is_true_and_any_is_false() -> None:
    assert (all_known([]), any_known([])) == (True, False)
