# SPDX-License-Identifier: Apache-2.0
"""`cds-service decisions`: the list and one decision, for the eye and for programs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import cli
from cds_service.store import Store, open_store
from tests.subscriptions.kept_decisions import (
    PATIENT,
    RESULT,
    critical,
    keep,
    nothing,
    unknown_rule,
    very_low,
)
from tests.web.http_fixtures import knowledge


@pytest.fixture(name="store")
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    monkeypatch.setenv("CDS_DATABASE_URL", url)
    opened = open_store(url)
    yield opened
    opened.close()


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["decisions", *words])


def test_an_empty_list_says_that_nothing_is_left_out(store: Store) -> None:
    done = run("list")

    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.startswith("0 shown; left out: 0 ")


def test_the_list_says_what_would_have_been_written_and_of_whom_not(store: Store) -> None:
    keep(store, very_low(), nothing(), critical(), unknown_rule())

    done = run("list")

    assert done.exit_code == 0
    rules = knowledge().packs[0].rules
    for line in (
        f"info      alt-very-low {rules['alt-very-low'].version}: would have been written",
        "Repeat ALT within 14 days",
        f"critical  hys-law-pattern {rules['hys-law-pattern'].version}: would have been written",
        "<b>gone</b> 0.1.0, which the packs of today do not have: would have been written",
        "not known: gone-fact",
    ):
        assert line in done.stdout
    assert done.stderr.startswith("3 shown; left out: 1 without anything to write, 0 ")
    assert "nothing to write" in run("list", "--all").stdout
    assert run("list", "--most", "1").stdout.count("would have been written") == 1
    for words in (["list"], ["list", "--json"], ["list", "--all"], ["show", "1"]):
        assert PATIENT not in run(*words).output
        assert RESULT not in run(*words).output


def test_json_says_the_same(store: Store) -> None:
    keep(store, very_low(), nothing())

    found = json.loads(run("list", "--json").stdout)

    assert (found["total"], found["withoutAdvice"], found["leftOut"]) == (2, 1, 0)
    (decision,) = found["decisions"]
    assert [advice["rule"] for advice in decision["advice"]] == ["alt-very-low"]
    assert json.loads(run("show", str(decision["id"]), "--json").stdout) == decision


def test_one_decision_is_shown_with_its_patient_if_that_is_asked_for(store: Store) -> None:
    (number,) = map(str, keep(store, critical()))

    shown = run("show", number, "--with-patient").stdout

    assert f"patient   {PATIENT}" in shown
    assert f"results   {RESULT}" in shown
    assert "no card   alt-moderate: replaced-by:hys-law-pattern" in shown
    assert json.loads(run("show", number, "--with-patient", "--json").stdout)["patient"] == PATIENT


def test_what_a_server_is_called_does_not_steer_the_terminal(store: Store) -> None:
    (number,) = map(str, keep(store, very_low(), server="https://x.example/\x1b[2J"))

    for words in (["list"], ["show", number]):
        assert "\x1b" not in run(*words).output


def test_a_decision_that_is_not_there_is_wrong_use(store: Store) -> None:
    assert run("show", "7").exit_code == 2


@pytest.mark.parametrize("words", [[], ["list"], ["show"]])
def test_help_has_examples(words: list[str]) -> None:
    shown = run(*words, "--help").output

    assert " ".join(["cds-service decisions", *words]) in shown.split("Examples:")[1]
