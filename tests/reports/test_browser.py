# SPDX-License-Identifier: Apache-2.0
"""The page of reports in a real browser: from a file to the card that comes first, by keyboard."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page
from pypdfium2 import PdfDocument

from cds_service.settings import Settings
from tests.reports.corpus.reports import reports
from tests.web.browsing import NEEDS_BROWSER, WIDTHS, assert_no_violation, chromium, served
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
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    # A browser reports the answer to a form with a mistake, which is asked for again.
    expected = ("favicon", "status of 400")
    assert [
        complaint for complaint in complaints if not any(word in complaint for word in expected)
    ] == []


def assert_accessible(page: Page) -> None:
    """By axe, in the dark for its colors alone; and nothing is beyond the edge."""
    page.emulate_media(color_scheme="light")
    assert_no_violation(page)
    page.emulate_media(color_scheme="dark")
    assert_no_violation(page, {"runOnly": ["color-contrast", "link-in-text-block"]})
    assert_fits(page)


def assert_fits(page: Page) -> None:
    """Nothing is beyond the edge, nor has to be scrolled to sideways on a phone."""
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert page.viewport_size is not None
    if page.viewport_size["width"] == WIDTHS["phone"]:
        wide = "[...document.querySelectorAll('.scroll:has(.rows)')]"
        assert page.evaluate(f"{wide}.every((one) => one.scrollWidth <= one.clientWidth)")


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
    report = next(candidate for candidate in reports() if candidate.name == "cumulative-de-0")
    file = tmp_path / "report.pdf"
    file.write_bytes(report.pdf)
    page.goto(f"{base}/report")
    page.get_by_label("A file").set_input_files(file)
    page.get_by_role("button", name="Read the report").click()

    page.locator("svg.page image").wait_for()
    assert_accessible(page)
    page.get_by_role("button", name="Show what comes first").click()
    page.get_by_text("This did not work").wait_for()
    assert page.locator("svg.page image").count() == 1
    assert_fits(page)
    right = "table.rows tbody tr:not(.open) input[type=checkbox]"
    page.evaluate(f"document.querySelectorAll('{right}').forEach((one) => one.click())")
    page.get_by_role("button", name="Show what comes first").click()

    page.locator("#trends svg").first.wait_for()
    assert_accessible(page)


def test_a_row_that_cannot_be_read_is_where_one_goes_on(page: Page, base: str) -> None:
    page.goto(f"{base}/report")
    page.get_by_label("copied from a page").fill(TABLE.replace("30,5", "1:30"))
    page.get_by_role("button", name="Read the report").click()
    for name in ("GPT", "GOT"):
        page.get_by_label(f"{name}: I compared this row").check()
        page.get_by_label(f"{name}: date").fill("2026-06-14")
    page.get_by_role("button", name="Show what comes first").click()

    page.get_by_text("GOT: Expected a number").wait_for()
    wrong = page.get_by_label("GOT: value")
    assert wrong.get_attribute("aria-invalid") == "true"
    assert wrong.evaluate("one => one === document.activeElement")
    assert page.get_by_label("GPT: value").get_attribute("aria-invalid") is None


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


MOST_CLICKS = 4  # beside a tick for each row: the page, the file, two buttons
MOST_WORDS = 150  # to read until the first advice, beside the rows; people read 200 in a minute


def words_of(page: Page, *places: str) -> int:
    return sum(len(text.split()) for at in places for text in page.locator(at).all_inner_texts())


def is_in_sight(page: Page, found: Locator) -> bool:
    """Whether all of it is seen without scrolling."""
    box, view = found.bounding_box(), page.viewport_size
    assert box is not None
    assert view is not None
    return box["y"] >= 0 and box["y"] + box["height"] <= view["height"]


def dropped(page: Page, file: Path) -> None:
    """Drop a file where nothing else is, as a hand would from the desktop."""
    data = page.evaluate_handle(
        """(text) => {
          const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
          const held = new DataTransfer();
          held.items.add(new File([bytes], "report.pdf", { type: "application/pdf" }));
          return held;
        }""",
        b64encode(file.read_bytes()).decode(),
    )
    page.dispatch_event("h1", "dragover", {"dataTransfer": data})
    page.dispatch_event("h1", "drop", {"dataTransfer": data})


@pytest.mark.parametrize(("door", "way"), [("", "chosen"), ("/sandbox", "dropped")])
def test_somebody_new_sees_what_comes_first(
    page: Page, base: str, tmp_path: Path, door: str, way: str
) -> None:
    """By what the pages say alone; every row is looked at, since none is ticked before."""
    file = tmp_path / "report.pdf"
    file.write_bytes(next(report for report in reports() if report.name == "labels-above-en-0").pdf)
    clicks = 0
    page.goto(f"{base}{door}")
    page.get_by_role("link", name="A report").first.click()
    words = words_of(page, "h1", ".lead", "main > p", "form label", "form button")
    if way == "chosen":
        assert is_in_sight(page, page.get_by_label("A file: PDF"))
        page.get_by_label("A file: PDF").set_input_files(file)
        page.get_by_role("button", name="Read the report").click()
        clicks += 1
    else:
        dropped(page, file)
    clicks += 2

    page.get_by_role("heading", name="Compare each row").wait_for()
    assert_fits(page)
    words += words_of(page, "h1", ".lead", ".note", ".send")
    send = page.get_by_role("button", name="Show what comes first")
    rows = page.locator("table.rows").first.get_by_role("checkbox")
    assert rows.count() > 5
    assert not any(row.is_checked() for row in rows.all())
    for row in rows.all():
        row.check()
        assert is_in_sight(page, send)  # it waits where the person is
    send.click()
    clicks += 1

    first = page.locator(".card h2").first
    first.wait_for()
    assert is_in_sight(page, first)
    words += words_of(page, ".hero h1", ".hero p")
    assert clicks <= MOST_CLICKS
    assert words <= MOST_WORDS
    assert page.locator(".hero", has_text="patient-view").count() == 0


def test_columns_that_are_not_known_are_said_and_kept(
    page: Page, base: str, tmp_path: Path
) -> None:
    headings = "Was;Messung;Masse;Grenzen;Tag"
    table = f"{headings}\nGPT;1,5;U/l;7-40;14.06.2026\nGOT;30,5;U/L;10-35;14.06.2026\n"
    page.goto(f"{base}/report")
    page.get_by_label("copied from a page").fill(table)
    page.get_by_role("button", name="Read the report").click()

    page.get_by_role("heading", name="Say what the columns are").wait_for()
    assert_accessible(page)
    chosen = [page.get_by_label(heading).input_value() for heading in headings.split(";")]
    assert chosen == ["test", "value", "unit", "range", "collected"]
    page.get_by_label("Tag").select_option("collected")
    page.get_by_role("button", name="Read it like this").click()
    page.get_by_label("GPT: value").wait_for()
    assert page.get_by_label("GPT: value").input_value() == "1.5"

    page.get_by_text("What the columns were taken for").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save these columns").click()
    kept = tmp_path / "laboratory.yaml"
    saved.value.save_as(kept)
    page.goto(f"{base}/report")
    page.get_by_label("copied from a page").fill(table.replace("1,5", "2,5"))
    page.get_by_text("A file of columns, kept").click()
    page.get_by_label("The file of columns").set_input_files(kept)
    page.get_by_role("button", name="Read the report").click()
    page.get_by_label("GPT: value").wait_for()
    assert page.get_by_label("GPT: value").input_value() == "2.5"
