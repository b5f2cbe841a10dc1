# SPDX-License-Identifier: Apache-2.0
"""`cds-service demo --subscription`: what it shows, and that nothing of it is left."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from cds_service.cli import cli, demo_subscription
from cds_service.cli.demo_programs import DemoFailed, Stage
from tests.conformance.server import free_port
from tests.fhir_server.sekmet import skip_without_server
from tests.house.source import ROOT

pytestmark = pytest.mark.server

_IN_A_MINUTE = 60


@contextmanager
def demonstration(folder: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """The demonstration, whose files are made in a folder."""
    skip_without_server()
    command = [sys.executable, "-m", "cds_service", "demo", "--subscription", *words]
    with subprocess.Popen(
        [*command, "--port", str(free_port())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # What the user set for a service of his own does not reach that of the demonstration.
        env={**os.environ, "TMPDIR": str(folder), "CDS_PUBLIC_URL": "https://cds.example"},
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def left_over(folder: Path) -> list[str]:
    """Files in the folder, and commands of processes that were started for them."""
    found = [path.name for path in folder.iterdir()]
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in command:
            found.append(entry.name)
    return found


def test_a_task_appears_and_is_cancelled_in_under_a_minute(tmp_path: Path) -> None:
    with demonstration(tmp_path, "--once") as process:
        shown, said = process.communicate(timeout=_IN_A_MINUTE)

    assert (process.returncode, said) == (0, "")
    steps = re.split(r"^\d\. ", shown, flags=re.MULTILINE)
    assert [step.splitlines()[0] for step in steps[1:]] == [
        "A FHIR server",
        "The service, with a worker that writes back to that server",
        "Subscribe to laboratory results",
        "A result arrives: ALT 1 U/L. Is that low?",
        "The laboratory corrects it",
    ]
    *_, subscribed, arrived, corrected = steps
    assert "$ cds-service subscribe --server demo" in subscribed
    assert ": made, active" in subscribed
    assert "Observation/result-0: 1 U/L, final" in arrived
    assert re.search(r"Task/\w+ +requested, routine\n +Very low ALT \(1 U/L\)", arrived)
    assert len(re.findall(r"ServiceRequest/\w+ +draft proposal: ", arrived)) == 4
    assert "Repeat ALT within 14 days" in arrived
    assert re.search(r"GuidanceResponse/\w+ +success, by .*/rules/alt-very-low", arrived)
    assert re.search(r"Provenance/\w+ +written by .*rule alt-very-low ", arrived)
    assert "Observation/result-0: 30 U/L, corrected" in corrected
    assert "cancelled, routine: The result that this was about has been corrected." in corrected
    assert len(re.findall(r"ServiceRequest/\w+ +revoked proposal: ", corrected)) == 4
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_keeps_running_until_it_is_stopped(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with demonstration(tmp_path) as process:
        assert process.stdout is not None
        addresses: list[str] = []
        for line in process.stdout:
            addresses += re.findall(r"^  (?:curl )?(http://\S+)", line)
            if line.endswith("/arrivals\n"):
                break
        answered = [requests.get(address, timeout=60).status_code for address in addresses]
        process.send_signal(number)
        process.wait(_IN_A_MINUTE)

    assert answered == [200] * len(addresses)
    assert len(addresses) > 2
    assert process.returncode == code
    assert left_over(tmp_path) == []


def test_it_can_be_stopped_at_any_time(tmp_path: Path) -> None:
    for heading in ("1. ", "2. ", "3. ", "4. "):
        with demonstration(tmp_path) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith(heading):
                    break
            process.send_signal(signal.SIGINT)
            process.wait(_IN_A_MINUTE)

        assert process.returncode == 130
        assert left_over(tmp_path) == [], heading


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, program: Path | None = None) -> str:
    """What the demonstration says when it cannot go on, with its exit code."""
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    if program is not None:
        monkeypatch.setattr(demo_subscription, "_fhir_program", lambda: program)
    done = CliRunner().invoke(cli, ["demo", "--subscription", "--once"])
    return f"{done.exit_code}: {done.stderr}"


def test_without_the_fhir_server_it_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo_subscription, "__file__", str(tmp_path / "a" / "b" / "c.py"))

    said = run(monkeypatch, tmp_path)

    assert said.startswith("2: cds-service: the FHIR server of this demonstration is not installed")
    assert "requirements/install-fhir-server" in said


def test_a_server_that_does_not_start_is_told_with_what_it_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nprintf 'no port is \\033[31mfree\\n'\nexit 1\n")
    program.chmod(0o755)

    said = run(monkeypatch, tmp_path, program)

    assert said == "3: cds-service: the FHIR server has ended\n  no port is ?[31mfree\n"
    assert [path.name for path in tmp_path.iterdir()] == ["program"]


def test_a_patient_who_is_not_corrected_is_refused() -> None:
    done = CliRunner().invoke(cli, ["demo", "--subscription", "--example", "levodopa"])

    assert done.exit_code == 2
    assert "corrected" in done.stderr


def test_there_is_no_hook_request_to_print() -> None:
    assert CliRunner().invoke(cli, ["demo", "--subscription", "--request"]).exit_code == 2


def test_a_command_that_fails_ends_the_demonstration_with_what_it_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fails = ["sh", "-c", "printf 'made, \\033[31merror\\n'; echo no >&2; exit 1"]
    monkeypatch.setattr(demo_subscription, "_command", lambda *_: fails)

    with pytest.raises(DemoFailed, match="no active Subscription"), Stage() as stage:
        demo_subscription._subscribe(stage, {"PATH": os.environ["PATH"]})

    shown = capsys.readouterr().out
    assert "   made, ?[31merror\n   no\n" in shown
    assert list(tmp_path.iterdir()) == []
