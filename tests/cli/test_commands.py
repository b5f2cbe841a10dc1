# SPDX-License-Identifier: Apache-2.0
"""The command line as its users meet it: help, output, exit codes."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import click
import pytest
import requests
from click.testing import CliRunner

from cds_service.cli import COMMANDS, cli, main
from tests.knowledge.fixture_pack import changed, replaced

ROOT = Path(__file__).parents[2]
WITH_EXAMPLES = ["serve", "demo", "evaluate", "check", "lock", "explain", "facts", "settings"]
WITH_EXAMPLES += ["screen", "subscribe", "subscriptions"]


def started(
    *words: str, stdin: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as its users have it: once for each command."""
    return subprocess.run(
        [sys.executable, "-m", "cds_service", *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **variables},
    )


def run(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """The command in this process: its start would take longer than what most tests look at."""
    with (
        CliRunner().isolation(input=stdin) as (out, err, _),
        patch.object(sys, "argv", ["cds-service", *words]),
        pytest.raises(SystemExit) as left,
    ):
        main()
    code = int(left.value.code or 0)
    return subprocess.CompletedProcess(
        words, code, out.getvalue().decode(), err.getvalue().decode()
    )


@pytest.fixture(scope="module")
def founding_request() -> str:
    return started("demo", "--request").stdout


@pytest.mark.parametrize("command", WITH_EXAMPLES)
def test_help_shows_examples_first(command: str) -> None:
    shown = run(command, "--help")

    assert shown.returncode == 0
    assert f"cds-service {command}" in shown.stdout.split("Options:")[0].split("Examples:")[1]


def test_the_list_of_commands_has_the_first_sentence_of_each() -> None:
    context = click.Context(cli)
    commands = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    sentences = {
        name: command.get_short_help_str(limit=200) for name, command in commands.items() if command
    }

    assert sentences == COMMANDS


def test_the_list_of_commands_imports_none() -> None:
    program = "import sys; from cds_service.cli import cli; "
    program += "cli.main(['--help'], standalone_mode=False); print('flask' in sys.modules)"

    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )

    assert shown.stdout.splitlines()[-1] == "False"


def test_an_unknown_command_is_wrong_use() -> None:
    assert run("evaluat").returncode == 2


def test_a_hook_request_gives_cards_in_the_terminal(founding_request: str) -> None:
    shown = started("evaluate", "-", stdin=founding_request)

    assert shown.returncode == 0
    assert "very_low" in shown.stdout
    assert "Repeat ALT within 14 days" in shown.stdout
    assert "\x1b[" not in shown.stdout


def test_explain_tells_why_each_rule_decided(founding_request: str) -> None:
    shown = run("evaluate", "-", "--explain", stdin=founding_request)

    assert "alt-very-low" in shown.stdout.split("Why")[1]


def test_json_holds_one_object_a_patient(founding_request: str) -> None:
    shown = json.loads(run("evaluate", "-", "--json", stdin=founding_request).stdout)

    (patient,) = shown["patients"]
    assert patient["cards"][0]["indicator"] == "info"
    assert "explanation" not in patient


def observation(patient: str, value: object) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "id": f"of-{patient}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "1742-6"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-01-01T08:00:00Z",
        "valueQuantity": {"value": value, "unit": "U/L"},
    }


def test_ndjson_of_two_patients_is_answered_one_by_one() -> None:
    lines = "\n".join(json.dumps(observation(patient_id, 2)) for patient_id in ("a", "b"))

    shown = json.loads(run("evaluate", "-", "--json", stdin=lines).stdout)

    assert [patient["patient"] for patient in shown["patients"]] == ["Patient/a", "Patient/b"]


def test_strict_names_what_is_not_valid_fhir_and_never_the_value() -> None:
    shown = run("evaluate", "-", "--strict", stdin=json.dumps(observation("a", "ZZTESTVALUE")))

    assert shown.returncode == 1
    assert "not valid FHIR" in shown.stdout
    (fault,) = [line for line in shown.stdout.splitlines() if "not valid FHIR" in line]
    assert "ZZTESTVALUE" not in fault + shown.stderr


