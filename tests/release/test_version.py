# SPDX-License-Identifier: Apache-2.0
"""A version is the tag, wherever the build finds it (docs/decisions/0021)."""

import os
import sys
import tarfile
from datetime import date
from pathlib import Path

import pytest

from deploy.release import tree
from deploy.release.commands import run
from deploy.release.refusal import Refused
from tests.house.source import ROOT

pytestmark = pytest.mark.slow
NAMED = "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_CDS_SERVICE"
DAY = date(2026, 12, 1)


@pytest.fixture(name="copy")
def _copy(tmp_path: Path) -> Path:
    """The tree of this repository as one of its own, without a tag, and before any release."""
    copy = tmp_path / "copy"
    tree.copy_as_it_is(ROOT, copy)
    (copy / tree.CHANGELOG).write_text("# Log\n\n## [Unreleased]\n\n- A thing.\n", "utf-8")
    (copy / tree.UPGRADE).write_text("# Upgrade\n\n## Next release\n\nRun it.\n", "utf-8")
    run("git", "commit", "--quiet", "--all", "--message", "before any release", cwd=copy)
    return copy


def version(folder: Path, named: str = "") -> str:
    """The version that a build in this folder would have."""
    # Git does not look above: a build folder may lie inside of another repository.
    env = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    env |= {NAMED: named} if named else {}
    return run(sys.executable, "-m", "hatchling", "version", cwd=folder, env=env).strip()


def commit(copy: Path, name: str) -> None:
    (copy / name).write_text("new\n", encoding="utf-8")
    run("git", "add", name, cwd=copy)
    run("git", "commit", "--quiet", "--message", name, cwd=copy)


def archive(copy: Path, target: Path, revision: str) -> Path:
    run("git", "archive", f"--output={target}.tar", f"--prefix={target.name}/", revision, cwd=copy)
    with tarfile.open(f"{target}.tar") as packed:
        packed.extractall(target.parent, filter="data")
    return target


def test_the_version_is_the_tag_and_after_it_says_how_far(copy: Path, tmp_path: Path) -> None:
    assert version(copy).startswith("0.1.dev")

    tree.cut(copy, "0.1.0", DAY)

    assert version(copy) == tree.released_version(copy) == "0.1.0"
    assert set(tree.versions_held(copy).values()) == {"0.1.0"}
    assert version(archive(copy, tmp_path / "archive", "v0.1.0")) == "0.1.0"

    commit(copy, "later.txt")

    assert version(copy).startswith("0.1.1.dev1+g")
    assert version(archive(copy, tmp_path / "later", "HEAD")).startswith("0.1.1.dev1+g")
    with pytest.raises(Refused, match="this commit has no tag"):
        tree.released_version(copy)


def test_what_is_changed_is_no_release(copy: Path) -> None:
    tree.cut(copy, "0.1.0", DAY)
    (copy / "README.md").write_text("other\n", encoding="utf-8")

    assert version(copy).startswith("0.1.1.dev0+g")
    with pytest.raises(Refused, match=r"commit or remove what is changed first: README\.md"):
        tree.released_version(copy)
    with pytest.raises(Refused, match="commit or remove"):
        tree.cut(copy, "0.1.1", DAY)


def test_a_tag_of_another_version_than_the_tree_is_refused(copy: Path) -> None:
    tree.cut(copy, "0.1.0", DAY)
    commit(copy, "later.txt")
    run("git", "tag", "v0.2.0", cwd=copy)

    with pytest.raises(Refused, match=r"expected 0\.2\.0, not openapi\.yaml"):
        tree.released_version(copy)

    run("git", "tag", "v0.3.0", cwd=copy)

    with pytest.raises(Refused, match="one commit is one release"):
        tree.released_version(copy)


def test_a_release_is_not_cut_twice_and_a_refusal_changes_nothing(copy: Path) -> None:
    before = run("git", "rev-parse", "HEAD", cwd=copy)

    with pytest.raises(Refused, match="expected a version"):
        tree.cut(copy, "one", DAY)

    assert run("git", "rev-parse", "HEAD", cwd=copy) == before
    tree.require_clean(copy)

    tree.cut(copy, "0.1.0", DAY)
    with pytest.raises(Refused, match=r"there is a tag v0\.1\.0 already"):
        tree.cut(copy, "0.1.0", DAY)
    with pytest.raises(Refused, match="there is nothing to release"):
        tree.cut(copy, "0.2.0", DAY)


def test_the_commit_of_a_release_can_be_rehearsed(copy: Path, tmp_path: Path) -> None:
    """The workflow of a release runs every test on its tag."""
    tree.cut(copy, "0.1.0", DAY)
    again, later = tmp_path / "again", tmp_path / "later"
    tree.copy_as_it_is(copy, again)

    assert tree.cut_to_rehearse(again, DAY) == tree.released_version(again) == "0.1.0"

    text = tree.text_of(copy, tree.CHANGELOG)
    news = text.replace("## [Unreleased]\n", "## [Unreleased]\n\n- Another thing.\n")
    (copy / tree.CHANGELOG).write_text(news, "utf-8")
    tree.copy_as_it_is(copy, later)

    assert tree.cut_to_rehearse(later, DAY) == tree.released_version(later) == "0.2.0"


def test_a_link_to_a_folder_is_copied_as_a_link(copy: Path, tmp_path: Path) -> None:
    (copy / "linked").symlink_to(tmp_path)

    tree.copy_as_it_is(copy, tmp_path / "again")

    assert (tmp_path / "again" / "linked").readlink() == tmp_path


def test_without_git_a_build_has_to_be_given_a_version(copy: Path) -> None:
    run("rm", "-rf", ".git", cwd=copy)

    assert version(copy, "0+unversioned") == "0+unversioned"
    assert version(copy, "9.8.7") == "9.8.7"
    with pytest.raises(Refused, match="unable to detect version"):
        version(copy)
