# SPDX-License-Identifier: Apache-2.0
"""The rule catalogue: every rule, whole, and fresh in the documentation."""

import json
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from markupsafe import escape

from cds_service.cli.docs import docs
from cds_service.knowledge.model.pack import INDICATORS
from cds_service.knowledge.model.status import NOT_APPROVED
from tests.house.source import ROOT
from tests.web.http_fixtures import client, knowledge

PACK = knowledge().packs[0]
TIME_CRITICAL = {
    "acetaminophen-level-high",
    "alf-emergency",
    "alt-over-1000",
    "hys-law-pattern",
    "isoniazid-stop-threshold",
    "pregnancy-liver-emergency",
}


@pytest.fixture(name="http", scope="module")
def _http() -> FlaskClient:
    return client()


def data(http: FlaskClient, address: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        http.get(address, headers={"Accept": "application/json"}).text
    )
    return found


@pytest.mark.parametrize("rule", sorted(PACK.rules))
def test_every_rule_has_a_page_that_says_what_its_json_says(http: FlaskClient, rule: str) -> None:
    response = http.get(f"/rules/{rule}")
    found, page = data(http, f"/rules/{rule}"), response.text

    assert response.status_code == 200
    assert NOT_APPROVED in page
    assert found["approval"] == NOT_APPROVED
    assert ("timeCritical" in found) is (rule in TIME_CRITICAL)
    assert ("Time-critical: it asks" in page) is (rule in TIME_CRITICAL)
    for evidence in found["evidence"]:
        assert str(escape(evidence["says"])) in page
        if "source" in evidence:
            assert str(escape(evidence["source"]["title"])) in page
    for table in found.get("cases", []):  # a retired rule has none
        assert all(row["asExpected"] for row in table["rows"])
    assert found["version"]["meaning"] in page
    for line in found["version"]["history"]:
        assert line["meaning"]
        for word in ("version", "date", "change"):
            assert str(escape(line[word])) in page


def test_the_list_tells_the_versions_of_the_pack(http: FlaskClient) -> None:
    (pack,) = data(http, "/rules")["packs"]
    page = http.get("/rules").text

    assert (pack["id"], pack["version"]) == (PACK.id, PACK.version)
    assert [version["version"] for version in pack["history"]] == [
        version.version for version in PACK.history
    ]
    assert all(str(escape(version["change"])) in page for version in pack["history"])


def test_the_list_names_the_rules_that_cannot_wait(http: FlaskClient) -> None:
    found, page = data(http, "/rules"), http.get("/rules").text

    assert {rule["id"] for rule in found["timeCritical"]} == TIME_CRITICAL
    assert found["count"] == len(PACK.rules) == len(found["rules"])
    assert "6 of the" in page
    assert NOT_APPROVED in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=isoniazid+stop", {"isoniazid-stop-threshold"}),
        ("indicator=critical&q=jaundice", {"alf-emergency", "isoniazid-stop-threshold"}),
        ("q=no+such+words", set()),
    ],
)
def test_the_list_is_filtered(http: FlaskClient, query: str, expected: set[str]) -> None:
    assert {rule["id"] for rule in data(http, f"/rules?{query}")["rules"]} == expected


def test_the_most_severe_come_first_and_then_the_rank_decides(http: FlaskClient) -> None:
    rules = data(http, "/rules")["rules"]
    active = [rule for rule in rules if rule["status"] == "active"]

    severities = [INDICATORS.index(rule["indicator"]) for rule in active]
    assert severities == sorted(severities, reverse=True)
    assert PACK.cards is not None
    critical = [rule["id"] for rule in active if rule["indicator"] == "critical"]
    places = [PACK.cards.rank.index(rule_id) for rule_id in critical if rule_id in PACK.cards.rank]
    assert places == sorted(places)
    page = http.get("/rules").text
    assert page.index(f"/rules/{critical[-1]}") < page.index("/rules/alt-very-low")


def test_a_rule_is_laid_out_from_its_tree(http: FlaskClient) -> None:
    found = data(http, "/rules/hys-law-pattern")

    assert found["when"]["kind"] == "all"
    written = [part["written"] for part in found["when"]["parts"]]
    assert written == [
        "total-bilirubin: above 2 x upper limit",
        (
            "alt: at least 3 x upper limit or (ast: at least 3 x upper limit"
            " and muscle-injury: no or not known and alt-raised: yes)"
        ),
    ]
    alternative = found["when"]["parts"][1]["parts"][1]["parts"]
    assert [clause["phrase"] for clause in alternative] == [
        "at least 3 x upper limit",
        "no or not known",
        "yes",
    ]


def test_precedence_is_told_from_both_sides(http: FlaskClient) -> None:
    stronger, weaker = data(http, "/rules/alt-severe"), data(http, "/rules/alt-mild")

    assert "alt-mild" in {replaced["rule"] for replaced in stronger["replaces"]}
    assert "alt-severe" in {winner["rule"] for winner in weaker["yieldsTo"]}


def test_placeholders_are_shown_as_such(http: FlaskClient) -> None:
    assert '<span class="slot">alt</span>' in http.get("/rules/alt-very-low").text


def test_an_unknown_rule_is_refused(http: FlaskClient) -> None:
    page = http.get("/rules/nothing")
    answer = http.get("/rules/nothing?format=json")

    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert (answer.status_code, answer.mimetype) == (404, "application/json")


def test_the_documentation_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    done = CliRunner().invoke(docs, ["--check"])

    assert done.exit_code == 0, done.output


def test_a_stale_page_is_told(tmp_path: Any) -> None:
    folder = tmp_path / "rules"
    runner = CliRunner()
    runner.invoke(docs, [str(folder)], catch_exceptions=False)
    (folder / "alt-mild.md").write_text("stale\n", encoding="utf-8")

    done = runner.invoke(docs, [str(folder), "--check"])

    assert done.exit_code == 1
    assert "alt-mild.md: stale" in done.output
