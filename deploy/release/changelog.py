# SPDX-License-Identifier: Apache-2.0
"""The change log and the upgrade notes: a section for what is unreleased, one for each release."""

import re
from datetime import date
from itertools import pairwise

from deploy.release.refusal import Refused

UNRELEASED = "## [Unreleased]"
NOTES_UNRELEASED = "## Next release"
NOTHING_YET = "Nothing to do so far."
_RELEASE = re.compile(r"## \[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
Version = tuple[int, int, int]


def version_of(text: str) -> Version:
    """The numbers of `1.2.3`; raises `Refused` for anything else."""
    if (found := _VERSION.fullmatch(text)) is None:
        raise Refused(f"expected a version such as 1.2.3, not {text!r}")
    major, minor, patch = (int(part) for part in found.groups())
    return major, minor, patch


def written(version: Version) -> str:
    """A version as it is written."""
    return ".".join(str(part) for part in version)


def releases(changelog: str) -> list[Version]:
    """Every release that the change log has, newest first.

    Raises `Refused` where the headings are not those of the format, or in another order.
    """
    top, *headings = re.findall(r"^## .*$", changelog, re.MULTILINE) or [""]
    if top != UNRELEASED:
        raise Refused(f"expected {UNRELEASED!r} on top of the change log, not {top!r}")
    if unreadable := [line for line in headings if not _RELEASE.fullmatch(line)]:
        raise Refused(f"expected '## [1.2.3] - 2026-01-31', not {unreadable[0]!r}")
    found = [version_of(line[4 : line.index("]")]) for line in headings]
    if any(newer <= older for newer, older in pairwise(found)):
        raise Refused("expected the newest release first in the change log, and each one once")
    return found


def to_rehearse(changelog: str) -> str:
    """The next minor version, or the newest release where nothing is unreleased.

    The first one is 0.1.0. Raises `Refused` as `releases` does.
    """
    found = releases(changelog)
    if found and not _has_news(changelog):
        return written(found[0])
    major, minor, _ = found[0] if found else (0, 0, 0)
    return written((major, minor + 1, 0))


def section(text: str, heading: str) -> str:
    """What stands under a heading up to the next of its level; "" if it is not there."""
    found = re.search(
        rf"^{re.escape(heading)}(?: [^\n]*)?\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    return found[1].strip() if found else ""


def cut(changelog: str, version: str, day: date) -> str:
    """The change log with what was unreleased as this version.

    Raises `Refused` if nothing is unreleased, or the version does not follow the newest one.
    """
    newest = next(iter(releases(changelog)), None)
    if newest is not None and version_of(version) not in _followers(newest):
        after = ", ".join(written(each) for each in _followers(newest))
        raise Refused(f"after {written(newest)} comes one of {after}, not {version}")
    version_of(version)
    if not _has_news(changelog):
        raise Refused(f"CHANGELOG.md has nothing under {UNRELEASED!r}: there is nothing to release")
    return changelog.replace(UNRELEASED, f"{UNRELEASED}\n\n## [{version}] - {day.isoformat()}", 1)


def cut_notes(notes: str, version: str) -> str:
    """The upgrade notes with what was of the next release under this version.

    Raises `Refused` if there is no such section or it says nothing.
    """
    if not section(notes, NOTES_UNRELEASED):
        raise Refused(
            f"docs/how-to/upgrade.md says nothing under {NOTES_UNRELEASED!r}; write what whoever "
            "upgrades has to do, or that there is nothing"
        )
    fresh = f"{NOTES_UNRELEASED}\n\n{NOTHING_YET}\n\n## To {version}"
    return notes.replace(NOTES_UNRELEASED, fresh, 1)


def notes_of(changelog: str, upgrade: str, version: str) -> str:
    """What a release says of itself: how to upgrade to it, then its part of the change log.

    Raises `Refused` where one of the two is missing.
    """
    changes = section(changelog, f"## [{version}]")
    steps = section(upgrade, f"## To {version}")
    for text, file in ((changes, "CHANGELOG.md"), (steps, "docs/how-to/upgrade.md")):
        if not text:
            raise Refused(f"{file} has no section of {version}")
    return f"# cds-service {version}\n\n## How to upgrade\n\n{steps}\n\n## Changes\n\n{changes}\n"


def _has_news(changelog: str) -> bool:
    return bool(re.search(r"^- ", section(changelog, UNRELEASED), re.MULTILINE))


def _followers(newest: Version) -> list[Version]:
    major, minor, patch = newest
    return [(major, minor, patch + 1), (major, minor + 1, 0), (major + 1, 0, 0)]
