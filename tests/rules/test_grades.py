# SPDX-License-Identifier: Apache-2.0
"""The word for a result, and results too near a boundary to be sure."""

from fractions import Fraction

import pytest

from cds_service.amounts import Comparator
from cds_service.copying import replace
from cds_service.knowledge.model.bounds import Number
from cds_service.knowledge.model.leaves import Compare
from cds_service.knowledge.model.pack import Grade, Near
from cds_service.labs.reading_limits import is_doubtful
from cds_service.rules.grades import Graded, grade_of
from tests.labs.patients import ALPHA, framed, result


def above(number: int) -> Grade:
    bound = Number(Fraction(number), str(number))
    return Grade(id=f"over-{number}", title="", when=Compare(("alpha",), "above", bound))


GRADES = (above(100), above(50), above(10))


@pytest.mark.parametrize(
    ("number", "comparator", "expected"),
    [
        ("101", None, Graded(above(100), at_least=False)),
        ("100", None, Graded(above(50), at_least=False)),
        ("11", None, Graded(above(10), at_least=False)),
        ("10", None, None),
        ("50", ">", Graded(above(50), at_least=True)),
        ("100", ">", Graded(above(100), at_least=False)),
        ("10", ">", Graded(above(10), at_least=True)),
        ("200", "<", None),
        ("10", "<", None),
    ],
)
def test_the_first_grade_that_holds_is_the_word(
    number: str, comparator: Comparator | None, expected: Graded | None
) -> None:
    assert grade_of(GRADES, framed(result(number, comparator=comparator))) == expected


NEAR = Near(
    unit="kU/L",
    distance=Fraction(3, 10),
    amounts=(Fraction(5),),
    multiples=(Fraction(1), Fraction(2)),
)
MARKER = replace(ALPHA, near=NEAR)


@pytest.mark.parametrize(
    ("number", "unit", "comparator", "doubtful"),
    [
        ("5", "kU/L", None, True),
        ("5.3", "kU/L", None, True),
        ("4.7", "kU/L", None, True),
        ("5.301", "kU/L", None, False),
        ("4.699", "kU/L", None, False),
        ("5", "U/L", None, False),
        ("5", "kU/L", "<", False),
        ("30.3", "kU/L", None, True),
        ("59.8", "kU/L", None, True),
        ("45", "kU/L", None, False),
    ],
)
def test_a_coarse_unit_makes_a_result_near_a_boundary_doubtful(
    number: str, unit: str, comparator: Comparator | None, doubtful: bool
) -> None:
    of = result(number, unit=unit, comparator=comparator, limits=(None, "30"))
    reading = framed(of).readings["alpha"]

    assert is_doubtful(MARKER, reading) is doubtful
    assert not is_doubtful(ALPHA, reading)


def test_without_a_limit_its_multiples_are_no_boundary() -> None:
    reading = replace(framed(result("30", unit="kU/L")).readings["alpha"], upper=None)

    assert not is_doubtful(MARKER, reading)
