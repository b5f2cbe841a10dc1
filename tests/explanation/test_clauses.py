# SPDX-License-Identifier: Apache-2.0
"""Conditions as words with titles for ids."""

from fractions import Fraction

import pytest

from cds_service.copying import replace
from cds_service.explanation.clauses import leaf_text
from cds_service.knowledge.model.bounds import Number, TimesMarker
from cds_service.knowledge.model.leaves import (
    Compare,
    FactIs,
    Leaf,
    SexIs,
)
from tests.knowledge.fixture_pack import letters

SEVEN = Number(Fraction(7), "7 U/L")
PACK = letters()


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        (Compare(("alpha",), "above", SEVEN), "Alpha: above 7 U/L"),
        (Compare(("alpha", "beta"), "above", SEVEN), "Alpha or Beta: above 7 U/L"),
        (Compare(("alpha",), "above", TimesMarker(Fraction(2), "beta")), "Alpha: above 2 x Beta"),
        (SexIs(("male", "unknown")), "Sex: male or unknown"),
    ],
)
def test_a_condition_is_written_with_titles(leaf: Leaf, text: str) -> None:
    assert leaf_text(leaf, PACK) == text


def test_only_the_other_marker_gets_its_title_not_words_that_hold_its_id() -> None:
    at = replace(PACK.markers["beta"], id="at", title="Antithrombin")
    pack = replace(PACK, markers={**PACK.markers, "at": at})

    text = leaf_text(Compare(("alpha",), "at least", TimesMarker(Fraction(2), "at")), pack)

    assert text == "Alpha: at least 2 x Antithrombin"


def test_a_fact_has_its_title() -> None:
    title = PACK.facts["on-gammazine"].title

    text = leaf_text(FactIs("on-gammazine", answer=True), PACK)

    assert text == f"{title[:1].upper()}{title[1:]}: yes"
