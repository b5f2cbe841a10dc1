# SPDX-License-Identifier: Apache-2.0
"""What a reader remembers: bounded, exact, and nothing long."""

from fractions import Fraction

import pytest
from msgspec import Raw

from cds_service.copying import replace
from cds_service.fhir.elements import CodeableConcept, Coding, Quantity
from cds_service.fhir.resources import Observation
from cds_service.intake.not_usable import NotUsable
from cds_service.intake.pack_reader import PackReader
from cds_service.intake.units import Unit
from cds_service.remembering import BoundedMemory
from tests.knowledge.fixture_pack import letters

UNIT = Unit("U/L", Fraction(1))


def reader() -> PackReader:
    return PackReader(letters(), names_fallback=True)


def quantity(
    text: str, unit: str | None = "U/L", comparator: str | None = None, **other: object
) -> Observation:
    sent = Quantity(value=Raw(text.encode()), unit=unit, comparator=comparator)
    return replace(Observation(value_quantity=sent), **other)


@pytest.mark.parametrize(
    "sent",
    [
        quantity("5"), quantity("5.0"), quantity("5", comparator="<"), quantity("5", "u/l"),
        quantity("5" + "0" * 30), quantity("5", "furlong"), quantity("5", None),
        quantity("5", " " * 200 + "U/L"), quantity('"5"'), quantity("null"),
        quantity("5", comparator="&lt;"), quantity("5", comparator="about"),
        quantity("5", value_boolean=Raw(b"null")), quantity("5", value_integer=Raw(b"5")),
        quantity("5", value_string="5"), quantity("5", value_string=" "),
        quantity("5", data_absent_reason=Raw(b'{"text":"hemolysed"}')),
        quantity("5", data_absent_reason=Raw(b"{}")),
    ],
)  # fmt: skip
def test_a_remembered_amount_is_the_one_that_is_read(sent: Observation) -> None:
    def read(by: PackReader) -> object:
        try:
            return by.amount("alpha", sent)
        except NotUsable as fault:
            return fault.reason

    shared = reader()
    shared.amount("alpha", quantity("5"))
    shared.amount("alpha", quantity("5", comparator="<"))
    read(shared)

    assert read(shared) == read(reader())


def test_a_number_is_shown_with_the_digits_that_came_with_it() -> None:
    shared = reader()

    texts = [shared.amount("alpha", quantity(text)).sent.number for text in ("5", "5.0", "5.00")]

    assert texts == ["5", "5.0", "5.00"]


def test_a_range_without_a_unit_has_that_of_its_result() -> None:
    shared, sent = reader(), Raw(b'[{"high":{"value":40}}]')

    ranges = [shared.ranges("alpha", sent, Unit("x", Fraction(n))).usable[0].high for n in (1, 60)]

    assert ranges == [40, 2400]


def test_a_code_is_claimed_by_all_that_came_with_it() -> None:
    shared = reader()
    claims = [
        shared.lookup.of(CodeableConcept(coding=coding, text=text))
        for coding in (Coding(code="A"), [Coding(code="A"), Coding(code="B")])
        for text in (None, "alpha")
    ]
    again = [
        reader().lookup.of(CodeableConcept(coding=coding, text=text))
        for coding in (Coding(code="A"), [Coding(code="A"), Coding(code="B")])
        for text in (None, "alpha")
    ]

    assert claims == again


def test_nothing_long_is_kept() -> None:
    shared = reader()
    shared.amount("alpha", quantity("5", " " * 200 + "U/L"))
    shared.ranges("alpha", Raw(b'[{"text":"' + b"x" * 2000 + b'"}]'), UNIT)
    shared.lookup.of(CodeableConcept(text="x" * 2000))
    shared.lookup.of(CodeableConcept(coding=[Coding()] * 200_000))

    assert not shared._amounts
    assert not shared._ranges
    assert not shared.lookup._known


def test_no_more_is_kept_than_a_laboratory_can_mean() -> None:
    kept: BoundedMemory[int, int] = BoundedMemory()
    for number in range(10_000):
        kept.keep(number, number)

    assert len(kept) < 5_000
    assert kept[9_999] == 9_999
