# SPDX-License-Identifier: Apache-2.0
"""The recipe of the image holds to the rules of such recipes, and to this project's settings."""

import re
import subprocess
import sys
from pathlib import Path

from cds_service.settings import PREFIX, Settings
from tests.deploy.image import CONTAINERFILE
from tests.house.source import ROOT

TEXT = CONTAINERFILE.read_text(encoding="utf-8")


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")

    done = subprocess.run([program, CONTAINERFILE], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_whatever_is_installed_is_in_a_lock_file_with_its_hashes_or_is_our_wheel() -> None:
    installs = re.findall(r"pip install(.*?)(?=&&|\n[A-Z])", TEXT, flags=re.DOTALL)

    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-deps --no-index" in install


def test_what_is_copied_is_let_in_by_the_ignore_file() -> None:
    copied = {
        name.rstrip("/")
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, flags=re.MULTILINE)
        for name in line.split()
    }
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = [line[1:] for line in ignored if line.startswith("!")]

    for name in copied:
        assert (ROOT / name).exists(), name
        assert any(
            Path(name).match(pattern) or Path(name).is_relative_to(pattern) for pattern in let_in
        ), name


def test_every_setting_that_the_image_makes_exists() -> None:
    named = re.findall(rf"\b{PREFIX}([A-Z_]+)=", TEXT)

    assert named == ["HOST"]
    assert all(name.lower() in Settings.model_fields for name in named)
