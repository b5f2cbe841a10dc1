# SPDX-License-Identifier: Apache-2.0
"""The guide to receiving results names what is there, and the commands refuse wrong use."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from cds_service.cli import cli
from cds_service.cli.registrar import is_answered
from cds_service.settings import Settings
from cds_service.store import open_store
from cds_service.subscriptions.registration import Registration, RegistrationTable
from tests.fhir_client.faulty import Reply, faulty
from tests.house.source import ROOT
from tests.subscriptions.inbox_fixtures import NOW

GUIDE = (ROOT / "docs" / "how-to" / "receive-results.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"cds-service ((?:subscribe|subscriptions|serve|inbox|worker)[^`\n]*)", GUIDE)


def run(tmp_path: Path, *words: str, **variables: str) -> Result:
    environment = {"CDS_DATABASE_URL": f"sqlite:///{tmp_path / 'service.db'}", **variables}
    return CliRunner(env=environment).invoke(cli, words)


@pytest.mark.parametrize("line", sorted(set(COMMANDS)))
def test_every_command_of_the_guide_is_there_with_its_options(line: str) -> None:
    command: click.Command | None = cli
    words = line.split()
    context = click.Context(cli)
    while isinstance(command, click.Group):
        command = command.get_command(context, words.pop(0))
    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}

    assert {word for word in words if word.startswith("--")} <= known


def test_every_setting_of_the_guide_is_there() -> None:
    named = set(re.findall(r"CDS_([A-Z_]+)", GUIDE))

    assert named
    assert {name.removesuffix("_FILE").lower() for name in named} <= set(Settings.model_fields)


@pytest.mark.parametrize(
    "words",
    [
        ["subscribe", "--server", "https://unknown.example"],
        ["subscribe", "--server", "x", "--kind", "other"],
        ["subscriptions", "off"],
        ["subscriptions", "off", "--all", "--server", "x"],
        ["subscriptions", "list", "--server", "unknown"],
    ],
)
def test_wrong_use_is_exit_2(tmp_path: Path, words: list[str]) -> None:
    assert run(tmp_path, *words).exit_code == 2


def test_a_key_that_is_too_short_is_wrong_use(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("short", encoding="utf-8")
    words = ["subscribe", "--server", "http://127.0.0.1:1/fhir", "--hmac-file", str(key)]

    refused = run(tmp_path, *words, CDS_PROFILE="development")

    assert (refused.exit_code, "16 or more characters" in refused.output) == (2, True)


def test_without_an_address_to_send_to_it_says_what_to_set(tmp_path: Path) -> None:
    words = ["subscribe", "--server", "https://fhir.example.org/r4"]

    failed = run(tmp_path, *words, CDS_PROFILE="development")

    assert (failed.exit_code, "CDS_PUBLIC_URL" in failed.stderr) == (1, True)


def test_without_access_it_says_what_to_set(tmp_path: Path) -> None:
    servers = tmp_path / "servers.yaml"
    servers.write_text(
        "servers:\n  - base: https://fhir.example.org/r4\n    name: general\n", "utf-8"
    )
    settings = {"CDS_FHIR_SERVERS": str(servers), "CDS_PUBLIC_URL": "https://cds.example.org"}

    failed = run(tmp_path, "subscribe", "--server", "general", **settings)

    assert (failed.exit_code, "client id" in failed.stderr) == (1, True)


def test_a_server_that_is_away_is_exit_3(tmp_path: Path) -> None:
    words = ["subscribe", "--server", "http://127.0.0.1:1/fhir"]

    failed = run(tmp_path, *words, CDS_PROFILE="development")

    assert failed.exit_code == 3


def test_where_nothing_is_registered_nothing_is_shown(tmp_path: Path) -> None:
    assert run(tmp_path, "subscriptions", "list").stdout == ""
    assert run(tmp_path, "subscriptions", "list", "--json").stdout == "[]\n"
    assert run(tmp_path, "subscriptions", "status").exit_code == 0


def test_what_is_off_is_shown_as_off_by_renew(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'service.db'}")
    row = Registration(
        path="path",
        server="https://fhir.example.org/r4",
        kind="criteria",
        content="empty",
        what="Observation",
        status="off",
        switched_off=NOW,
        created=NOW,
    )
    RegistrationTable(store.database).reserve(row)
    store.close()

    done = run(tmp_path, "subscriptions", "renew")

    assert (done.exit_code, "stays off" in done.stdout) == (0, True)


def test_an_endpoint_where_nothing_answers_is_noticed() -> None:
    assert not is_answered("http://127.0.0.1:1/subscriptions/path")
    with faulty() as server:
        server.answers["/health"] = Reply({"status": "up"})
        assert is_answered(f"http://127.0.0.1:{server.port}/subscriptions/path")


def test_a_worker_logs_that_it_has_started(tmp_path: Path) -> None:
    done = run(tmp_path, "worker", "--until-empty")

    assert (done.exit_code, "worker-started" in done.stderr) == (0, True)
