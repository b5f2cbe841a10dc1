# SPDX-License-Identifier: Apache-2.0
"""The warning about rules that ask for any of several markers but are about fewer of them."""

from fractions import Fraction

import pytest

from cds_service.copying import replace
from cds_service.knowledge.checking.frames import narrow_indexes
from cds_service.knowledge.model.bounds import TimesLimit
from cds_service.knowledge.model.conditions import AnyOf, Condition, PatternIs
from cds_service.knowledge.model.leaves import Compare
from tests.knowledge.fixture_pack import LETTERS, letters, letters_files

TWICE = TimesLimit(Fraction(2), "upper limit")
EITHER = Compare(("alpha", "beta"), "above", TWICE)
LINES = AnyOf((Compare(("alpha",), "above", TWICE), Compare(("beta",), "above", TWICE)))


@pytest.mark.parametrize("when", [EITHER, LINES, PatternIs("either", LINES, answer=True)])
@pytest.mark.parametrize(
    ("about", "warned"), [(("alpha",), True), (("alpha", "beta"), False), (("gamma",), False)]
)
def test_it_is_about_some_of_them(when: Condition, about: tuple[str, ...], warned: bool) -> None:
    pack = letters()
    rule = replace(pack.rules["alpha-high"], when=when, about=about)
    pack = replace(pack, rules={rule.id: rule})

    found = list(narrow_indexes(pack, letters_files(LETTERS).documents))

    assert [problem.code for problem in found] == (["K208"] if warned else [])
