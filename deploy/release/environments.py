# SPDX-License-Identifier: Apache-2.0
"""Fresh environments, filled by uv from the lock files."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.release.commands import run

UV = Path(sys.executable).with_name("uv")


def create(folder: Path, python: str | Path) -> Path:
    """A new environment without pip; its interpreter."""
    run(UV, "venv", "--quiet", "--no-project", "--python", python, folder, cwd=folder.parent)
    return folder / "bin" / "python"


def install(python: Path, *what: str | Path) -> None:
    """Install a wheel, or by `-r` what a lock file holds: nothing that it does not have."""
    run(
        UV, "pip", "install", "--quiet", "--no-deps", "--python", python, *what,
        cwd=python.parent, env=_environ(os.environ),
    )  # fmt: skip


def install_lock(python: Path, lock: Path) -> None:
    """Install what a lock file holds for this interpreter, by its hashes."""
    install(python, "--require-hashes", "-r", lock)


def require_wheels(python: Path, lock: Path) -> None:
    """Raises `Refused` where the lock file has no wheel of a package for this interpreter."""
    # Spark is published as a source archive alone.
    wheels = ("--only-binary", ":all:", "--no-binary", "pyspark")
    install(python, "--dry-run", *wheels, "--require-hashes", "-r", lock)


def _environ(given: Mapping[str, str]) -> dict[str, str]:
    # A mirror that pip was given serves uv as well.
    mirror = given.get("PIP_INDEX_URL")
    return {**({"UV_DEFAULT_INDEX": mirror} if mirror else {}), **given}
