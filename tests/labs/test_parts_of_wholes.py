# SPDX-License-Identifier: Apache-2.0
"""More of a part than of the whole of the same draw cannot be, and is said."""

from datetime import timedelta
from fractions import Fraction

import pytest

from cds_service.copying import replace
from cds_service.knowledge.model.pack import Pack, Whole
from cds_service.labs.parts_of_wholes import with_impossible_parts
from tests.knowledge.fixture_pack import letters
from tests.labs.patients import record, result

HOUR = timedelta(hours=1)


def pack() -> Pack:
    """The pack of letters with `beta` as a part of `alpha`."""
    made = letters()
    part = replace(
        made.markers["beta"], whole=Whole(marker="alpha", plus=Fraction(1), share=Fraction(1, 10))
    )
    return replace(made, markers={**made.markers, "beta": part})


@pytest.mark.parametrize(
    ("whole", "part", "impossible"),
    [("5", "6.1", True), ("5", "6", False), ("20", "22.1", True), ("20", "22", False)],
)
def test_a_part_is_more_than_the_whole_by_more_than_rounding(
    whole: str, part: str, impossible: bool
) -> None:
    found = with_impossible_parts(record(result(whole), result(part, "beta")), pack())

    assert [result.impossible for result in found.results] == [False, impossible]
    assert [result.reason for result in found.set_aside] == ["implausible"] * impossible


def test_results_of_two_draws_are_not_compared() -> None:
    of_two = record(result("5", ago=3 * HOUR), result("9", "beta", ago=HOUR))

    assert with_impossible_parts(of_two, pack()) is of_two
