# SPDX-License-Identifier: Apache-2.0
"""What the README shows is what the service does, and what it points to is there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cds_service.cli.card_text import cards_as_text
from cds_service.clock import system_clock
from cds_service.settings import Settings
from cds_service.trials.examples import example_request
from cds_service.web import create_app
from tests.web.http_fixtures import knowledge

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "cards" / "README.md"]


def plain(text: str, **_style: Any) -> str:
    return text


def test_the_card_in_the_readme_is_the_card_of_the_demonstration() -> None:
    pack = knowledge().packs[0]
    service = pack.services[0]
    body = example_request(pack, pack.examples[0], service, system_clock())
    client = create_app(Settings(), knowledge=knowledge()).test_client()
    response = client.post(
        f"/cds-services/{service.id}", data=body, content_type="application/json"
    )

    shown = list(cards_as_text(json.loads(response.text)["cards"], plain))

    (block,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    told = [line for line in block.splitlines() if line.strip() not in {"", "..."}]
    assert [line for line in told if line not in shown] == []
    assert told


def test_where_the_readme_leads_the_home_page_of_the_documentation_leads_too() -> None:
    home = ROOT / "docs" / "README.md"
    table = README.partition("## Where to go next")[2]

    def targets(text: str, folder: Path) -> set[Path]:
        return {(folder / each).resolve() for each in re.findall(r"\]\((?!http)([^)#]+)", text)}

    led = targets(table, ROOT) - {home}
    assert led
    assert led - targets(home.read_text(encoding="utf-8"), home.parent) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))

    missing = [target for target in targets if not (page.parent / target).exists()]

    assert missing == []
