# SPDX-License-Identifier: Apache-2.0
"""A page of another origin in a browser finds, calls and tells as the public sandbox does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page

from cds_service.clock import system_clock
from cds_service.trials.examples import example_request
from tests.conformance.server import serving
from tests.web.browsing import NEEDS_BROWSER, chromium
from tests.web.http_fixtures import knowledge

pytestmark = [*NEEDS_BROWSER, pytest.mark.server]
ID = "liver-patient-view"
# Its calls carry a token, which makes the browser ask first.
ASK = """async ([address, body]) => {
  const headers = {"Authorization": "Bearer x.y.z", "Content-Type": "application/json"};
  const more = body === null ? {} : {method: "POST", body: JSON.stringify(body)};
  const response = await fetch(address, {headers, ...more});
  return await response.json();
}"""


class _Blank(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture(name="port", scope="module")
def _port() -> Iterator[int]:
    """Where a page of another origin is."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Blank)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(name="base", scope="module")
def _base(port: int) -> Iterator[str]:
    origin = f"http://127.0.0.1:{port}"
    with serving(profile="development", development_origins=origin) as service:
        yield f"http://127.0.0.1:{service}"


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def example() -> Any:
    """A call of now, for a server whose clock runs."""
    pack = knowledge().packs[0]
    return json.loads(example_request(pack, pack.examples[0], pack.services[0], system_clock()))


def ask(page: Page, address: str, body: Any = None) -> Any:
    return page.evaluate(ASK, [address, body])


def test_a_page_of_the_origin_finds_calls_and_tells(browser: Browser, base: str, port: int) -> None:
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{port}/")

    services = ask(page, f"{base}/cds-services")["services"]
    (card,) = ask(page, f"{base}/cds-services/{ID}", example())["cards"]
    event = {
        "card": card["uuid"],
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-30T08:00:00Z",
    }
    told = ask(page, f"{base}/cds-services/{ID}/feedback", {"feedback": [event]})

    assert ID in {service["id"] for service in services}
    assert told == {"received": 1}


def test_a_page_of_another_origin_is_kept_away_by_the_browser(
    browser: Browser, base: str, port: int
) -> None:
    page = browser.new_page()
    page.goto(f"http://localhost:{port}/")

    with pytest.raises(Error, match="Failed to fetch"):
        ask(page, f"{base}/cds-services")
