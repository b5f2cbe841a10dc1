# SPDX-License-Identifier: Apache-2.0
"""Site files for tests, and what the service answers under them."""

import json
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.reading.build import build_pack
from cds_service.knowledge.site.file import no_such_pack, read_site
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from cds_service.sourcefile.diagnostics import Problem
from cds_service.trials.site_check import check_site
from cds_service.web import create_app
from tests.knowledge.fixture_pack import letters_files
from tests.web.http_fixtures import NOW, SERVICE, Json, explained, read_once

EXAMPLE = Path(__file__).parents[2] / "docs" / "how-to" / "site-values.example.yaml"
HEAD = "pack: {pack}\nsite: General Hospital\nreviewed: 2026-11-24\n"


_LOADED: dict[str, Knowledge] = {}  # by the text of the site file


def value(change: str, at: str, to: str, instead_of: str) -> str:
    """One entry of `values:`."""
    return (
        f"  - change: {change}\n    at: {at}\n    to: {to}\n"
        f"    instead of: {instead_of}\n    because: Invented.\n"
    )


def site_file(folder: Path, body: str, pack: str = "liver") -> Path:
    """A site file with this body under a head."""
    path = folder / "site.yaml"
    path.write_text(HEAD.format(pack=pack) + body, encoding="utf-8")
    return path


def problems_at(path: Path) -> list[Problem]:
    """The problems of a site file for the invented pack."""
    files, site = letters_files(), read_site(path, "site.yaml")
    pack, _ = build_pack(files)
    assert pack is not None
    if site.shape.pack != pack.id:
        return [no_such_pack(site, [pack.id])]
    return list(check_site(files, site).problems)


def client_at(path: Path | None) -> FlaskClient:
    """A client of the service of a site, whose clock stands still."""
    app = create_app(settings_at(path), clock=lambda: NOW, knowledge=_knowledge_at(path))
    return app.test_client()


def liver_at(path: Path | None) -> Pack:
    """The liver pack of a site."""
    (pack,) = (pack for pack in _knowledge_at(path).packs if pack.id == "liver")
    return pack


def _knowledge_at(path: Path | None) -> Knowledge:
    text = path.read_text(encoding="utf-8") if path is not None else ""
    if text not in _LOADED:
        with read_once():
            _LOADED[text] = load_knowledge(settings_at(path))
    return _LOADED[text]


def settings_at(path: Path | None) -> Settings:
    """The settings of a site."""
    return Settings(profile="development", site_file=path)


def answer_at(path: Path | None, body: Json, service: str = SERVICE) -> Json:
    """The response with its explanation."""
    response = client_at(path).post(service, json=explained(body))
    assert response.status_code == 200, response.text
    found: dict[str, Any] = json.loads(response.text)
    return found


def card_of(answer: Json, rule: str) -> Json | None:
    """The card of a rule, if it is shown."""
    cards = (
        card
        for card in answer["cards"]
        if card["extension"]["org.cds-service.card"]["rule"] == rule
    )
    return next(cards, None)


def explanation_of(answer: Json) -> Json:
    """The explanation of a response."""
    found: Json = answer["extension"]["org.cds-service.explanation"]
    return found


def rule_in(answer: Json, rule: str) -> Json:
    """What the explanation says of a rule."""
    (found,) = (
        explained_rule
        for explained_rule in explanation_of(answer)["rules"]
        if explained_rule["rule"] == rule
    )
    return dict(found)


def orders_of(card: Json | None) -> dict[str, Json]:
    """The proposed ServiceRequests of a card by the text of their code."""
    resources = [
        suggestion["actions"][0]["resource"] for suggestion in (card or {}).get("suggestions", [])
    ]
    return {resource["code"]["text"]: resource for resource in resources}
