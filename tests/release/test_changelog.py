# SPDX-License-Identifier: Apache-2.0
"""A release is cut from what the change log and the upgrade notes hold as unreleased."""

from datetime import date

import pytest

from deploy.release import changelog
from deploy.release.refusal import Refused

DAY = date(2026, 12, 1)
HEAD = "# Changelog\n\nWords.\n\n## [Unreleased]\n"
NEWS = "\n### Added\n\n- A thing.\n"
ONE = "\n## [0.1.0] - 2026-01-31\n\n### Added\n\n- The first.\n"
TEN = "\n## [0.10.0] - 2026-03-31\n\n- Later.\n"
NOTES = "# Upgrade\n\n## Next release\n\nRun it.\n\n## To 0.1.10\n\nTen.\n\n## To 0.1.1\n\nOne.\n"


def test_what_was_unreleased_becomes_the_release_and_the_top_is_empty_again() -> None:
    after = changelog.cut(HEAD + NEWS + ONE, "0.2.0", DAY)

    assert after == HEAD + "\n## [0.2.0] - 2026-12-01\n" + NEWS + ONE
    assert changelog.section(after, changelog.UNRELEASED) == ""
    assert changelog.releases(after) == [(0, 2, 0), (0, 1, 0)]


@pytest.mark.parametrize(
    ("text", "version", "sentence"),
    [
        (HEAD + ONE, "0.2.0", "there is nothing to release"),
        (HEAD + "\n### Added\n" + ONE, "0.2.0", "there is nothing to release"),
        (HEAD + NEWS + ONE, "0.1.0", "after 0.1.0 comes one of 0.1.1, 0.2.0, 1.0.0, not 0.1.0"),
        (HEAD + NEWS + ONE, "0.3.0", "comes one of 0.1.1, 0.2.0, 1.0.0"),
        (HEAD + NEWS + TEN + ONE, "0.2.0", "after 0.10.0 comes one of 0.10.1, 0.11.0, 1.0.0"),
        (HEAD + NEWS, "v0.2.0", "expected a version such as 1.2.3"),
        (HEAD + NEWS, "0.2", "expected a version such as 1.2.3"),
        (HEAD + NEWS, "0.2.0\n", "expected a version such as 1.2.3"),
        (HEAD + NEWS, "0.02.0", "expected a version such as 1.2.3"),
        ("# Changelog\n" + NEWS, "0.2.0", "on top of the change log, not ''"),
        (ONE + HEAD + NEWS, "0.2.0", "on top of the change log, not '## [0.1.0]"),
        (HEAD + NEWS + ONE + TEN, "0.11.0", "expected the newest release first"),
        (HEAD + NEWS + ONE + ONE, "0.2.0", "each one once"),
        (HEAD + NEWS + "\n## 0.1.0\n", "0.2.0", "expected '## [1.2.3] - 2026-01-31'"),
    ],
)
def test_what_cannot_be_cut_is_refused_in_a_sentence(
    text: str, version: str, sentence: str
) -> None:
    with pytest.raises(Refused) as refused:
        changelog.cut(text, version, DAY)

    assert sentence in str(refused.value)


def test_the_first_release_can_have_any_version() -> None:
    assert "## [0.1.0] - 2026-12-01" in changelog.cut(HEAD + NEWS, "0.1.0", DAY)


def test_the_next_minor_is_rehearsed_or_the_newest_where_nothing_is_unreleased() -> None:
    assert changelog.to_rehearse(HEAD) == "0.1.0"
    assert changelog.to_rehearse(HEAD + NEWS + TEN + ONE) == "0.11.0"
    assert changelog.to_rehearse(HEAD + TEN + ONE) == "0.10.0"


def test_the_notes_of_the_next_release_become_those_of_this_one() -> None:
    after = changelog.cut_notes(NOTES, "0.2.0")

    assert changelog.section(after, "## To 0.2.0") == "Run it."
    assert changelog.section(after, changelog.NOTES_UNRELEASED) == changelog.NOTHING_YET


def test_a_section_is_not_that_of_a_longer_version() -> None:
    assert changelog.section(NOTES, "## To 0.1.1") == "One."
    assert changelog.section(NOTES, "## To 0.1.10") == "Ten."
    assert changelog.section(NOTES, "## To 0.1") == ""


@pytest.mark.parametrize("notes", ["", "# Upgrade\n\n## Next release\n\n## To 0.1.0\n\nIt.\n"])
def test_a_release_whose_upgrade_nobody_described_is_refused(notes: str) -> None:
    with pytest.raises(Refused, match="says nothing under '## Next release'"):
        changelog.cut_notes(notes, "0.2.0")


def test_a_release_says_how_to_upgrade_before_what_changed() -> None:
    log = changelog.cut(HEAD + NEWS, "0.2.0", DAY)
    said = changelog.notes_of(log, changelog.cut_notes(NOTES, "0.2.0"), "0.2.0")

    assert said.startswith("# cds-service 0.2.0\n\n## How to upgrade\n\nRun it.\n\n## Changes\n")
    assert "- A thing." in said
    with pytest.raises(Refused, match=r"CHANGELOG.md has no section of 0\.3\.0"):
        changelog.notes_of(log, NOTES, "0.3.0")
    with pytest.raises(Refused, match=r"upgrade.md has no section of 0\.2\.0"):
        changelog.notes_of(log, NOTES, "0.2.0")
