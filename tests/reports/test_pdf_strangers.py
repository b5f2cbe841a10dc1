# SPDX-License-Identifier: Apache-2.0
"""Layouts made to mislead the reader of PDFs, which need a browser to be printed."""

from pathlib import Path

import pytest

from tests.reports.corpus import random_layouts, unseen
from tests.reports.corpus.reports import lookups
from tests.reports.corpus.scoring import Score
from tests.reports.corpus.strangers import judged, printed
from tests.web.browsing import NEEDS_BROWSER

ROOT = Path(__file__).parents[2]
pytestmark = [*NEEDS_BROWSER, pytest.mark.browser]


def test_no_wrong_value_is_read_from_layouts_that_mislead() -> None:
    known = lookups()
    guide = (ROOT / "docs" / "how-to" / "reports.md").read_text(encoding="utf-8")
    found = {name: judged(pdf, known) for name, pdf in printed()}

    assert {name: wrong for name, (_, wrong) in found.items() if wrong} == {}
    assert f"{sum(right for right, _ in found.values())} of {10 * len(found)} rows of the" in guide


def test_portals_and_laboratories_of_several_countries_are_read_without_a_wrong_value() -> None:
    known, score = lookups(), Score()
    guide = (ROOT / "docs" / "how-to" / "reports.md").read_text(encoding="utf-8")
    for report in unseen.printed():
        score.add(report.name, report.truth, unseen.read(report.pdf, known))

    assert score.wrong == []
    assert f"{score.found} of {score.rows} rows today" in guide


def test_nothing_else_than_is_printed_is_read_from_layouts_by_chance() -> None:
    known, score = lookups(), Score()
    for report in random_layouts.printed(range(24)):
        found = unseen.read(report.pdf, known)
        score.add(report.name, report.truth, found)

        assert random_layouts.contradictions(report.truth, found) == [], report.name
    assert score.share >= 80
