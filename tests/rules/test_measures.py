# SPDX-License-Identifier: Apache-2.0
"""Measures are exact, or say why they are withheld."""

from collections.abc import Sequence
from fractions import Fraction

import pytest

from cds_service.copying import replace
from cds_service.knowledge.model.bounds import Earlier, Number
from cds_service.knowledge.model.formulas import read_formula
from cds_service.knowledge.model.leaves import Compare
from cds_service.knowledge.model.pack import Measure, NotComputed, Reading
from cds_service.labs.patient_record import LabResult, Patient
from cds_service.labs.reasons import HasComparator, Hemolyzed, PackReason
from cds_service.labs.result_selection import Frame, MeasureValue
from cds_service.rules.measures import compile_measure, with_measures
from tests.knowledge.fixture_pack import letters
from tests.labs.patients import chooser, framed, hours, record, result

RATIO = letters().measures["alpha-beta-ratio"]
BETA = result("2", "beta")


def measure(formula: str, **more: object) -> Measure:
    plain = replace(RATIO, id="it", formula=read_formula(formula), not_computed=(), readings=())
    return replace(plain, earlier=Earlier(1, 30), **more)


def value(of: Measure, *results: LabResult) -> MeasureValue:
    return with_measures(framed(*results), [compile_measure(of)]).measures[of.id]


@pytest.mark.parametrize(
    ("formula", "results", "expected"),
    [
        ("alpha / beta", [result("30"), BETA], "15"),
        ("alpha / alpha.limit", [result("30", limits=(None, "45"))], "2/3"),
        ("alpha - alpha.previous", [result("30"), result("7", ago=hours(90))], "23"),
        (
            "alpha - alpha.previous",
            [result("30"), result("9", ago=hours(30)), result("7", ago=hours(90))],
            "23",
        ),
        ("age * alpha", [result("2")], "100"),
        ("sqrt(alpha)", [result("30.25")], "11/2"),
    ],
)
def test_a_measure_is_computed_of_its_frame(
    formula: str, results: Sequence[LabResult], expected: str
) -> None:
    assert value(measure(formula), *results).value == Fraction(expected)


@pytest.mark.parametrize(
    ("formula", "results"),
    [
        ("alpha / beta", [result("30")]),
        ("alpha / beta", [result("30"), result("0", "beta")]),
        ("alpha - alpha.previous", [result("30")]),
        ("alpha - alpha.previous", [result("30", ago=hours(1)), result("7", ago=hours(24))]),
        ("alpha - alpha.previous", [result("30", ago=hours(1)), result("7", ago=hours(722))]),
        ("alpha / beta.limit", [result("30"), BETA]),
    ],
)
def test_a_measure_without_its_inputs_has_neither_value_nor_reason(
    formula: str, results: Sequence[LabResult]
) -> None:
    assert value(measure(formula), *results) == MeasureValue()


@pytest.mark.parametrize(
    ("formula", "results"),
    [
        ("alpha / beta", [result("30", comparator=">"), BETA]),
        ("alpha / beta", [result("30"), result("2", "beta", comparator="<")]),
        (
            "alpha - alpha.previous",
            [result("30"), result("7", ago=hours(90), comparator="<")],
        ),
    ],
)
def test_a_comparator_anywhere_withholds_a_measure(
    formula: str, results: Sequence[LabResult]
) -> None:
    assert value(measure(formula), *results) == MeasureValue(because=HasComparator())


def test_a_measure_is_computed_when_it_is_asked_for_and_once() -> None:
    asked: list[Frame] = []

    def holds(frame: Frame) -> bool:
        asked.append(frame)
        return False

    compiled = replace(compile_measure(RATIO), not_computed=((holds, PackReason("never")),))
    measures = with_measures(framed(result("30"), BETA), [compiled]).measures
    assert list(measures) == [RATIO.id]
    assert not asked

    assert measures[RATIO.id].value == 15
    assert measures.get(RATIO.id) == measures[RATIO.id]
    assert len(asked) == 1
    assert measures.get("another") is None


def test_a_hemolysed_input_that_is_not_used_is_the_reason() -> None:
    frame = replace(framed(result("30")), not_used={"gamma": Hemolyzed(), "beta": Hemolyzed()})

    found = with_measures(frame, [compile_measure(RATIO)]).measures[RATIO.id]

    assert found == MeasureValue(because=Hemolyzed())


def test_the_first_reason_that_is_known_to_hold_withholds_a_measure() -> None:
    def beta(number: str, because: str) -> NotComputed:
        bound = Number(Fraction(number), number)
        return NotComputed(when=Compare(("beta",), "above", bound), because=because)

    of = measure(
        "alpha / beta", not_computed=(beta("9", "nine"), beta("1", "one"), beta("0", "zero"))
    )

    assert value(of, result("30"), BETA) == MeasureValue(because=PackReason("one"))
    assert value(of, result("30"), result("9", "beta", comparator="<")) == MeasureValue(
        because=HasComparator()
    )


@pytest.mark.parametrize(
    ("number", "called"),
    [("10", "high"), ("9.99", "middle"), ("5", "low"), ("5.01", "middle"), ("1", "low")],
)
def test_a_measure_is_called_by_the_first_bound_that_it_reaches(number: str, called: str) -> None:
    readings = (
        Reading(relation="at least", bound=Fraction(10), called="high"),
        Reading(relation="above", bound=Fraction(5), called="middle"),
        Reading(relation="otherwise", bound=Fraction(0), called="low"),
    )

    assert value(measure("alpha", readings=readings), result(number)).called == called
    assert value(measure("alpha", readings=readings[:1]), result("5")).called is None


def test_an_unknown_age_leaves_a_measure_of_age_without_value() -> None:
    of = record(result("2"), patient=Patient(reference=""))
    frame = chooser(of).frame("alpha", with_preliminary=False)
    assert frame is not None

    found = with_measures(frame, [compile_measure(measure("age * alpha"))]).measures

    assert found == {"it": MeasureValue()}


def test_a_frame_has_the_measures_about_its_index_only() -> None:
    frame = framed(result("2", "beta"), index="beta")

    assert with_measures(frame, [compile_measure(RATIO)]).measures == {}
