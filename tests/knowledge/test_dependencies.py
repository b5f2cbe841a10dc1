# SPDX-License-Identifier: Apache-2.0
"""What rules read: the parts of markers, the measures, and the facts behind facts."""

from fractions import Fraction

import pytest

from cds_service.knowledge.model import leaves
from cds_service.knowledge.model.bounds import (
    Earlier,
    Number,
    TimesLimit,
    TimesMarker,
    TimesPrevious,
)
from cds_service.knowledge.model.dependencies import (
    Dependencies,
    all_dependencies,
    dependencies_of,
    fact_closure,
)
from cds_service.knowledge.model.leaves import (
    Compare,
    Leaf,
    NoLimit,
    OtherMethod,
    Present,
    SexIs,
)
from cds_service.knowledge.model.marker_parts import MarkerPart, PartName, parts_of
from tests.knowledge.fixture_pack import letters

TWO = Fraction(2)
EARLIER = Earlier(1, 90)


def parts(*pairs: tuple[str, PartName]) -> tuple[MarkerPart, ...]:
    return tuple(MarkerPart(marker, part) for marker, part in pairs)


@pytest.mark.parametrize(
    ("leaf", "read"),
    [
        (Compare(("alpha",), "above", Number(TWO, "2")), parts(("alpha", "result"))),
        (
            Compare(("alpha", "beta"), "above", TimesLimit(TWO, "lower limit")),
            parts(
                ("alpha", "result"),
                ("alpha", "lower limit"),
                ("beta", "result"),
                ("beta", "lower limit"),
            ),
        ),
        (
            Compare(("alpha",), "above", TimesMarker(TWO, "beta"), EARLIER),
            (
                MarkerPart("alpha", "result"),
                MarkerPart("alpha", "previous", EARLIER),
                MarkerPart("beta", "result"),
            ),
        ),
        (Present("beta"), parts(("beta", "result"))),
        (Present("beta", since_index=True), parts(("beta", "later"))),
        (
            leaves.TestedBefore("alpha", EARLIER),
            (MarkerPart("alpha", "result"), MarkerPart("alpha", "previous", EARLIER)),
        ),
        (
            Compare(("alpha",), "below", TimesPrevious(TWO, EARLIER)),
            (MarkerPart("alpha", "result"), MarkerPart("alpha", "previous", EARLIER)),
        ),
        (
            leaves.PresentBeforeNow("alpha", 365),
            (MarkerPart("alpha", "recent", Earlier(0, 365)),),
        ),
        (
            OtherMethod("alpha", "with X", EARLIER),
            (MarkerPart("alpha", "result"), MarkerPart("alpha", "previous", EARLIER)),
        ),
        (
            NoLimit("alpha", "screening limit"),
            parts(("alpha", "result"), ("alpha", "screening limit")),
        ),
        (SexIs(("male",)), ()),
    ],
)
def test_a_leaf_names_the_parts_of_markers_that_it_reads(
    leaf: Leaf, read: tuple[MarkerPart, ...]
) -> None:
    assert parts_of(leaf) == read


def test_what_a_rule_reads_is_known() -> None:
    pack = letters()

    assert dependencies_of(pack.rules["alpha-high"], pack) == Dependencies(
        parts=parts(
            ("alpha", "result"),
            ("alpha", "upper limit"),
            ("beta", "result"),
            ("beta", "lower limit"),
        ),
        measures=(),
        facts=("delta-disease", "on-gammazine", "any-risk"),
    )


def test_what_its_cards_and_orders_draw_on_is_known_too() -> None:
    pack = letters()
    needed = all_dependencies([pack.rules["alpha-very-high"]], pack)

    assert needed == Dependencies(
        parts=parts(
            ("alpha", "result"), ("alpha", "upper limit"), ("beta", "later"), ("beta", "result")
        ),
        measures=("alpha-beta-ratio",),
        facts=(),
    )
    assert needed.markers == ("alpha", "beta")


def test_a_fact_brings_the_facts_it_is_made_of() -> None:
    assert fact_closure(["any-risk", "delta-disease"], letters()) == (
        "any-risk",
        "delta-disease",
        "on-gammazine",
    )
    assert fact_closure(["on-gammazine"], letters()) == ("on-gammazine",)
