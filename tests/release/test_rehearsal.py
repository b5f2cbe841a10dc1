# SPDX-License-Identifier: Apache-2.0
"""A release is rehearsed: all of it is made, and the wheel works on every Python."""

import json
import os
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from deploy.release import artefacts, changelog, locks, pythons, tree
from deploy.release.commands import run
from deploy.release.refusal import Refused
from tests.house.source import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.server]


def command(*words: str | Path, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "deploy.release", *words],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(
    not (ROOT / ".venv-spark" / "made-from").is_file(),
    reason="the licences of Spark are read in .venv-spark: run requirements/install-spark",
)
def test_a_rehearsal_makes_a_whole_release_that_works_on_every_python_here(tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = run("git", "status", "--porcelain", cwd=ROOT), tree.tag_of(ROOT)

    rehearsed = command("rehearse", out)

    assert rehearsed.returncode == 0, rehearsed.stderr
    assert (run("git", "status", "--porcelain", cwd=ROOT), tree.tag_of(ROOT)) == before
    version = changelog.to_rehearse(tree.text_of(ROOT, tree.CHANGELOG))
    wheel = out / f"cds_service-{version}-py3-none-any.whl"
    assert {path.name for path in out.iterdir()} == {
        wheel.name, f"cds_service-{version}.tar.gz", f"cds-service-{version}.cdx.json",
        "licences.md", "licences.json", "vulnerabilities.json", "release-notes.md", "SHA256SUMS",
        *artefacts.LOCKS,
    }  # fmt: skip
    every_sum_is_right(out)
    the_bill_is_of_what_is_deployed(out, version)
    licences = json.loads((out / "licences.json").read_text(encoding="utf-8"))
    assert {licence["name"] for licence in licences} == set(locks.uses(ROOT))
    audit = json.loads((out / "vulnerabilities.json").read_text(encoding="utf-8"))
    assert (audit["known"] == []) != bool(audit["not asked because"])
    assert ("NOT looked for" in rehearsed.stdout) == (audit["known"] is None)
    notes = (out / "release-notes.md").read_text(encoding="utf-8")
    assert notes.startswith(f"# cds-service {version}\n\n## How to upgrade\n")

    again = command("rehearse", out)
    assert (again.returncode, "is there already" in again.stderr) == (1, True)

    tried = command("pythons", wheel)
    assert tried.returncode == 0, tried.stdout + tried.stderr
    print(tried.stdout)
    for python in pythons.named(ROOT):
        assert re.search(
            rf"^Python {python}( \(\d+ s\): works|: NOT TRIED)", tried.stdout, re.MULTILINE
        )
    here = ".".join(str(part) for part in sys.version_info[:2])
    assert f"Python {here} (" in tried.stdout


def every_sum_is_right(out: Path) -> None:
    lines = (out / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = [path for path in out.iterdir() if path.name != "SHA256SUMS"]

    assert sums == {path.name: sha256(path.read_bytes()).hexdigest() for path in files}


def the_bill_is_of_what_is_deployed(out: Path, version: str) -> None:
    text = (out / f"cds-service-{version}.cdx.json").read_text(encoding="utf-8")
    bill = json.loads(text)
    wheel = (out / f"cds_service-{version}-py3-none-any.whl").read_bytes()
    named = {locks.normal(component["name"]) for component in bill["components"]}

    assert bill["metadata"]["component"]["version"] == version
    assert bill["metadata"]["component"]["hashes"][0]["content"] == sha256(wheel).hexdigest()
    assert "flask" in named
    assert not named & {"pytest", "pip", "gunicorn-tests", "cds-service"}
    assert str(ROOT) not in text


def test_a_release_is_not_made_of_anything_but_a_tag(tmp_path: Path) -> None:
    copy = tmp_path / "copy"  # without tags: this commit may be a release
    tree.copy_as_it_is(ROOT, copy)

    built = command("build", tmp_path / "out", cwd=copy)

    assert built.returncode == 1
    assert built.stderr.startswith("No release: this commit has no tag")
    assert not (tmp_path / "out").exists()


def test_a_python_that_is_not_here_or_is_an_empty_shim_is_not_found(tmp_path: Path) -> None:
    shim = tmp_path / "python3.99"
    shim.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)

    assert pythons.found(["3.98", "3.99"], {"PATH": str(tmp_path), "HOME": str(tmp_path)}) == {}


def test_without_root_no_python_is_made_and_that_is_said(tmp_path: Path) -> None:
    script = (ROOT / "requirements" / "install-python-314").read_text(encoding="utf-8")
    there = shutil.which("python3.14", path=os.defpath)
    nobody = 65534 if os.geteuid() == 0 else None

    done = subprocess.run(
        ["sh"], input=script, user=nobody, group=nobody, cwd="/", capture_output=True, text=True,
        check=False, env={"PATH": os.defpath, "XDG_CACHE_HOME": str(tmp_path)},
    )  # fmt: skip

    assert done.returncode == 0
    assert ("that needs root" in done.stderr) == (there is None)
    assert "Fetching" not in done.stderr


def test_a_wheel_that_does_not_work_is_a_problem_of_its_python(tmp_path: Path) -> None:
    wheel = tmp_path / "cds_service-9.8.7-py3-none-any.whl"
    wheel.write_bytes(b"no wheel")
    here = ".".join(str(part) for part in sys.version_info[:2])

    (trial,) = pythons.try_all(ROOT, wheel, {here: Path(sys.executable)}, tmp_path / "work")

    assert trial.tests == 0
    assert "uv pip install" in trial.problem
    with pytest.raises(Refused):
        tree.released_version(tmp_path)
