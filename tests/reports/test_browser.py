# SPDX-License-Identifier: Apache-2.0
"""The page of reports in a real browser: from a file to the card that comes first, by keyboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page
from pypdfium2 import PdfDocument

from cds_service.settings import Settings
from tests.reports.corpus.reports import reports
from tests.web.browsing import NEEDS_BROWSER, WIDTHS, chromium, served
from tests.web.http_fixtures import app

TABLE = "Test;Wert;Einheit;Referenzbereich;Datum\nGPT;1,0;U/l;<40;14.06.2026\nGOT;30,5;U/L;10-35;\n"

pytestmark = NEEDS_BROWSER


@pytest.fixture(name="base")
def _base() -> Iterator[str]:
    with served(app(Settings(profile="development"))) as base:
        yield base


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(name="page", params=sorted(WIDTHS))
def _page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": WIDTHS[request.param], "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda one: complaints.append(one.text))
    page.on("pageerror", lambda one: complaints.append(str(one)))
    yield page
    context.close()
    # A browser reports the answer to a form with a mistake, which is asked for again.
    expected = ("favicon", "status of 400")
    assert [one for one in complaints if not any(word in one for word in expected)] == []


def assert_accessible(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


def test_from_a_file_to_the_card_that_comes_first(page: Page, base: str, tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    file.write_text(TABLE)
    page.goto(base)
    page.get_by_role("link", name="A report").click()
    assert_accessible(page)
    page.get_by_label("A file").set_input_files(file)
    page.get_by_role("button", name="Read the report").click()

    page.get_by_role("heading", name="Compare each row").wait_for()
    assert_accessible(page)
    page.get_by_label("Date of birth").fill("1980-01-02")
    page.get_by_label("GPT: I compared this row").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")

    page.wait_for_selector(".card")
    assert "Very low ALT (1.0 U/l)" in page.locator(".card h2").inner_text()
    assert page.locator(".newest svg, .newest .scale").count() > 0
    assert page.get_by_text("Not confirmed, and so not counted").count() == 1
    assert_accessible(page)
    with page.expect_download() as saved:
        page.get_by_role("link", name="save the rows as FHIR").click()
    assert saved.value.suggested_filename == "report.json"
    with PdfDocument(page.pdf(format="A4")) as printed:
        texts = [sheet.get_textpage().get_text_range() for sheet in printed]
    assert "Very low ALT" in texts[0]
    assert "resourceType" not in "".join(texts)  # what only an integrator reads


def test_pictures_stay_after_a_mistake_and_days_have_trends(
    page: Page, base: str, tmp_path: Path
) -> None:
    one = next(one for one in reports() if one.name == "cumulative-de-0")
    file = tmp_path / "report.pdf"
    file.write_bytes(one.pdf)
    page.goto(f"{base}/report")
    page.get_by_label("A file").set_input_files(file)
    page.get_by_role("button", name="Read the report").click()

    page.locator("svg.page image").wait_for()
    assert_accessible(page)
    page.get_by_role("button", name="Show what comes first").click()
    page.get_by_text("This did not work").wait_for()
    assert page.locator("svg.page image").count() == 1
    assert_accessible(page)
    for row in page.locator("table.rows tbody tr:not(.open) input[type=checkbox]").all():
        row.check()
    page.get_by_role("button", name="Show what comes first").click()

    page.locator("#trends svg").first.wait_for()
    assert_accessible(page)


def test_columns_are_corrected_by_keyboard(page: Page, base: str) -> None:
    page.goto(f"{base}/report")
    page.get_by_label("copied from a page").fill(TABLE.replace("Einheit", "Favourite"))
    page.get_by_role("button", name="Read the report").click()
    page.get_by_text("What the columns were taken for").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Favourite").select_option("unit")
    assert_accessible(page)
    page.get_by_role("button", name="Read it again like this").press("Enter")

    page.get_by_label("GPT: unit").wait_for()
    page.wait_for_function("document.querySelector('[name=unit-0]').value === 'U/l'")
