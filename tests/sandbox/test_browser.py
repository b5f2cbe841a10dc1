# SPDX-License-Identifier: Apache-2.0
"""The sandbox in a real browser: the ways in, feedback that is kept, the keyboard, the policy."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from cds_service.settings import Settings
from cds_service.store import open_store
from cds_service.web import create_app
from tests.sandbox.fake_fhir_server import history, running
from tests.web.browsing import NEEDS_BROWSER, WIDTHS, assert_no_violation, chromium, served
from tests.web.http_fixtures import ALT, NOW, PATIENT, bundle, knowledge, observation, patient

HOSTILE = (
    "\"'><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
)

pytestmark = NEEDS_BROWSER


@dataclass
class Served:
    """A service with an empty store."""

    base: str
    file: Path
    complaints: list[str] = field(default_factory=list)

    def events(self) -> list[dict[str, Any]]:
        """Every event of feedback that is in the store."""
        with closing(sqlite3.connect(self.file)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM feedback")]


@pytest.fixture(name="served")
def _served(tmp_path: Path) -> Iterator[Served]:
    file = tmp_path / "service.db"
    store = open_store(f"sqlite:///{file}")
    application = create_app(
        Settings(profile="development"), clock=lambda: NOW, knowledge=knowledge(), store=store
    )
    with served(application) as base:
        yield Served(base, file)


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def context_of(browser: Browser, width: str, **more: Any) -> BrowserContext:
    return browser.new_context(viewport={"width": WIDTHS[width], "height": 800}, **more)


@pytest.fixture(name="page", params=sorted(WIDTHS))
def _page(browser: Browser, served: Served, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = context_of(browser, request.param)
    page = context.new_page()
    page.on("console", lambda message: served.complaints.append(message.text))
    page.on("pageerror", lambda error: served.complaints.append(str(error)))
    yield page
    context.close()
    assert [
        complaint
        for complaint in served.complaints
        if "favicon" not in complaint and "status of 4" not in complaint
    ] == []


def assert_accessible(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert_no_violation(page)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


def choose(page: Page, served: Served, title: str) -> None:
    page.goto(f"{served.base}/sandbox")
    page.get_by_label(title).check()
    page.locator("section[aria-labelledby=of-pack]").get_by_role("button").click()
    page.wait_for_selector(".card")


def test_a_bundled_patient_leads_to_cards_and_feedback_is_kept(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/")
    page.get_by_role("link", name="Sandbox").click()
    assert_accessible(page)
    choose(page, served, "ALT 1 U/L. Is that low?")
    assert page.locator("h1").inner_text() == "One card"
    assert "Very low ALT" in page.locator(".card h2").inner_text()
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert_accessible(page)

    page.get_by_role("button", name="Accept: Repeat ALT within 14 days").click()
    page.get_by_text("Accepted. Posted to").wait_for()
    page.get_by_label("Reason").select_option(label="Already known")
    page.get_by_label("Comment").fill("seen last week")
    page.get_by_role("button", name="Dismiss").click()
    page.get_by_text("Dismissed. Posted to /cds-services/liver-patient-view/feedback").wait_for()

    accepted, overridden = sorted(served.events(), key=lambda event: str(event["outcome"]))
    assert (accepted["outcome"], overridden["outcome"]) == ("accepted", "overridden")
    assert accepted["card"] == overridden["card"]
    assert overridden["reason_code"] == "already-known"
    assert overridden["comment"] == "seen last week"


def test_a_pasted_bundle_is_drawn_over_time(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/sandbox")
    page.get_by_label("A FHIR Bundle").fill(json.dumps(bundle(*history())))
    page.locator("section[aria-labelledby=of-text]").get_by_role("button", name="Show").click()

    page.wait_for_selector(".trend svg")
    assert page.locator(".trend circle").count() == 3
    assert page.locator(".trend tbody tr").count() == 3
    assert page.locator(".trend .limit").count() == 1
    assert_accessible(page)


def test_what_is_no_json_is_said_and_the_text_stays(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/sandbox")
    page.get_by_label("A FHIR Bundle").fill('{"resourceType":')
    page.locator("section[aria-labelledby=of-text]").get_by_role("button", name="Show").click()

    assert "not valid JSON" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("A FHIR Bundle").input_value() == '{"resourceType":'
    assert_accessible(page)


def test_a_file_is_dropped(page: Page, served: Served, tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(bundle(patient(), observation(ALT, 1))), encoding="utf-8")
    page.goto(f"{served.base}/sandbox")
    handle = page.evaluate_handle(
        """text => { const data = new DataTransfer();
        data.items.add(new File([text], 'bundle.json')); return data; }""",
        file.read_text(encoding="utf-8"),
    )
    page.dispatch_event("[data-drop]", "drop", {"dataTransfer": handle})
    page.locator("section[aria-labelledby=of-text]").get_by_role("button", name="Show").click()

    assert page.locator("h1").inner_text() == "One card"


def test_a_patient_of_a_server_is_found_and_shown(page: Page, served: Served) -> None:
    with running() as server:
        server.resources = history()
        page.goto(f"{served.base}/sandbox")
        page.get_by_label("Base URL").fill(server.base)
        page.get_by_label("Name or id").fill("zztest")
        page.get_by_role("button", name="Find patients").click()
        assert page.evaluate("document.activeElement.id") == "found"
        assert_accessible(page)
        page.get_by_role("button", name="ZZTESTNAME").click()

        page.wait_for_selector(".card")
        assert page.locator(".query").count() == 6
        assert_accessible(page)
        assert PATIENT not in page.url


def test_the_keyboard_is_enough(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/sandbox")
    page.get_by_label("ALT 1 U/L. Is that low?").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    page.wait_for_selector(".card.critical")
    page.get_by_role("button", name="Accept: INR").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Accepted. Posted to").wait_for()
    assert [event["outcome"] for event in served.events()] == ["accepted"]


def test_enter_in_the_comment_dismisses(page: Page, served: Served) -> None:
    choose(page, served, "ALT 1 U/L. Is that low?")
    page.get_by_text("Dismiss this card").click()
    page.get_by_label("Comment").fill("no")
    page.keyboard.press("Enter")

    page.get_by_text("Dismissed. Posted to").wait_for()
    assert [event["outcome"] for event in served.events()] == ["overridden"]


def test_nothing_that_was_sent_runs(page: Page, served: Served) -> None:
    hostile = observation(ALT, 2, HOSTILE, note=[{"text": HOSTILE}])
    with running() as server:
        server.resources = [patient(name=[{"text": HOSTILE}]), observation(ALT, 1), hostile]
        page.goto(f"{served.base}/sandbox")
        page.get_by_label("Base URL").fill(server.base)
        page.get_by_role("button", name="Find patients").click()
        page.locator(".people button").click()
        page.wait_for_selector(".card")

    assert "taken" not in page.title()
    assert page.locator("main img, main script").count() == 0


def test_it_works_without_script(browser: Browser, served: Served) -> None:
    context = context_of(browser, "desktop", java_script_enabled=False)
    page = context.new_page()
    choose(page, served, "ALT 1 U/L. Is that low?")
    with context.expect_page() as told:
        page.get_by_role("button", name="Accept: Repeat ALT within 14 days").click()
    assert told.value.locator("h1").inner_text() == "Feedback was kept"
    page.get_by_text("Dismiss this card").click()
    page.get_by_label("Reason").select_option(label="Already known")
    with context.expect_page() as told:
        page.get_by_role("button", name="Dismiss").click()
    assert told.value.locator("h1").inner_text() == "Feedback was kept"

    assert sorted(str(event["outcome"]) for event in served.events()) == ["accepted", "overridden"]
    context.close()


def test_enter_in_the_comment_dismisses_without_script_too(
    browser: Browser, served: Served
) -> None:
    context = context_of(browser, "desktop", java_script_enabled=False)
    page = context.new_page()
    choose(page, served, "ALT 1 U/L. Is that low?")
    page.get_by_text("Dismiss this card").click()
    page.get_by_label("Comment").fill("seen elsewhere")
    with context.expect_page() as told:
        page.get_by_label("Comment").press("Enter")
    assert told.value.locator("h1").inner_text() == "Feedback was kept"

    assert [str(event["outcome"]) for event in served.events()] == ["overridden"]
    context.close()
