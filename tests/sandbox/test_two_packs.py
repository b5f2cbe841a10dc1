# SPDX-License-Identifier: Apache-2.0
"""With two packs every service of a hook is asked, as a CDS Client would."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from cds_service.cli.evaluate import evaluate
from cds_service.service import load_knowledge
from cds_service.settings import Settings
from cds_service.web import create_app
from tests.knowledge.fixture_pack import LETTERS
from tests.web.http_fixtures import NOW

ROOT = Path(__file__).parents[2]
EXAMPLE = """examples:
  - {id: high-alpha, title: Alpha 30, given: {age: 50 years, alpha: 30 U/L}}
"""
ALPHA = {"system": "https://example.org/codes", "code": "A1"}
ALT = {"system": "http://loinc.org", "code": "1742-6"}


@pytest.fixture(name="cards", scope="module")
def _cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The liver pack, and the letters with an example of their own."""
    folder = tmp_path_factory.mktemp("two") / "cards"
    shutil.copytree(ROOT / "cards", folder)
    shutil.copytree(LETTERS, folder / "letters")
    with (folder / "letters" / "pack.yaml").open("a", encoding="utf-8") as pack:
        pack.write(EXAMPLE)
    return folder


@pytest.fixture(name="http", scope="module")
def _http(cards: Path) -> FlaskClient:
    settings = Settings(profile="development", cards=cards)
    return create_app(settings, clock=lambda: NOW, knowledge=load_knowledge(settings)).test_client()


def result(name: str, code: dict[str, str], value: float) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [code]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": NOW.isoformat(),
        "valueQuantity": {"value": value, "unit": "U/L"},
    }


BOTH = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {"resource": {"resourceType": "Patient", "id": "p1", "birthDate": "1976-05-03"}},
        {"resource": result("alt", ALT, 300)},
        {"resource": result("alpha", ALPHA, 30)},
    ],
}


def test_an_example_goes_to_the_service_of_its_own_pack(http: FlaskClient) -> None:
    fields = {"way": "example", "example": "high-alpha", "service": "liver-patient-view"}

    page = http.post("/sandbox/cards", data=fields).text

    assert "<code>letters-patient-view</code>" in page
    assert "Nothing to say" not in page
    assert 'data-feedback="/cds-services/letters-patient-view/feedback"' in page


def test_a_text_is_answered_by_every_service_of_the_hook(http: FlaskClient) -> None:
    page = http.post("/sandbox/cards", data={"way": "text", "text": json.dumps(BOTH)}).text

    assert 'data-feedback="/cds-services/liver-patient-view/feedback"' in page
    assert 'data-feedback="/cds-services/letters-patient-view/feedback"' in page


@pytest.mark.parametrize(
    ("options", "services"),
    [
        ([], ["letters-patient-view", "liver-patient-view"]),
        (["--service", "letters-patient-view"], ["letters-patient-view"]),
    ],
)
def test_a_file_is_evaluated_by_every_service_of_the_hook(
    cards: Path, tmp_path: Path, options: list[str], services: list[str]
) -> None:
    file = tmp_path / "both.json"
    file.write_text(json.dumps(BOTH), encoding="utf-8")

    shown = CliRunner().invoke(
        evaluate, [str(file), "--json", *options], env={"CDS_CARDS": str(cards)}
    )

    assert shown.exit_code == 0, shown.output
    assert [run["service"] for run in json.loads(shown.output)["patients"]] == services
