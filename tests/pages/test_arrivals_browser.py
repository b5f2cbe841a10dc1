# SPDX-License-Identifier: Apache-2.0
"""The page of what arrives in a real browser: full, empty and without a database."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from cds_service.errors import StoreError
from cds_service.subscriptions.overview import Overview
from tests.pages.test_arrivals import PAGE, Place, service, subscribed
from tests.subscriptions.kept_decisions import critical, keep, unknown_rule, very_low
from tests.web.browsing import NEEDS_BROWSER, WIDTHS, assert_no_violation, chromium, served
from tests.web.http_fixtures import NOW

pytestmark = NEEDS_BROWSER

LONG = "https://a-server-with-a-long-name.of-a-department.of-a-hospital.example.org/organisation/r4"


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


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Iterator[Place]:
    with service(tmp_path) as place:
        yield place


def fill(place: Place) -> None:
    """Subscriptions that are well and that are not, and decisions of every kind."""
    place.add(
        subscribed(),
        subscribed(
            path="another",
            server=LONG,
            kind="topic",
            what=f"{LONG}/topic",
            status="error",
            last_received=None,
            heartbeat_seconds=60,
            expires=NOW + timedelta(days=1),
        ),
    )
    keep(place.store, very_low(), critical(), unknown_rule())
    keep(place.store, very_low()[:1], server=LONG, mode="on", written="failed", problem="refused")


def assert_good(page: Page, base: str) -> None:
    """No violation of accessibility in light or dark, nothing too wide, and no script."""
    page.goto(base + PAGE)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert_no_violation(page)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert page.locator("script").count() == 0


def test_a_full_page_has_no_violation_and_fits(page: Page, place: Place) -> None:
    fill(place)
    with served(place.http.application) as base:
        assert_good(page, base)

        assert page.locator("ol.decided > li").count() == 4


def test_an_empty_page_has_no_violation_and_fits(page: Page, place: Place) -> None:
    with served(place.http.application) as base:
        assert_good(page, base)


def test_a_page_without_a_database_has_no_violation_and_fits(
    page: Page, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Overview) -> None:
        raise StoreError("The database does not answer.")

    monkeypatch.setattr(Overview, "without_patients", away)
    with served(place.http.application) as base:
        assert_good(page, base)

        assert "The database does not answer." in page.locator("main").inner_text()


def test_the_keyboard_reaches_the_rules(page: Page, place: Place) -> None:
    fill(place)
    with served(place.http.application) as base:
        page.goto(base + PAGE)
        reached = []
        for _ in range(12):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.getAttribute('href')"))

        assert reached[0] == "#main"
        assert {"/rules/alt-very-low", "/rules/hys-law-pattern"} <= set(reached)
        page.locator("a[href='/rules/hys-law-pattern']").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/rules/hys-law-pattern")
