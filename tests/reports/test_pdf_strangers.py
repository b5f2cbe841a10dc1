# SPDX-License-Identifier: Apache-2.0
"""Layouts made to mislead the reader of PDFs, which need a browser to be printed."""

import pytest

from tests.reports.corpus.reports import lookups
from tests.reports.corpus.strangers import judged, printed
from tests.web.browsing import NEEDS_BROWSER

pytestmark = [*NEEDS_BROWSER, pytest.mark.browser]


def test_no_wrong_value_is_read_from_layouts_that_mislead() -> None:
    known = lookups()
    assert {name: wrong for name, pdf in printed() if (wrong := judged(pdf, known)[1])} == {}
