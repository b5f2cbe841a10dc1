# SPDX-License-Identifier: Apache-2.0
"""A test that starts a browser, a database or a server without its marker fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT
from tests.process_guard import Command, marker_for, starts

TESTS = """
import subprocess
import pytest

def start(program):
    subprocess.run([program], check=True)

@pytest.fixture
def browser():
    return "chromium"

def test_unmarked(request):
    start("./gunicorn")

@pytest.mark.server
def test_marked():
    start("./gunicorn")

def test_marked_by_its_fixture(browser):
    start("./chromium")

def test_of_another_kind(browser):
    start("./gunicorn")

def test_plain():
    start("true")
"""


@pytest.mark.parametrize(
    ("command", "marker"),
    [
        (["/usr/bin/chromium", "--headless"], "browser"),
        (["/x/playwright/driver/node", "/x/package/cli.js", "run-driver"], "browser"),
        ([Path("/x/pginstall/bin/initdb"), "-D", Path("/x/data")], "database"),
        ([b"postgres"], "database"),
        ("gunicorn", "server"),
        ([sys.executable, "-m", "cds_service", "serve"], "server"),
        ([sys.executable, "-m", "cds_service", "demo", "--port", "1"], "server"),
        ([sys.executable, "-m", "cds_service", "demo", "--request"], None),
        (["java", "-cp", "x", "testserver.Main"], "server"),
        ([sys.executable, "-c", "print('serve')"], None),
    ],
)
def test_a_command_needs_the_marker_of_what_it_starts(command: Command, marker: str | None) -> None:
    assert marker_for(command) == marker


def test_what_starts_without_a_command_needs_the_marker_too() -> None:
    with pytest.raises(pytest.fail.Exception, match="this test starts a server"):
        starts("server")


@pytest.mark.server
def test_what_has_the_marker_starts() -> None:
    starts("server")


def run(folder: Path, *options: str) -> str:
    (folder / "conftest.py").write_bytes((ROOT / "tests" / "conftest.py").read_bytes())
    (folder / "test_starts.py").write_text(TESTS, encoding="utf-8")
    for program in ("gunicorn", "chromium"):
        (folder / program).write_text("#!/bin/sh\n", encoding="utf-8")
        (folder / program).chmod(0o755)
    without = ("-p", "no:cacheprovider", "-p", "no:schemathesis")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-W", "ignore", *without, *options, folder],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout


@pytest.mark.slow
def test_what_starts_without_its_marker_fails_and_names_it(tmp_path: Path) -> None:
    output = run(tmp_path)

    reason = "Failed: this test starts a server: mark it @pytest.mark.server"
    assert f"FAILED test_starts.py::test_unmarked - {reason}" in output
    assert f"FAILED test_starts.py::test_of_another_kind - {reason}" in output
    assert "2 failed, 3 passed" in output


@pytest.mark.slow
def test_fixtures_mark_their_tests_before_the_selection(tmp_path: Path) -> None:
    output = run(tmp_path, "-m", "not (browser or server)")

    assert "1 failed, 1 passed, 3 deselected" in output
