# SPDX-License-Identifier: Apache-2.0
"""`cds-service feedback` and `cds-service database`."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import EXIT_CODES, cli
from cds_service.clock import system_clock
from cds_service.errors import StoreError
from cds_service.store.schema import HEAD
from tests.feedback.service import Clinic, clinic, item, version_of
from tests.store.postgres import Postgres
from tests.web.http_fixtures import NAME


@pytest.fixture(name="place")
def _place(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    monkeypatch.setenv("CDS_DATABASE_URL", database)
    monkeypatch.setenv("NO_COLOR", "1")
    place = clinic(database, silence_days=0)
    yield place
    place.close()


def run(*arguments: str) -> Result:
    done = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def test_acceptance_and_reasons_are_shown_with_bars(place: Clinic) -> None:
    cards = [place.call()["cards"][0]["uuid"] for _ in range(4)]
    reason = {"reason": {"code": "already-known"}, "userComment": NAME}
    place.send(
        item(cards[0], "accepted", acceptedSuggestions=[{"id": "s"}]),
        item(cards[1], overrideReason=reason),
        item("another"),
    )
    place.flush()

    lines = run("feedback").output.splitlines()

    assert lines == [
        f"Very low ALT  alt-very-low {version_of('alt-very-low')}, 4 shown",
        "  " + "█" * 10 + "▒" * 10 + "·" * 20,
        "  1 accepted, 1 overridden, 2 without feedback",
        f"         1  {'▒' * 10}  Already known",
        "",
        "Feedback for cards that are not known: 1",
    ]


def test_the_same_as_json(place: Clinic) -> None:
    place.call()
    place.flush()

    found = json.loads(run("feedback", "--json").output)

    assert found == place.http.get("/feedback?format=json").json


def test_nothing_yet(place: Clinic) -> None:
    assert run("feedback").output == "No card has been shown yet.\n"


def test_what_is_too_old_is_removed(place: Clinic) -> None:
    place.clock[0] = system_clock()
    place.wait(days=-10)
    place.send(item("old"))
    place.wait(days=9)
    place.send(item("new"))

    assert run("feedback", "purge").output == "Removed 0 rows older than 365 days.\n"
    assert run("feedback", "purge", "--days", "5").output == "Removed 1 rows older than 5 days.\n"
    assert place.count() == 1


def test_the_service_removes_what_is_too_old_by_itself() -> None:
    place = clinic("sqlite://", feedback_days=10)
    place.call()
    place.send(item("old"))
    place.close()
    again = clinic("sqlite://", feedback_days=10)
    again.send(item("old"))

    again.wait(days=11)
    again.call()
    again.http.get("/feedback")

    assert again.count() == 0
    again.close()


def test_a_database_is_brought_up_to_date(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDS_DATABASE_URL", postgres.new_database("by_command"))

    assert run("database", "upgrade").output == f"The tables are at version {HEAD}.\n"
    assert run("database", "upgrade").output == f"The tables were at version {HEAD} already.\n"


def test_the_statements_can_be_had_without_a_database() -> None:
    assert "CREATE TABLE feedback" in run("database", "upgrade", "--sql", "postgresql").stdout


def test_the_url_can_be_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    file = tmp_path / "url"
    file.write_text(f"{database}\n", encoding="utf-8")
    monkeypatch.setenv("CDS_DATABASE_URL_FILE", str(file))

    assert run("feedback").exit_code == 0


def test_a_failure_of_the_database_leaves_with_3() -> None:
    assert EXIT_CODES[StoreError] == 3