def test_what_is_no_json_is_a_sentence_and_exit_1() -> None:
    shown = started("evaluate", "-", stdin="{")

    assert shown.returncode == 1
    assert shown.stderr.startswith("cds-service: ")
    assert "Traceback" not in shown.stderr


def test_an_unknown_service_names_the_known_ones(founding_request: str) -> None:
    shown = run("evaluate", "-", "--service", "liver", stdin=founding_request)

    assert shown.returncode == 2
    assert "liver-patient-view" in shown.stderr


def test_a_rule_is_explained_in_words() -> None:
    shown = run("explain", "alt-very-low")

    assert "alt: below 5 U/L" in shown.stdout

    assert "1.0.0, 2026-11-24: First version." in shown.stdout


def test_a_pack_is_explained_with_its_versions() -> None:
    shown = json.loads(run("explain", "liver", "--json").stdout)

    assert shown["version"] == shown["history"][0]["version"]
    assert "No clinician has approved" in shown["words"]


def test_what_was_locked_is_not_locked_over(tmp_path: Path) -> None:
    folder = changed(
        tmp_path, replaced("rules/alpha-high.yaml", ("indicator: info", "indicator: critical"))
    )
    before = (folder / "lock.json").read_bytes()

    shown = started("lock", str(folder))

    assert shown.returncode == 1
    assert "K701" in shown.stdout
    assert (folder / "lock.json").read_bytes() == before


def test_an_unknown_rule_is_wrong_use_with_the_nearest_name() -> None:
    shown = started("explain", "alt-very-lo")

    assert shown.returncode == 2
    assert "alt-very-low" in shown.stderr


@pytest.mark.server
def test_a_wrong_setting_stops_the_start_with_its_name() -> None:
    shown = started("serve", CDS_PROT="8000")

    assert shown.returncode == 2
    assert "CDS_PROT" in shown.stderr
    assert "CDS_PORT" in shown.stderr


@pytest.mark.server
def test_the_service_does_not_listen_to_others_without_clients() -> None:
    assert started("serve", "--host", "192.0.2.1").returncode == 2


def test_the_cards_of_the_service_are_sound() -> None:
    shown = started("check", "cards")

    assert shown.returncode == 0, shown.stdout
    assert shown.stdout == ""


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    folder = tmp_path / "cards"
    shutil.copytree(ROOT / "cards", folder)
    rule = folder / "liver" / "rules" / "alt-very-low.yaml"
    text = rule.read_text(encoding="utf-8")
    rule.write_text(text.replace("alt: below 5 U/L\nunless", "alt: blow 5 U/L\nunless"))
    return folder


@pytest.mark.parametrize("style", ["text", "json", "sarif", "github"])
def test_a_problem_is_exit_1_in_every_format(broken: Path, style: str) -> None:
    shown = run("check", str(broken), "--format", style)

    assert shown.returncode == 1
    assert "K202" in shown.stdout
    if style in {"json", "sarif"}:
        json.loads(shown.stdout)


def test_a_threshold_moved_by_one_step_fails_the_check(tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    shutil.copytree(ROOT / "cards", folder)
    rule = folder / "liver" / "rules" / "alt-very-low.yaml"
    text = rule.read_text(encoding="utf-8")
    rule.write_text(text.replace("alt: below 5 U/L\nunless", "alt: below 6 U/L\nunless"))

    shown = run("check", str(folder))

    assert shown.returncode == 1
    assert "K601" in shown.stdout


def test_a_folder_without_a_pack_is_wrong_use(tmp_path: Path) -> None:
    assert run("check", str(tmp_path)).returncode == 2


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@pytest.fixture
def demonstration(port: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "cds_service", "demo", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        yield process
        process.terminate()
        process.wait(timeout=60)


@pytest.mark.server
def test_the_demonstration_shows_the_card_and_keeps_serving(
    demonstration: subprocess.Popen[str], port: int
) -> None:
    assert demonstration.stdout is not None
    shown = ""
    for line in demonstration.stdout:
        shown += line
        if "curl --json" in line:
            break

    answer = requests.get(f"http://127.0.0.1:{port}/cds-services", timeout=60)

    assert "Very low ALT (1 U/L)" in shown
    assert answer.ok
