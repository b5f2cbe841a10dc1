# SPDX-License-Identifier: Apache-2.0
"""The pages in a real browser: accessible, nothing overflows, no script, at two widths."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from cds_service.catalogue.review import review_of
from cds_service.web.html.rendering import document
from tests.web.browsing import NEEDS_BROWSER, WIDTHS, assert_no_violation, chromium, served
from tests.web.http_fixtures import app, knowledge

PAGES = (
    "/",
    "/explain",
    "/explain/alt",
    "/explain/alt/1",
    "/explain/alt/250?ast=300",
    "/explain/total-bilirubin/5?units=SI",
    "/explain/ck/300",
    "/explain/alt/nothing",
    "/explain/SGTP",
    "/rules",
    "/rules/alt-very-low",
    "/rules/hys-law-pattern",
)

pytestmark = NEEDS_BROWSER


@pytest.fixture(name="base", scope="module")
def _base() -> Iterator[str]:
    with served(app()) as base:
        yield base


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(name="page", params=sorted(WIDTHS))
def _page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    size = {"width": WIDTHS[request.param], "height": 800}
    context = browser.new_context(viewport=size)  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("address", PAGES)
def test_a_page_has_no_violation_and_fits(page: Page, base: str, address: str) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(base + address)

    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert_no_violation(page)
    too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert too_wide <= 0
    asked_for = [
        complaint
        for complaint in complaints
        if "favicon" not in complaint and "status of 40" not in complaint
    ]
    assert [complaint for complaint in asked_for if "Content Security Policy" in complaint] == []


@pytest.mark.parametrize("address", ["/rules/alt-very-low", "/rules/hys-law-pattern"])
def test_no_case_of_a_rule_is_cut_off(page: Page, base: str, address: str) -> None:
    page.goto(base + address)

    hidden = "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
    assert page.locator(".scroll").count() > 0
    assert page.locator(".scroll").evaluate_all(hidden) == 0


def test_the_form_asks_for_another_value(page: Page, base: str) -> None:
    page.goto(f"{base}/explain/alt/1")

    page.fill("#value", "250")
    page.get_by_text("Other results", exact=True).click()
    page.get_by_label("AST, value").fill("300")
    page.get_by_role("button", name="Show").click()

    page.wait_for_url(lambda url: "value=250" in url)
    assert page.locator("h1").inner_text() == (
        "ALT 250 U/L: very high (graded moderate: 6.25 × the limit)"
    )
    assert "AST" in page.locator("table.facts").first.inner_text()


def test_the_start_page_takes_a_test_and_its_value(page: Page, base: str) -> None:
    page.goto(base)

    page.get_by_label("Which test, which value?").fill("SGPT 250 U/L")
    page.keyboard.press("Enter")

    page.wait_for_url("**/explain/alt/**")
    assert page.locator("h1").inner_text().startswith("ALT 250 U/L: very high")


def test_the_scale_lies_on_a_desk_and_stands_on_a_phone(page: Page, base: str) -> None:
    page.goto(f"{base}/explain/alt/1")

    shown = [page.locator(name).is_visible() for name in ("svg.horizontal", "svg.vertical")]
    viewport = page.viewport_size
    assert viewport is not None
    assert shown == ([False, True] if viewport["width"] < 640 else [True, False])


def test_the_keyboard_reaches_the_content_first(page: Page, base: str) -> None:
    page.goto(f"{base}/explain/alt/1")
    page.keyboard.press("Tab")

    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"


@pytest.fixture(name="review", scope="module")
def _review(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the review of a pack, which has every rule on one page."""
    file = tmp_path_factory.mktemp("review") / "review.html"
    view = review_of(knowledge(), "liver")
    file.write_text(document("review.html", {"view": view}), encoding="utf-8")
    return file.as_uri()


def test_the_review_of_a_pack_has_no_violation_and_fits(page: Page, review: str) -> None:
    page.goto(review)

    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert_no_violation(page, {"rules": {"color-contrast": {"enabled": False}}})
    # Of thousands of texts the contrast takes a minute, and rules of one severity look alike.
    left = page.evaluate(
        """["critical", "warning", "info"].map(severity => {
            const rules = [...document.querySelectorAll(`.rule.${severity}`)];
            rules.slice(1).forEach(rule => rule.remove());
            return document.querySelectorAll(`.rule.${severity}`).length;
        })"""
    )
    assert left == [1, 1, 1]
    assert_no_violation(page, {"runOnly": {"type": "rule", "values": ["color-contrast"]}})
