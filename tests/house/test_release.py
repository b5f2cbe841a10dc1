# SPDX-License-Identifier: Apache-2.0
"""The change log, the places that hold the version, and the tag of a release agree."""

import pytest

from cds_service import __version__
from deploy.release import tree
from tests.house.source import ROOT


def test_the_change_log_the_places_and_the_tag_agree() -> None:
    changelog = tree.text_of(ROOT, tree.CHANGELOG)

    assert tree.problem(changelog, tree.versions_held(ROOT), tree.tag_of(ROOT)) == ""


def test_a_clone_that_is_installed_in_place_has_the_name_of_no_release() -> None:
    # What is edited under it would otherwise go by that name, in Provenance and in metrics.
    assert __version__ == "0+unversioned"


TOP = "## [Unreleased]\n\n"
ONE = "## [0.1.0] - 2026-01-31\n"
TWO = "## [0.2.0] - 2026-02-28\n"
SAME = {"openapi.yaml": "0.1.0", "chart": "0.1.0"}


@pytest.mark.parametrize(
    ("changelog", "held", "tag", "expected"),
    [
        (TOP, SAME, "", ""),
        (TOP + ONE, SAME, "", ""),
        (TOP + ONE, SAME, "v0.1.0", ""),
        (TOP, {**SAME, "chart": "0.2.0"}, "", "expected 0.1.0, not chart 0.2.0"),
        (TOP + TWO + ONE, SAME, "", "expected 0.2.0, not openapi.yaml 0.1.0"),
        (TOP + TWO + ONE, SAME, "v0.1.0", "the newest release of CHANGELOG.md is 0.2.0, the tag"),
        (TOP + ONE, SAME, "v0.2.0", "expected 0.2.0, not openapi.yaml 0.1.0"),
        (TOP, SAME, "v0.1.0", "the newest release of CHANGELOG.md is none, the tag is v0.1.0"),
    ],
)
def test_what_disagrees_is_named(
    changelog: str, held: dict[str, str], tag: str, expected: str
) -> None:
    assert tree.problem(changelog, held, tag).startswith(expected)
    assert bool(tree.problem(changelog, held, tag)) == bool(expected)


def test_the_upgrade_notes_name_the_newest_change_of_the_tables() -> None:
    versions = ROOT / "cds_service" / "store" / "migrations" / "versions"
    newest = max(versions.glob("*_[0-9]*.py"), key=lambda path: path.stem[-4:])

    # Those who run PostgreSQL have to act; name it under "Next release" of the notes.
    assert f"`{newest.stem}`" in tree.text_of(ROOT, tree.UPGRADE)
