# SPDX-License-Identifier: Apache-2.0
"""Limits beside a result: in its unit, and in the laboratory's own figures where it sent them."""

from datetime import UTC
from fractions import Fraction

import pytest

from cds_service.copying import replace
from cds_service.explanation.scale import grade_rows, scale_of
from cds_service.labs.limits import Limit
from cds_service.labs.patient import Person
from cds_service.labs.patient_record import LabResult, Sent
from cds_service.labs.result_selection import Frame, Reading
from cds_service.render.result_units import limit_amount
from cds_service.render.values import ResultText
from tests.render.decisions import PACK, result

MARKER = PACK.markers["total-bilirubin"]
MESSAGES = PACK.messages_in()
TO_MARKER = 1 / Fraction("17.104")
Sending = tuple[str, str]


def sent(number: str, unit: str = "umol/L", factor: Fraction = TO_MARKER) -> LabResult:
    value = replace(result(number, unit), marker=MARKER.id, factor=factor)
    return replace(value, value=value.value.times(factor))


def limit(number: str, unit: str, factor: Fraction = TO_MARKER) -> Limit:
    return Limit(Fraction(number) * factor, "lab", sent=Sent(number=number, unit=unit))


@pytest.mark.parametrize(
    ("of", "judged_by", "shown"),
    [
        (sent("50"), limit("21", "umol/L"), "21 umol/L"),
        (sent("50"), limit("21.0", "µmol/L"), "21.0 µmol/L"),
        (sent("50"), limit("21", ""), "21 umol/L"),
        (sent("50"), limit("1.2", "mg/dL", Fraction(1)), "21 umol/L"),
        (sent("50.5"), limit("1.2", "mg/dL", Fraction(1)), "20.5 umol/L"),
        (sent("3.0", "mg/dL", Fraction(1)), limit("21", "umol/L"), "1.2 mg/dL"),
        (sent("3.0", "mg/dL", Fraction(1)), limit("1.20", "mg/dL", Fraction(1)), "1.20 mg/dL"),
        # the pack's own amounts, with at most one decimal more than the result has
        (sent("50"), Limit(Fraction("1.2"), "fallback-1.2"), "20.5 umol/L"),
        (sent("3", "mg/dL", Fraction(1)), Limit(Fraction("1.2"), "fallback-1.2"), "1.2 mg/dL"),
        (sent("50"), Limit(Fraction("1.2"), "age", up_to=Fraction(2)), "20.5 to 34.2 umol/L"),
        (sent("50"), None, None),
    ],
)
def test_a_limit_is_in_the_unit_of_its_result(
    of: LabResult, judged_by: Limit | None, shown: str | None
) -> None:
    assert limit_amount(judged_by, MARKER, of, MESSAGES) == shown


def test_placeholders_show_every_limit_in_the_unit_of_the_result() -> None:
    own = limit("21", "umol/L")
    reading = Reading(sent("50"), own, limit("3", "umol/L"), own)

    words = ResultText(messages=MESSAGES, zone=UTC, marker=MARKER, reading=reading)

    assert (words.limit, words.lower_limit, words.screening_limit) == (
        "21 umol/L",
        "3 umol/L",
        "21 umol/L",
    )


def test_scales_and_grades_are_in_the_unit_of_the_result() -> None:
    alt = PACK.markers["alt"]
    of = replace(result("0.9", "ukat/L"), factor=Fraction(60))
    of = replace(of, value=of.value.times(Fraction(60)))
    upper = Limit(Fraction("0.78") * 60, "lab", sent=Sent(number="0.78", unit="ukat/L"))
    frame = Frame(
        index="alt",
        now=of.time,
        person=Person((600, 600), "male"),
        facts={},
        ordering=frozenset(),
        readings={"alt": Reading(of, upper, None, None)},
    )

    scale = scale_of(alt, frame, asked=True)
    grades = {row.id: row.range for row in grade_rows(alt.grades, alt, frame, asked=True)}

    assert scale is not None
    assert (scale.unit, scale.edges) == ("ukat/L", ("0.08", "0.67", "1.33", "3.33"))
    assert grades["borderline"] == "above 0.78, up to 1.56 ukat/L"
