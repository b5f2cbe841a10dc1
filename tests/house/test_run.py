# SPDX-License-Identifier: Apache-2.0
"""`./test` says what it does and refuses what it does not know."""

import subprocess

import pytest

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
