# SPDX-License-Identifier: Apache-2.0
"""The repository that a release is made of: its tag, its state, and where it holds the version."""

import re
import shutil
from datetime import date
from pathlib import Path

from deploy.release import changelog
from deploy.release.commands import run
from deploy.release.refusal import Refused

CHANGELOG = "CHANGELOG.md"
UPGRADE = "docs/how-to/upgrade.md"
# Each line that holds the version of the newest release, and what stands before it.
PLACES = (
    ("openapi.yaml", "  version: "),
    ("deploy/helm/cds-service/Chart.yaml", "version: "),
    ("deploy/helm/cds-service/Chart.yaml", "appVersion: "),
)


def text_of(tree: Path, name: str) -> str:
    """A file of the repository."""
    return (tree / name).read_text(encoding="utf-8")


def versions_held(tree: Path) -> dict[str, str]:
    """The version at each place that holds one; raises `Refused` where it stands not once."""
    found = {}
    for name, before in PLACES:
        lines = re.findall(rf"^{re.escape(before)}(\S+)$", text_of(tree, name), re.MULTILINE)
        if len(lines) != 1:
            raise Refused(f"expected one line {before.strip()!r} in {name}, not {len(lines)}")
        found[f"{name}, {before.strip()}"] = lines[0]
    return found


def problem(changelog_text: str, held: dict[str, str], tag: str) -> str:
    """The first disagreement of the change log, the places and the tag of this commit, or ""."""
    releases = changelog.releases(changelog_text)
    newest = changelog.written(releases[0]) if releases else ""
    expected = tag.removeprefix("v") or newest or next(iter(held.values()))
    if wrong := [f"{place} {version}" for place, version in held.items() if version != expected]:
        return f"expected {expected}, not {wrong[0]}"
    if tag and newest != expected:
        return f"the newest release of {CHANGELOG} is {newest or 'none'}, the tag is {tag}"
    return ""


def tag_of(tree: Path) -> str:
    """The release tag of the commit that is checked out, or "" if there is none."""
    tags = run("git", "tag", "--points-at", "HEAD", "--list", "v*", cwd=tree).split()
    if len(tags) > 1:
        raise Refused(f"one commit is one release, and this one has the tags {', '.join(tags)}")
    if tags:
        changelog.version_of(tags[0].removeprefix("v"))
    return tags[0] if tags else ""


def require_clean(tree: Path) -> None:
    """Raises `Refused` where a file is changed, or is there that git does not know."""
    if changed := run("git", "status", "--porcelain", cwd=tree).splitlines():
        named = ", ".join(line[3:] for line in changed[:5])
        raise Refused(f"commit or remove what is changed first: {named}")


def released_version(tree: Path) -> str:
    """The version of the tag that is checked out, with which everything agrees.

    Raises `Refused` where there is no tag, something is changed, or a place has another version.
    """
    require_clean(tree)
    if not (tag := tag_of(tree)):
        raise Refused("this commit has no tag such as v1.2.3: only a tag is built as a release")
    if wrong := problem(text_of(tree, CHANGELOG), versions_held(tree), tag):
        raise Refused(wrong)
    return tag.removeprefix("v")


def cut(tree: Path, version: str, day: date) -> None:
    """Write the version to every place, commit and tag it. Raises `Refused` before it writes."""
    require_clean(tree)
    if run("git", "tag", "--list", f"v{version}", cwd=tree).strip():
        raise Refused(f"there is a tag v{version} already")
    fresh = {
        CHANGELOG: changelog.cut(text_of(tree, CHANGELOG), version, day),
        UPGRADE: changelog.cut_notes(text_of(tree, UPGRADE), version),
    }
    versions_held(tree)
    for name, before in PLACES:
        text = fresh.get(name) or text_of(tree, name)
        fresh[name] = re.sub(
            rf"^{re.escape(before)}\S+$", f"{before}{version}", text, flags=re.MULTILINE
        )
    for name, text in fresh.items():
        (tree / name).write_text(text, encoding="utf-8", newline="\n")
    run("git", "add", "--", *fresh, cwd=tree)
    run("git", "commit", "--quiet", "--message", f"release: {version}", cwd=tree)
    _tag(tree, version)


def cut_to_rehearse(copy: Path, day: date) -> str:
    """Cut the next minor version in a copy that has no tags; its version.

    Where nothing is unreleased, as on the commit of a release, the newest version is tagged again:
    tests rehearse there, too. Raises `Refused` as `cut` does.
    """
    text = text_of(copy, CHANGELOG)
    version = changelog.to_rehearse(text)
    if changelog.section(text, f"## [{version}]"):
        _tag(copy, version)
    else:
        cut(copy, version, day)
    return version


def copy_at(tree: Path, target: Path, revision: str = "HEAD") -> None:
    """A clone without anything that git does not know, at one revision, with its tags."""
    run("git", "clone", "--quiet", "--no-checkout", tree, target, cwd=tree)
    run("git", "checkout", "--quiet", "--detach", revision, cwd=target)


def copy_as_it_is(tree: Path, target: Path) -> None:
    """A clone with what is changed and new in the tree, committed there; none of its tags."""
    run("git", "clone", "--quiet", "--no-tags", tree, target, cwd=tree)
    _name_author(target)
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=tree)
    for name in filter(None, listed.split("\0")):
        source, copy = tree / name, target / name
        if not source.exists():
            copy.unlink(missing_ok=True)
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy, follow_symlinks=False)
    run("git", "add", "--all", cwd=target)
    run("git", "commit", "--quiet", "--allow-empty", "--message", "what is rehearsed", cwd=target)


def committed_at(tree: Path) -> int:
    """When the commit was made, in seconds since 1970: the time of everything that is built."""
    return int(run("git", "log", "-1", "--format=%ct", cwd=tree))


def _tag(tree: Path, version: str) -> None:
    run("git", "tag", "--annotate", f"v{version}", "--message", version, cwd=tree)


def _name_author(tree: Path) -> None:
    for name, value in (("name", "Rehearsal"), ("email", "rehearsal@example.org")):
        run("git", "config", f"user.{name}", value, cwd=tree)
    run("git", "config", "commit.gpgsign", "false", cwd=tree)
    run("git", "config", "tag.gpgsign", "false", cwd=tree)
