# SPDX-License-Identifier: Apache-2.0
"""The version, the change log and the tag of a release agree."""

import re
import subprocess
from itertools import pairwise

import pytest

from cds_service import __version__
from tests.house.source import ROOT

UNRELEASED = "## [Unreleased]"
RELEASE = re.compile(r"## \[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d\d-\d\d")


def problem(version: str, changelog: str, tags: list[str]) -> str:
    """The first disagreement of version, change log and the tags of this commit; empty if none."""
    top, *older = headings = re.findall(r"^## .*$", changelog, re.MULTILINE)
    releases = older if top == UNRELEASED else headings
    if unreadable := [line for line in releases if not RELEASE.fullmatch(line)]:
        return f"expected '## [1.2.3] - 2026-01-31': {unreadable}"
    numbers = [[int(part) for part in RELEASE.findall(line)[0]] for line in releases]
    if any(newer <= older for newer, older in pairwise(numbers)):
        return "expected the newest release first"
    ours = [int(part) for part in version.split(".")]
    if top == UNRELEASED and numbers and ours <= numbers[0]:
        return f"{version} is released: raise __version__ for what is unreleased"
    if top != UNRELEASED and ours != numbers[0]:
        return f"expected the version of the newest release, not {version}"
    wrong = {tag for tag in tags if tag.startswith("v")} - {f"v{version}"}
    return f"expected the tag v{version}, not {wrong}" if wrong else ""


def test_the_version_the_change_log_and_the_tag_agree() -> None:
    git = ["git", "-C", str(ROOT), "tag", "--points-at", "HEAD"]
    tags = subprocess.run(git, capture_output=True, text=True, check=False).stdout.split()

    assert problem(__version__, CHANGELOG, tags) == ""


CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
ONE = "## [0.1.0] - 2026-01-31\n"
TWO = "## [0.2.0] - 2026-02-28\n"


@pytest.mark.parametrize(
    ("version", "changelog", "tags", "expected"),
    [
        ("0.1.0", f"{UNRELEASED}\n", [], ""),
        ("0.1.0", ONE, ["v0.1.0", "other"], ""),
        ("0.2.0", f"{UNRELEASED}\n{ONE}", [], ""),
        ("0.10.0", f"{UNRELEASED}\n{TWO}{ONE}", [], ""),
        ("0.1.0", f"{UNRELEASED}\n{ONE}", [], "0.1.0 is released"),
        ("0.2.0", ONE, [], "expected the version of the newest release"),
        ("0.2.0", f"{ONE}{TWO}", [], "expected the newest release first"),
        ("0.2.0", "## [0.2.0]\n", [], "expected '## [1.2.3] - 2026-01-31'"),
        ("0.1.0", f"{ONE}{UNRELEASED}\n", [], "expected '## [1.2.3] - 2026-01-31'"),
        ("0.1.0", ONE, ["v0.1"], "expected the tag v0.1.0"),
    ],
)
def test_what_disagrees_is_named(
    version: str, changelog: str, tags: list[str], expected: str
) -> None:
    assert problem(version, changelog, tags).startswith(expected)
    assert bool(problem(version, changelog, tags)) == bool(expected)
