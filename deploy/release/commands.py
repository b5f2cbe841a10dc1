# SPDX-License-Identifier: Apache-2.0
"""Other programs, which have to succeed."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from deploy.release.refusal import Refused


def run(
    *command: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    given: str | None = None,
    patience: float = 600,
) -> str:
    """What a program printed; raises `Refused` with its last lines if it failed."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=env,
            input=given,
            timeout=patience,
            check=False,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError as error:
        raise Refused(f"{command[0]} was not found") from error
    except subprocess.TimeoutExpired as error:
        raise Refused(f"{_named(command)} took more than {patience:g} seconds") from error
    if done.returncode != 0:
        printed = (done.stdout + done.stderr).strip().splitlines()[-20:]
        raise Refused("\n".join([f"{_named(command)} ended with {done.returncode}:", *printed]))
    return done.stdout


def _named(command: tuple[str | Path, ...]) -> str:
    return " ".join([Path(command[0]).name, *(str(word) for word in command[1:4])])
