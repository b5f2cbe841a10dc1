# SPDX-License-Identifier: Apache-2.0
"""`./test` says what it does and refuses what it does not know."""

import shutil
import subprocess
from pathlib import Path

import click
import pytest

from cds_service.cli.demo import demo
from tests.house.source import ROOT


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [ROOT / "test", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [["quick"], ["fast", "more"], ["-x"], [""]])
def test_unknown_arguments_are_wrong_use(arguments: list[str]) -> None:
    refused = run(*arguments)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("Usage: ./test [fast]")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_both_runs(option: str) -> None:
    shown = run(option)

    assert shown.returncode == 0
    assert "./test  " in shown.stdout
    assert "./test fast  " in shown.stdout


@pytest.mark.parametrize("words", [["--help"], ["--subscription", "-h"]])
def test_the_help_of_the_demonstration_installs_nothing(tmp_path: Path, words: list[str]) -> None:
    """In a folder that has only the script, where every step of an installation would fail."""
    shutil.copy(ROOT / "demo", tmp_path)

    shown = subprocess.run(
        [tmp_path / "demo", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (shown.returncode, shown.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    options = [param.opts[0] for param in demo.params if isinstance(param, click.Option)]
    assert [option for option in options if f"  {option} " not in shown.stdout] == []
