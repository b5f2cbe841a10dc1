# SPDX-License-Identifier: Apache-2.0
"""Cards in a second language: files alone make it, and no English sentence is left over."""

import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.knowledge.reading.messages import read_messages
from cds_service.service import load_knowledge
from cds_service.settings import Settings
from cds_service.web import create_app
from tests.house.source import ROOT
from tests.web.http_fixtures import ALT, NOW, SERVICE, call, founding, observation, read_once

GERMAN = ROOT / "tests" / "data" / "german"
ENGLISH = (ROOT / "cards" / "messages.en.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cards of the service with German beside English for one rule."""
    folder = tmp_path_factory.mktemp("german") / "cards"
    shutil.copytree(ROOT / "cards", folder)
    shutil.copy(GERMAN / "messages.de.yaml", folder)
    shutil.copy(GERMAN / "titles.de.yaml", folder / "liver")
    shutil.copy(GERMAN / "alt-very-low.de.md", folder / "liver" / "rules")
    return folder


@cache
def client(cards: Path, language: str) -> FlaskClient:
    settings = Settings(profile="development", cards=cards, language=language)
    with read_once():
        knowledge = load_knowledge(settings)
    app = create_app(settings, clock=lambda: NOW, knowledge=knowledge)
    return app.test_client()


def answer(cards: Path, language: str, body: Any) -> dict[str, Any]:
    response = client(cards, language).post(SERVICE, json=body)
    (card,) = json.loads(response.text)["cards"]
    found: dict[str, Any] = card
    return found


def english_pieces() -> set[str]:
    """The parts of English messages between placeholders that are two words or more."""
    messages, _ = read_messages(ENGLISH, "messages.en.yaml")
    assert messages is not None
    pieces = (
        piece.strip(" *()[];:,")
        for text in messages.formats.values()
        for piece in re.split(r"{[a-z_]+}", text)
    )
    return {piece for piece in pieces if len(piece.split()) > 1}


def test_a_card_is_in_the_language_of_the_setting(cards: Path) -> None:
    card = answer(cards, "de", founding())

    assert card["summary"].startswith("Sehr niedrige ALT (1 U/L): Wiederholung")
    assert "**Worauf das beruht**" in card["detail"]
    assert "- **ALT (GPT) 1 U/L**, 2026-06-14" in card["detail"]
    assert "das 0.03fache der Obergrenze 40 U/L" in card["detail"]
    assert [suggestion["label"] for suggestion in card["suggestions"]] == [
        "ALT wiederholen binnen 14 Tagen",
        "Vitamin B6 (PLP) binnen 14 Tagen",
        "Leberwerte binnen 14 Tagen",
        "INR binnen 14 Tagen",
    ]
    assert card["suggestions"][0]["actions"][0]["description"].startswith("Anfordern: ALT")


def test_no_english_message_is_left_in_it(cards: Path) -> None:
    preliminary = observation(ALT, 1, status="amended", issued="2026-06-14T08:00:00Z")
    del preliminary["effectiveDateTime"]
    request = call(preliminary, conditions=None)

    for body in (founding(), request):
        detail = answer(cards, "de", body)["detail"]
        assert {piece for piece in english_pieces() if piece in detail} == set()


def test_the_same_pack_answers_in_english_as_before(cards: Path) -> None:
    assert answer(cards, "en", founding()) == answer(ROOT / "cards", "en", founding())


def test_a_language_that_is_not_there_is_english(cards: Path) -> None:
    assert answer(cards, "xx", founding()) == answer(cards, "en", founding())
