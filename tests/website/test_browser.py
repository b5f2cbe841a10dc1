# SPDX-License-Identifier: Apache-2.0
"""The built site in a browser: the search finds, pages are accessible, no other host is asked."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.browsing import NEEDS_BROWSER, WIDTHS, assert_no_violation, chromium
from website.build import build

pytestmark = NEEDS_BROWSER
# The theme gives two lists of one section the same name.
NOT_OURS = {"rules": {"landmark-unique": {"enabled": False}}}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    site = tmp_path_factory.mktemp("site") / "site"
    build(site)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(name="page", params=sorted(WIDTHS))
def _page(browser: Browser, base: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page whose requests all went to the site."""
    size = {"width": WIDTHS[request.param], "height": 800}
    context = browser.new_context(viewport=size)  # type: ignore[arg-type]
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    elsewhere = [url for url in asked if url.startswith("http") and not url.startswith(base)]
    assert elsewhere == []


def test_the_search_finds_a_rule_and_opens_it(page: Page, base: str) -> None:
    page.goto(base + "/index.html")
    button = ".md-search__button:visible, .md-header__button[for=__search]:visible"

    page.locator(button).click()
    page.wait_for_function("document.activeElement !== document.body")  # it takes what is typed
    page.keyboard.type("ALT")
    # The list of what was found is out of reach of a test; Enter takes the first of it.
    for _ in range(150):
        page.keyboard.press("Enter")
        page.wait_for_timeout(200)
        if "/rules/" in page.url:
            break

    # The address is that of the rule before its page is there.
    expect(page.locator("h1")).to_contain_text("ALT", timeout=30_000)
    expect(page.get_by_role("heading", name="A card appears when")).to_be_visible(timeout=30_000)


@pytest.mark.parametrize("address", ["/index.html", "/rules/alt-very-low.html", "/capacity.html"])
def test_a_page_has_no_violation_and_fits(page: Page, base: str, address: str) -> None:
    is_phone = page.viewport_size is not None and page.viewport_size["width"] < 640
    page.emulate_media(color_scheme="light" if is_phone else "dark")
    page.goto(base + address)

    assert_no_violation(page, NOT_OURS)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
