# SPDX-License-Identifier: Apache-2.0
"""The page of feedback: counts and plots of every rule, and nothing that a clinician wrote."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cds_service.settings import Settings, shows_feedback
from tests.feedback.service import Clinic, clinic, item, version_of
from tests.trust.signing import registration, site
from tests.web.http_fixtures import NAME


@pytest.fixture(name="place")
def _place() -> Iterator[Clinic]:
    place = clinic("sqlite://", silence_days=0)
    yield place
    place.close()


def reasoned(code: str, **more: object) -> dict[str, Any]:
    return {"overrideReason": {"reason": {"code": code, **more}, "userComment": NAME}}


def test_an_empty_page_says_so(place: Clinic) -> None:
    response = place.http.get("/feedback")

    assert response.status_code == 200
    assert "No card has been shown yet." in response.text
    assert "style-src 'self'" in response.headers["Content-Security-Policy"]


def test_the_page_shows_and_draws_what_became_of_cards(place: Clinic) -> None:
    cards = [place.call()["cards"][0]["uuid"] for _ in range(4)]
    place.send(
        item(cards[0], "accepted", acceptedSuggestions=[{"id": "s"}]),
        item(cards[1], **reasoned("patient-declined")),
        item(cards[2], **reasoned("patient-declined")),
        item("another"),
    )

    text = place.http.get("/feedback").text

    assert f"alt-very-low {version_of('alt-very-low')} · 4 cards shown" in text
    assert 'aria-label="1 accepted, 2 overridden, 1 without feedback"' in text
    assert re.findall(r'<rect class="(\w+)" x="([\d.]+)" y="0" width="([\d.]+)"', text) == [
        ("accepted", "0.0", "150.0"),
        ("overridden", "150.0", "300.0"),
        ("unanswered", "450.0", "150.0"),
        ("overridden", "0.0", "600.0"),
    ]
    assert "The patient declined" in text
    assert "Feedback also came for 1 card that" in text
    assert NAME not in text


def test_what_a_client_calls_a_reason_is_escaped(place: Clinic) -> None:
    (card,) = place.call()["cards"]
    place.send(item(card["uuid"], **reasoned("<script>", display="<img src=x onerror=a>")))

    text = place.http.get("/feedback").text

    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;img" in text


def test_the_page_can_be_had_as_json(place: Clinic) -> None:
    place.call()

    by_address = place.http.get("/feedback?format=json")
    by_header = place.http.get("/feedback", headers={"Accept": "application/json"})

    assert by_address.json == by_header.json
    assert json.loads(by_address.text)["rules"][0]["shown"] == 1


def test_the_page_is_there_only_where_nothing_leaves_the_machine_or_it_is_asked_for() -> None:
    public = "https://cds.example"
    shown = [
        shows_feedback(settings)
        for settings in (
            Settings(),
            Settings(public_url=public),
            Settings(public_url=public, profile="development"),
            Settings(public_url=public, feedback_page=True),
            Settings(feedback_page=False),
        )
    ]

    assert shown == [True, False, True, True, False]


def test_a_service_for_others_shows_it_only_if_it_is_asked_to(tmp_path: Path) -> None:
    def status(**more: object) -> int:
        own = {"database_url": SecretStr("sqlite://"), **more}
        return site(tmp_path, registration(), **own).http.get("/feedback").status_code

    assert status() == 404
    assert status(feedback_page=True) == 200
