# SPDX-License-Identifier: Apache-2.0
"""`cds-service export`, and `cds-service screen` of a server, as their users meet them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
from click.testing import CliRunner, Result

from cds_service.cli.export import EXPORTED, export
from cds_service.cli.screen import screen
from cds_service.errors import RequestError
from cds_service.prefetch_keys import KINDS
from cds_service.screening.files import find_files
from tests.bulk_export.bulk import KICK_OFF, asked_for, manifest, on_get, outcome, ready, started
from tests.fhir_client.faulty import Asked, Faulty, Reply, faulty
from tests.screening.exports import person, result

PEOPLE = "".join(f"{json.dumps(person(name))}\n" for name in ("anna", "bert")).encode()
RESULTS = f"{json.dumps(result('1', 'Patient/anna'))}\n".encode()


@pytest.fixture(name="server")
def _server() -> Iterator[Faulty]:
    with faulty() as state:
        ready(state)
        state.answers["Patient/1"] = Reply(PEOPLE)
        state.answers["Observation/1"] = Reply(RESULTS)
        yield state


@pytest.fixture(name="listed")
def _listed(server: Faulty, tmp_path: Path) -> dict[str, str]:
    """The settings with which the server is a listed one, called `here`."""
    file = tmp_path / "servers.yaml"
    file.write_text(
        f"servers:\n  - base: {server.base}\n    name: here\n"
        "    this machine: yes\n    anonymous: yes\n",
        encoding="utf-8",
    )
    return {"CDS_FHIR_SERVERS": str(file), "CDS_PROFILE": "production"}


def call(command: object, *words: object, **variables: str) -> Result:
    made = CliRunner(env=variables).invoke(command, [str(word) for word in words])  # type: ignore[arg-type]
    if made.exception is not None and not isinstance(made.exception, SystemExit):
        raise made.exception
    return made


def incomplete(server: Faulty) -> None:
    """Have the server report an error."""
    errors = [{"type": "OperationOutcome", "url": f"{server.base}/errors"}]
    found = manifest(server, "Patient/1", "Observation/1", error=errors)
    server.answers["status"] = on_get(Reply(found))
    server.answers["errors"] = Reply(json.dumps(outcome(("error", "too-costly"))).encode())


def test_every_type_that_rules_read_is_exported() -> None:
    assert set(EXPORTED) == {*KINDS, "Medication"}


def test_a_listed_server_is_exported_by_its_name(listed: dict[str, str], tmp_path: Path) -> None:
    shown = call(export, "here", tmp_path / "x", **listed)

    assert shown.exit_code == 0
    assert f"2 files (0.0 MB) in {tmp_path / 'x'}" in shown.stdout
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["Patient", "2"] in rows
    assert "The server reports no error." in shown.stdout
    assert "Files: all 2 are there" in shown.stderr


def test_the_same_as_json_and_of_a_group(
    server: Faulty, listed: dict[str, str], tmp_path: Path
) -> None:
    server.answers["Group/g-1/$export"] = server.answers[KICK_OFF]

    found = json.loads(
        call(export, server.base, tmp_path / "x", "--group", "g-1", "--json", **listed).stdout
    )

    assert (found["server"], found["group"]) == (server.base, "g-1")
    assert found["resources"] == {"Observation": 1, "Patient": 2}
    assert found["incomplete"] == []
    assert KICK_OFF not in server.paths()


def test_encounters_are_exported_when_they_are_asked_for(
    server: Faulty, listed: dict[str, str], tmp_path: Path
) -> None:
    call(export, "here", tmp_path / "without", **listed)
    call(export, "here", tmp_path / "with", "--encounters", **listed)

    types = [
        request.parameters["_type"].split(",")
        for request in server.asked
        if request.path == KICK_OFF
    ]
    assert types == [[*EXPORTED], [*EXPORTED, "Encounter"]]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("there", "x"), "there is no such server"),
        (("https://fhir.example.org/r4", "x"), "there is no such server"),
        (("here", "x", "--group", "a/../b"), "no id of FHIR"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_asked(
    server: Faulty, listed: dict[str, str], words: tuple[str, ...], sentence: str
) -> None:
    shown = call(export, *words, **listed)

    assert shown.exit_code == 2
    assert sentence in shown.stderr
    assert server.asked == []


def test_a_server_that_wants_a_token_is_not_asked_without(
    server: Faulty, listed: dict[str, str], tmp_path: Path
) -> None:
    file = Path(listed["CDS_FHIR_SERVERS"])
    file.write_text(file.read_text().replace("anonymous: yes", "anonymous: no"))

    shown = call(export, "here", tmp_path / "x", **listed)

    assert shown.exit_code == 2
    assert "no token" in shown.stderr
    assert server.asked == []


def test_an_incomplete_export_is_named_and_strict_tells_by_its_exit_code(
    server: Faulty, listed: dict[str, str], tmp_path: Path
) -> None:
    incomplete(server)

    shown = call(export, "here", tmp_path / "x", **listed)
    again = call(export, "here", tmp_path / "x", "--strict", **listed)

    assert "incomplete: the server reports 1 error: too-costly (1)" in shown.stdout
    assert "no error" not in shown.stdout
    assert (shown.exit_code, again.exit_code) == (0, 1)
    assert "Anna" not in shown.output + again.output


def test_a_server_is_screened_and_its_export_kept(
    server: Faulty, listed: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"

    shown = call(screen, server.base, "--out", out, "--ids", **listed)

    assert shown.exit_code == 0
    assert "1 has a card (50.0 %)" in shown.stdout
    assert "All that hook calls ask for could be read." in shown.stdout
    assert json.loads((out / "decisions.ndjson").read_text())["patient"] == "anna"
    with pytest.raises(RequestError, match="--overwrite"):
        call(screen, server.base, "--out", out, **listed)
    assert asked_for(server, KICK_OFF) == 1
    assert find_files([out / "export"]).passed_over == ()


def test_what_a_server_does_not_export_is_named_when_it_is_screened(
    server: Faulty, listed: dict[str, str], tmp_path: Path
) -> None:
    def kick_off(asked: Asked) -> Reply:
        without = "Medication" not in asked.parameters["_type"].split(",")
        return started(server) if without else Reply(status=400)

    server.answers[KICK_OFF] = kick_off

    shown = call(screen, server.base, "--out", tmp_path / "out", **listed)

    assert "Not exported: Medication: the server does not export it" in shown.stderr


def test_what_an_export_lacks_is_named_when_it_is_screened(
    server: Faulty, listed: dict[str, str], tmp_path: Path
) -> None:
    incomplete(server)
    call(export, "here", tmp_path / "x", **listed)

    shown = call(screen, tmp_path / "x", "--strict")

    assert shown.exit_code == 1
    assert "the export is incomplete: the server reports 1 error" in shown.stdout
    assert find_files((tmp_path / "x").glob("*.ndjson")).losses == find_files([tmp_path]).losses


def test_an_export_that_is_not_finished_is_not_screened(
    server: Faulty, listed: dict[str, str], tmp_path: Path
) -> None:
    server.answers["Observation/1"] = Reply(status=403)
    with pytest.raises(RequestError):
        call(export, "here", tmp_path / "x", **listed)

    for source in (tmp_path, tmp_path / "x", tmp_path / "x" / "Patient.000001.ndjson"):
        with pytest.raises(RequestError, match="not finished"):
            find_files([source])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("https://fhir.example.org",), "goes with --out"),
        (("https://fhir.example.org", "--out", "x"), "there is no such server"),
        (("https://fhir.example.org", ".", "--out", "x"), "the only SOURCE"),
        ((".", "--group", "1"), "--group goes with a server"),
        (("nowhere",), "does not exist"),
    ],
)
def test_wrong_use_of_screen_is_refused(words: tuple[str, ...], sentence: str) -> None:
    shown = call(screen, *words, CDS_PROFILE="production")

    assert shown.exit_code == 2
    assert sentence in shown.stderr


@pytest.mark.server
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_program_that_is_ended_goes_on_when_it_is_called_again(
    server: Faulty, listed: dict[str, str], tmp_path: Path, end: signal.Signals
) -> None:
    server.answers["Observation/1"] = Reply(RESULTS, hang=True)
    words = [sys.executable, "-m", "cds_service", "export", "here", str(tmp_path / "x")]
    process = subprocess.Popen(words, env={**os.environ, **listed}, stderr=subprocess.PIPE)
    with process:
        limit = monotonic() + 60
        while "Observation/1" not in server.paths() and monotonic() < limit:
            sleep(0.02)
        process.send_signal(end)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGINT: 130}[end]
    assert (b"goes on" in errors) == (end == signal.SIGINT)
    assert b"Traceback" not in errors
    server.answers["Observation/1"] = Reply(RESULTS)

    assert call(export, "here", tmp_path / "x", **listed).exit_code == 0

    assert (tmp_path / "x" / "Observation.000001.ndjson").read_bytes() == RESULTS
    assert (asked_for(server, KICK_OFF), asked_for(server, "Patient/1")) == (1, 1)
