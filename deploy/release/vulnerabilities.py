# SPDX-License-Identifier: Apache-2.0
"""Known vulnerabilities of what is released, as pip-audit finds them.

pip-audit ends well when the index does not know a package, and ends alike when it finds something
and when it could not ask. Here only an answer about every package counts as an answer.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.release import locks
from deploy.release.refusal import Refused

LOCKS = ("extras.lock", "runtime.lock")
NOT_ASKED = (
    "Known vulnerabilities were NOT looked for: nobody answered about every package. "
    "This is no statement that there are none."
)


@dataclass(frozen=True)
class Audit:
    """What is known: findings, or why nothing is."""

    asked: int
    findings: tuple[str, ...] = ()
    unanswered: str = ""

    def as_json(self) -> str:
        """The audit for programs; `known` is null where nobody answered."""
        known = None if self.unanswered else list(self.findings)
        told = {"packages": self.asked, "known": known, "not asked because": self.unanswered}
        return json.dumps(told, indent=2) + "\n"


def audit(tree: Path, source: Sequence[str] = ("pypi",), patience: float = 300) -> Audit:
    """Ask about every version of every package that somebody may install with the service.

    `source` is what stands after pip-audit's `--vulnerability-service`: "pypi", or "osv" with the
    address of an own one.
    """
    wanted = {
        (name, version)
        for lock in LOCKS
        for name, versions in locks.pins(tree, lock).items()
        for version in versions
    }
    answers: list[Any] = []
    for lines in _files(wanted):
        try:
            answers += _answers(lines, source, patience)
        except Refused as unanswered:
            return Audit(len(wanted), unanswered=str(unanswered))
    return read(answers, wanted)


def read(answers: Sequence[Any], wanted: set[tuple[str, str]]) -> Audit:
    """The audit that pip-audit's answers are, if they are about everything that is wanted."""
    about = {
        (locks.normal(answer["name"]), answer["version"]) for answer in answers if "vulns" in answer
    }
    if missing := sorted(wanted - about):
        return Audit(len(wanted), unanswered=f"no answer about {' '.join(missing[0])}")
    return Audit(
        len(wanted),
        tuple(
            f"{answer['name']} {answer['version']}: {found['id']}"
            f" (mended in {', '.join(found['fix_versions']) or 'no version yet'})"
            for answer in answers
            for found in answer["vulns"]
        ),
    )


def _files(wanted: set[tuple[str, str]]) -> list[list[str]]:
    """Requirements, in which no package may stand twice: more than one file where it has to.

    The first asks about one package alone: who cannot answer that is not asked about the others.
    """
    first, *others = sorted(wanted)
    files: list[dict[str, str]] = []
    for name, version in others:
        place = next((file for file in files if name not in file), None)
        if place is None:
            files.append(place := {})
        place[name] = version
    every = [dict([first]), *files]
    return [[f"{name}=={version}" for name, version in file.items()] for file in every]


def _answers(lines: Sequence[str], source: Sequence[str], patience: float) -> list[Any]:
    """What pip-audit printed about these; raises `Refused` where that is no answer."""
    command = [
        sys.executable, "-m", "pip_audit", "--requirement", "/dev/stdin", "--no-deps",
        "--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "10",
        "--vulnerability-service", *source,
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, input="\n".join(lines), capture_output=True, text=True, check=False,
            timeout=patience,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Refused(f"no answer within {patience:g} seconds") from error
    try:
        found: list[Any] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(_last_line(done.stderr)) from error
    if unknown := [answer["skip_reason"] for answer in found if "skip_reason" in answer]:
        raise Refused(unknown[0])
    return found


def _last_line(text: str) -> str:
    # Of a traceback the last line says what happened; the address of a try is of no use.
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return re.sub(r"0x[0-9a-f]+", "...", lines[-1])[:300] if lines else "pip-audit said nothing"
