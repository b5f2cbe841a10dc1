# SPDX-License-Identifier: Apache-2.0
"""The same patient gives the same cards, whichever format the report has."""

import json
import re
from base64 import b64decode
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from cds_service.cli import cli
from cds_service.settings import Settings
from tests.reports.filling import fields_of, read
from tests.reports.same_patients import (
    BY_CODE,
    PATIENTS,
    GivenPatient,
    as_csv,
    as_fhir,
    as_hl7v2,
    as_pdf,
    as_workbook,
)
from tests.web.http_fixtures import NOW, client, knowledge

Cards = list[dict[str, Any]]
CASES = pytest.mark.parametrize("given", PATIENTS, ids=lambda patient: patient.case)
# A language and a layout for each patient, so that all languages and six layouts have their turn.
PRINTED = {
    given.case: (language, "cumulative" if given.is_followed else layout)
    for given, language, layout in zip(
        PATIENTS,
        ("en", "de", "fr", "es", "it", "pt", "en", "de"),
        ("grid", "plain", "", "limits-apart", "two-pages", "side-by-side", "grid", "plain"),
        strict=True,
    )
}


@pytest.fixture(autouse=True)
def _one_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packs are the same for every command: they are read once, as that takes seconds."""
    monkeypatch.setattr("cds_service.cli.evaluate.load_knowledge", lambda _: knowledge())
    monkeypatch.setattr("cds_service.cli.read.load_knowledge", lambda _: knowledge())


@pytest.fixture(name="http")
def _http() -> FlaskClient:
    return client(Settings(profile="development"))


def evaluated(data: bytes, folder: Path, *options: str) -> Cards:
    """The cards of `cds-service evaluate`, without what is new in each of them."""
    file = folder / "report"
    file.write_bytes(data)
    asked = ["evaluate", str(file), "--json", "--as-of", NOW.isoformat(), *options]
    result = CliRunner().invoke(cli, asked)
    assert result.exit_code == 0, result.output
    (patient,) = json.loads(result.output)["patients"]
    return [_lasting(card) for card in patient["cards"]]


def _lasting(card: dict[str, Any]) -> dict[str, Any]:
    """The card without uuids, and without the reference to its patient, whose id is the file's."""
    text = json.dumps(card)
    text = re.sub(r'"(?:uuid|authoredOn|occurrence\w*)": "[^"]*"', '"":""', text)
    kept: dict[str, Any] = json.loads(re.sub(r"Patient/[\w.-]+", "Patient/x", text))
    return kept


def of_table(data: bytes, folder: Path) -> Cards:
    """The cards of a table whose proposed columns were confirmed."""
    file, columns = folder / "table", folder / "columns.yaml"
    file.write_bytes(data)
    written = CliRunner().invoke(cli, ["read", str(file), "--write-columns", str(columns)])
    assert written.exit_code == 0, written.output
    return evaluated(data, folder, "--columns", str(columns))


def of_page(http: FlaskClient, data: bytes, folder: Path) -> tuple[Cards, list[str]]:
    """The cards of the rows that the page has saved, all ticked, and the summaries it shows."""
    fields = fields_of(read(http, data).text)
    rows = [name.removeprefix("row-") for name in fields if name.startswith("row-")]
    page = http.post("/report/cards", data={**fields, **{f"use-{row}": "yes" for row in rows}})
    assert page.status_code == 200, page.text
    (saved,) = re.findall(r"data:application/fhir\+json;base64,([A-Za-z0-9+/=]+)", page.text)
    shown = re.findall(r'<h2 class="summary">(.*?)</h2>', page.text)
    return evaluated(b64decode(saved), folder), [unescape(card_text) for card_text in shown]


@CASES
def test_every_format_gives_the_cards_of_fhir(
    http: FlaskClient, tmp_path: Path, given: GivenPatient
) -> None:
    language, layout = PRINTED[given.case]
    cards = evaluated(as_fhir(given), tmp_path)
    csv, hl7v2 = as_csv(given, BY_CODE[language]), as_hl7v2(given)

    assert {card["indicator"] for card in cards} >= set(given.expected)
    assert evaluated(hl7v2, tmp_path) == cards
    assert of_table(csv, tmp_path) == cards
    assert of_table(as_workbook(given, BY_CODE[language]), tmp_path) == cards
    for report in (as_pdf(given, BY_CODE[language], layout), csv, hl7v2):
        saved, shown = of_page(http, report, tmp_path)
        assert saved == cards
        assert shown == [card["summary"] for card in cards]


def test_the_patients_have_cards_of_every_severity() -> None:
    assert {indicator for given in PATIENTS for indicator in given.expected} == {
        "info",
        "warning",
        "critical",
    }
