# SPDX-License-Identifier: Apache-2.0
"""Whoever follows a tutorial, or the guide to HAPI, sees what it shows: each step is taken."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest
import requests

from tests.conformance.server import free_port
from tests.fhir_server.hapi import shared
from tests.house.source import ROOT
from tests.website.lessons import changed, steps_of

FOLDER = ROOT / "docs" / "tutorials"
PATIENCE = 60  # seconds for the service to start while other tests run

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: install curl")


@pytest.fixture(name="clone")
def _clone(tmp_path: Path) -> Path:
    """What the commands need of a clone."""
    shutil.copytree(ROOT / "cards", tmp_path / "cards")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


def environment(clone: Path, port: int) -> Mapping[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    folders = {"CDS_CARDS": str(clone / "cards"), "XDG_STATE_HOME": str(clone / "state")}
    return {**own, **folders, "CDS_PORT": str(port), "NO_COLOR": "1"}


@contextmanager
def answering(command: str, clone: Path, port: int) -> Iterator[None]:
    """The program of the second terminal, until the lesson is over."""
    with (clone / "second-terminal.log").open("wb") as log:
        program = subprocess.Popen(
            ["sh", "-c", f"exec env {command.strip()}"],
            cwd=clone,
            env=environment(clone, port),
            stdout=log,
            stderr=log,
        )
    try:
        end = monotonic() + PATIENCE
        while not is_ready(port) and program.poll() is None and monotonic() < end:
            sleep(0.1)
        yield
    finally:
        program.terminate()
        program.wait(PATIENCE)


def is_ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


def follow(page: Path, clone: Path, **other: str) -> int:
    """Take every step of a page; how many blocks of commands were run."""
    port, output, count = free_port(), "", 0
    places = {"127.0.0.1:8000": f"127.0.0.1:{port}", **other}
    with ExitStack() as open_programs:
        for step in steps_of(page):
            match step.kind:
                case "program":
                    open_programs.enter_context(answering(step.text, clone, port))
                case "run":
                    commands = step.text
                    for shown, here in places.items():
                        commands = commands.replace(shown, here)
                    run = subprocess.run(
                        ["sh", "-e", "-c", commands],
                        cwd=clone,
                        env=environment(clone, port),
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        text=True,
                        check=False,
                    )
                    output, count = run.stdout, count + 1
                    assert run.returncode == step.exit_code, f"{step.text}\n{output}"
                case "shown":
                    missing = [line for line in step.text.splitlines() if line not in output]
                    assert missing == [], output
                case "change":
                    file = clone / step.file
                    file.write_text(changed(file.read_text(encoding="utf-8"), step.text), "utf-8")
    return count


@pytest.mark.server
def test_an_integrator_gets_from_a_clone_to_a_card(clone: Path) -> None:
    assert follow(FOLDER / "first-card.md", clone) == 7


@pytest.mark.slow
def test_a_clinician_changes_a_rule_and_mends_its_cases(clone: Path) -> None:
    assert follow(FOLDER / "first-edit.md", clone) == 3

    rule = (clone / "cards" / "liver" / "rules" / "plp-high.yaml").read_text(encoding="utf-8")
    assert "plp: above 250 nmol/L" in rule


@pytest.mark.hapi
@pytest.mark.server
def test_a_result_on_hapi_becomes_a_task_and_is_withdrawn(clone: Path) -> None:
    # A server of its own: this worker would write about the results of other tests.
    with shared(clone) as base:
        host = base.removeprefix("http://").removesuffix("/fhir")
        page = ROOT / "docs" / "how-to" / "hapi.md"
        assert follow(page, clone, **{"127.0.0.1:8080": host}) == 6


def test_every_tutorial_is_followed() -> None:
    assert {page.name for page in FOLDER.glob("*.md")} == {"first-card.md", "first-edit.md"}


def test_a_change_that_does_not_fit_is_refused() -> None:
    assert changed("a\nb\nc\n", "-b\n+d\n") == "a\nd\nc\n"
    for text in ("a\n", "b\nb\n"):
        with pytest.raises(ValueError, match="takes away"):
            changed(text, "-b\n+d\n")
