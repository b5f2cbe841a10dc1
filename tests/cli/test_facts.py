# SPDX-License-Identifier: Apache-2.0
"""`cds-service facts`: a site's own list against the facts of the pack."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import cli
from cds_service.knowledge.model.code_systems import ICD_10_CM
from tests.knowledge.fixture_pack import LETTERS

CSV = """\ufeffSystem,Code,Display,Text,Count
http://hl7.org/fhir/sid/icd-10-cm,U99.91,,,12
urn:local,7,"Delta, mild",,3
,,,no gammazine here
http://hl7.org/fhir/sid/icd-10-cm,I10,Hypertension,,99
"""


def run(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["facts", *words], input=stdin, env={"CDS_CARDS": str(LETTERS)})


def test_each_row_with_the_facts_that_it_makes_so(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(CSV, encoding="utf-8")

    shown = run("match", str(file))

    assert shown.exit_code == 0
    assert shown.output.splitlines() == [
        f"2: {ICD_10_CM} | U99.91 -> delta-disease (by U99.91) -> and so any-risk",
        "3: urn:local | 7 | Delta, mild -> delta-disease (by delta) -> and so any-risk",
        "4: no gammazine here -> on-gammazine (by gammazine) -> and so any-risk",
        "4 rows: 3 make a fact so, 1 none",
    ]


def test_the_rows_that_make_none_so() -> None:
    shown = run("match", "-", "--unmatched", stdin=CSV)

    assert shown.output.splitlines()[0].startswith("5: ")
    assert "4 rows: 3 make a fact so, 1 none" in shown.output


def test_json_lines_in_and_json_out() -> None:
    lines = '{"text": "delta"}\n\n{"code": 7, "system": "urn:local"}\n'

    shown = json.loads(run("match", "-", "--json", stdin=lines).output)

    assert (shown["matched"], shown["notMatched"]) == (1, 1)
    assert shown["rows"] == [
        {
            "line": 1,
            "text": "delta",
            "facts": [{"fact": "delta-disease", "name": "delta", "by": "delta"}],
            "also": ["any-risk"],
        }
    ]


def test_what_is_null_was_not_given() -> None:
    line = '{" Text ": "delta", "code": null, "system": null, "other": {"a": 1}}'

    assert json.loads(run("match", "-", "--json", stdin=line).output)["rows"] == [
        {
            "line": 1,
            "text": "delta",
            "facts": [{"fact": "delta-disease", "name": "delta", "by": "delta"}],
            "also": ["any-risk"],
        }
    ]


@pytest.mark.parametrize("value", ['{"text": "delta"}', '["delta"]', "true"])
def test_a_value_that_is_no_text_or_number_is_refused(value: str) -> None:
    shown = run("match", "-", stdin=f'{{"code": 7}}\n{{"text": {value}}}')

    assert shown.exit_code == 1
    assert shown.stderr == "cannot read the list: line 2: 'text' is no text or number\n"


def test_a_cell_that_is_too_long_is_refused() -> None:
    shown = run("match", "-", stdin=f"text\n{'x' * 131073}\n")

    assert shown.exit_code == 1
    assert "cannot read the list: field larger than field limit" in shown.stderr


@pytest.mark.parametrize("text", ["name\nx\n", "", '{"text": \n', "{}\n[]\n"])
def test_a_file_of_another_form_is_refused(text: str) -> None:
    shown = run("match", "-", stdin=text)

    assert shown.exit_code == 1
    assert "cannot read" in shown.stderr


def test_every_fact_is_listed_with_what_it_is_read_from() -> None:
    lines = run("list").output.splitlines()
    listed = json.loads(run("list", "--json").output)

    assert [fact["id"] for fact in listed] == ["any-risk", "delta-disease", "on-gammazine"]
    assert "any of: " in lines[0]
    assert "codes: 2; names: 1" in lines[1]
