# SPDX-License-Identifier: Apache-2.0
"""The page about a population in a real browser: accessible, nothing overflows, at two widths."""

from pathlib import Path

import pytest

from tests.screening.test_report import FROM_TO, export_of, page_of
from tests.web.browsing import NEEDS_BROWSER, WIDTHS, assert_no_violation, chromium

pytestmark = NEEDS_BROWSER


@pytest.mark.browser
def test_the_page_has_no_violation_and_fits(tmp_path: Path) -> None:
    page_of(export_of(tmp_path, raised=6, low=6, fine=6), *FROM_TO, "--look-back")
    address = (tmp_path / "out" / "report.html").as_uri()
    complaints: list[str] = []
    with chromium() as browser:
        for width in WIDTHS.values():
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    viewport={"width": width, "height": 800},
                    color_scheme=scheme,
                )
                page = context.new_page()
                page.on("console", lambda message: complaints.append(message.text))
                page.goto(address)

                assert_no_violation(page)
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                context.close()
    assert complaints == []
