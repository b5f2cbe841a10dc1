# SPDX-License-Identifier: Apache-2.0
"""`cds-service review`: the document that a clinician signs."""

import errno
import os
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import EXIT_CODES
from cds_service.cli.check import check
from cds_service.cli.review import review
from cds_service.errors import UnknownPage
from cds_service.knowledge.checking.signature import signature_hash
from cds_service.knowledge.reading.build import load_packs
from cds_service.service import load_knowledge
from cds_service.settings import Settings
from cds_service.web import create_app
from tests.knowledge.signed_packs import sign
from tests.web.http_fixtures import NOW, SERVICE, founding

NO_FILE = os.strerror(errno.ENOENT)
CARDS = Path(__file__).parents[2] / "cards"
(LIVER,) = load_packs(CARDS)


def run(*words: str, cards: Path = CARDS) -> Result:
    return CliRunner().invoke(review, words, env={"CDS_CARDS": str(cards)})


@pytest.fixture(name="signed_before", scope="module")
def _signed_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packs, signed with another meaning on the day of their newest version."""
    cards = tmp_path_factory.mktemp("cards")
    shutil.copytree(CARDS, cards, dirs_exist_ok=True)
    sign(cards / "liver", "0" * 32, on=LIVER.history[0].date)
    return cards


@pytest.fixture(name="text", scope="module")
def _text() -> str:
    return run().stdout


def test_it_has_every_rule_and_the_line_to_sign_with(text: str) -> None:
    assert set(re.findall(r'<section class="rule \w+" id="([^"]+)"', text)) == {
        rule.id for rule in LIVER.rules.values() if rule.status != "retired"
    }
    assert f"lock: {signature_hash(LIVER)}}}" in text
    assert "No clinician has approved these rules yet." in text
    assert "Since the last signature" not in text


def test_what_the_authors_decided_stands_apart_from_what_sources_say(text: str) -> None:
    rule = LIVER.rules["alf-emergency"]
    _, section = text.split('id="alf-emergency"')
    section, *_ = section.split("</section>")
    _, section = section.split("Decided by the authors")
    decided, sourced = section.split("<h4>Sources</h4>")

    for line in rule.evidence:
        says = " ".join(line.says.split()).split("'")[0].split("<")[0][:40]
        assert says in (decided if line.source is None else sourced)


def test_it_loads_nothing(text: str) -> None:
    assert not re.findall(r"<(?:script|link|img|iframe)\b|url\(|src=", text)


def test_what_has_changed_since_the_signature_comes_first(signed_before: Path) -> None:
    text = run(cards=signed_before).stdout

    changes = text.split("Since the last signature")[1].split("</table>")[0]
    assert "Changed since Dr. Example signed these rules" in text
    assert LIVER.history[0].version in changes
    assert "the pack" in changes


def test_a_file_is_written_and_said(tmp_path: Path) -> None:
    done = run("liver", "--out", str(tmp_path / "review.html"))

    assert (tmp_path / "review.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "rules of Liver tests" in done.stderr


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    done = run("--out", str(tmp_path / "no" / "such.html"))

    assert str(done.exception) == f"{tmp_path}/no/such.html cannot be written: {NO_FILE}."
    assert EXIT_CODES[type(done.exception)] == 3  # type: ignore[index]


def test_a_pack_that_is_not_there_is_named() -> None:
    assert isinstance(run("kidney").exception, UnknownPage)


def test_check_says_that_a_signature_no_longer_holds(signed_before: Path) -> None:
    done = CliRunner().invoke(check, [str(signed_before)])

    assert "Changed since Dr. Example signed these rules" in done.stderr


def test_cards_and_the_start_page_say_who_answers_for_them(signed_before: Path) -> None:
    settings = Settings(profile="development", cards=signed_before)
    app = create_app(settings, clock=lambda: NOW, knowledge=load_knowledge(settings))
    http = app.test_client()

    answer = http.post(SERVICE, json=founding())

    assert "changed since Dr. Example signed it" in answer.text
    assert "Changed since Dr. Example signed these rules" in http.get("/").text
    assert "Changed since Dr. Example signed these rules" in http.get("/cds-services").text
