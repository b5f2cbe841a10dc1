# SPDX-License-Identifier: Apache-2.0
"""A service on loopback within this process, and the Chromium of this machine to look at it."""

import logging
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = {"phone": 360, "desktop": 1280}
FOUND = next((path for name in BROWSERS if (path := shutil.which(name))), None)

NEEDS_BROWSER = [
    pytest.mark.skipif(FOUND is None, reason=f"no Chromium: install one of {', '.join(BROWSERS)}"),
    pytest.mark.xdist_group("browser"),
]


@contextmanager
def served(application: Flask) -> Iterator[str]:
    """The base URL of the application until the block ends."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser until the block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=FOUND, args=["--no-sandbox"])
        yield browser
        browser.close()


def assert_no_violation(page: Page, options: Mapping[str, Any] | None = None) -> None:
    """Axe finds nothing to complain of, with these options of its `run`."""
    # What passes is not described: of a long page that takes half of the time.
    results = Axe().run(page, options={"resultTypes": ["violations"], **(options or {})})
    assert results.violations_count == 0, results.generate_report()
