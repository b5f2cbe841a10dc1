# SPDX-License-Identifier: Apache-2.0
"""Pythons, commands and files that the workflows name are those of the project."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.release import pythons
from deploy.release.__main__ import commands
from tests.house.source import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
NAMED = pythons.named(ROOT)


def loaded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def steps_of(path: Path, job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = loaded(path)["jobs"][job]["steps"]
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_it_fits_the_schema_of_workflows(path: Path) -> None:
    program = Path(sys.executable).with_name("check-jsonschema")

    done = subprocess.run(
        [program, "--builtin-schema", "vendor.github-workflows", path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_program_of_ours_that_it_runs_is_there(path: Path) -> None:
    runs = re.findall(r"^ +- run: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    words = [word for run in runs for word in shlex.split(run)]
    ours = [word for word in words if re.match(r"(\./|\.ci/|requirements/)", word)]

    assert ours
    assert [word for word in ours if not (ROOT / word).is_file()] == []
    for run in runs:
        if named := re.search(r"-m deploy\.release (\w+)", run):
            assert named[1] in commands.commands
        if named := re.search(r"-m (website)$", run):
            assert (ROOT / named[1] / "__main__.py").is_file()


def test_every_python_that_the_project_names_is_tried() -> None:
    matrices = [
        job["strategy"]["matrix"]["python"]
        for path in WORKFLOWS
        for job in loaded(path)["jobs"].values()
        if "strategy" in job
    ]

    assert matrices == [NAMED] * 2
    assert f"Python {NAMED[0]} to {NAMED[-1]}" in (ROOT / "docs/how-to/upgrade.md").read_text()


def test_the_oldest_python_is_the_one_that_the_project_asks_for() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    assert f'requires-python = ">={NAMED[0]}"' in text
    assert f'target-version = "py{NAMED[0].replace(".", "")}"' in text
    script = (ROOT / "requirements" / "install").read_text(encoding="utf-8")
    looked_for = re.search(r"for name in (.+?) python3 python;", script)
    assert looked_for is not None
    assert sorted(looked_for[1].split()) == [f"python{python}" for python in NAMED]


def test_nothing_is_published_before_it_is_tested_built_and_tried() -> None:
    (release,) = [path for path in WORKFLOWS if path.name == "release.yml"]
    jobs = loaded(release)["jobs"]
    build = next(step["run"] for step in steps_of(release, "build") if "release" in str(step))

    assert set(jobs["publish"]["needs"]) == set(jobs) - {"publish"}
    # The command that ends with an error where nobody answers about vulnerabilities.
    assert build == ".venv/bin/python -m deploy.release build dist"
    assert [name for name, job in jobs.items() if "permissions" in job] == ["publish"]
    # Each Python is that of the command, on which tests run only if asked for.
    tried = steps_of(release, "pythons")[-1]["run"]
    assert tried.split()[-3:] == ["pythons", "--tests-here", "dist/*.whl"]
