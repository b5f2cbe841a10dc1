# SPDX-License-Identifier: Apache-2.0
"""`cds-service inbox` and `worker`: what they show, what they change, how they end."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import cli
from cds_service.store import Store, open_store
from cds_service.subscriptions.inbox import Inbox
from tests.subscriptions.inbox_fixtures import HOUR, Hands, arrival, states

CANARY = "ZZTESTNAME"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    monkeypatch.setenv("CDS_DATABASE_URL", url)
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def dead(store: Store) -> tuple[int, ...]:
    """The ids of two dead letters; one more item waits."""
    hands = Hands(Inbox(store.database))
    hands.add(
        arrival(f"{CANARY}-1", patient=f"{CANARY}-1"), arrival(f"{CANARY}-2", patient=f"{CANARY}-2")
    )
    while (lease := hands.inbox.lease("worker", hands.after(HOUR).now)) is not None:
        hands.inbox.fail(lease, "crash", hands.now, retry=False)
    hands.add(arrival(3))
    listed = json.loads(run("list", "--state", "dead", "--json").stdout)["items"]
    return tuple(sorted(item["id"] for item in listed))


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["inbox", *words])


def test_an_empty_inbox_is_fine(store: Store) -> None:
    done = run("list")

    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "0 waiting, 0 dead\n")


def test_the_list_shows_what_waits_and_what_is_dead_and_no_patient(dead: tuple[int, ...]) -> None:
    for words in (["list"], ["list", "--json"]):
        done = run(*words)

        assert done.exit_code == 1
        assert CANARY not in done.output
    body: Any = json.loads(run("list", "--json").stdout)
    assert (body["waiting"], body["dead"], len(body["items"])) == (1, 2, 3)
    assert {item["problem"] for item in body["items"]} == {None, "crash"}


def test_one_item_is_shown_without_its_patient_unless_asked(dead: tuple[int, ...]) -> None:
    number = str(dead[0])
    for words in (["show", number], ["show", number, "--json"]):
        assert CANARY not in run(*words).output

    shown = json.loads(run("show", number, "--with-patient", "--json").stdout)

    assert shown["patient"] == f"{CANARY}-1"
    assert shown["body"] == '{"resourceType":"Observation"}'
    assert f"{CANARY}-1" in run("show", number, "--with-patient").stdout


def test_an_item_that_is_not_there_is_wrong_use(store: Store) -> None:
    assert run("show", "7").exit_code == 2


def test_dead_letters_are_tried_again_or_dropped_by_id(dead: tuple[int, ...], store: Store) -> None:
    first, second = map(str, dead)

    assert run("retry", first).exit_code == 0
    assert run("drop", second).exit_code == 0

    assert states(store) == {("waiting", ""): 2, ("done", "dropped"): 1}
    assert run("retry", first).exit_code == 1  # no dead letter any more


def test_all_dead_letters_at_once(dead: tuple[int, ...], store: Store) -> None:
    assert run("retry", "--all").stdout == "2 tried again\n"
    assert run("drop", "--all").stdout == "0 dropped\n"
    assert states(store) == {("waiting", ""): 3}


@pytest.mark.parametrize("words", [["retry"], ["drop"], ["drop", "1", "--all"]])
def test_nothing_is_changed_without_saying_what(store: Store, words: list[str]) -> None:
    assert run(*words).exit_code == 2


@pytest.mark.parametrize(
    "words", [["inbox"], ["worker"], *(["inbox", n] for n in ("list", "show", "retry", "drop"))]
)
def test_help_has_examples(words: list[str]) -> None:
    shown = CliRunner().invoke(cli, [*words, "--help"]).output

    assert f"cds-service {' '.join(words)}" in shown.split("Examples:")[1]


def test_a_worker_can_end_when_nothing_is_due(store: Store) -> None:
    done = CliRunner().invoke(cli, ["worker", "--until-empty"])

    assert (done.exit_code, done.stdout) == (0, "")
