# SPDX-License-Identifier: Apache-2.0
"""Everything that a release consists of, in one folder."""

import shutil
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

from deploy.release import bill, changelog, licences, packages, tree, vulnerabilities
from deploy.release.refusal import Refused

LOCKS = ("runtime.lock", "extras.lock", "image.lock")
SPARK = ".venv-spark"
Say = Callable[[str], None]


def make(
    repository: Path, out: Path, environments: Path, say: Say, *, must_ask: bool = True
) -> str:
    """Make a release of the tag that is checked out, in a new folder; its version.

    `environments` is the clone with .venv-spark, from which licences of Spark are read. Raises
    `Refused` where anything is not as it must be; with `must_ask`, also where nobody answers about
    known vulnerabilities. Then the folder is not there.
    """
    if out.exists():
        raise Refused(f"{out} is there already: name a new folder")
    version = tree.released_version(repository)
    with tempfile.TemporaryDirectory(prefix="cds-release-") as temporary:
        work = Path(temporary)
        made = work / "out"
        built = packages.build(repository, f"v{version}", version, work / "packages", made)
        say(f"wheel and source archive: the same bytes when built again: {built.wheel.name}")
        _write(made, f"cds-service-{version}.cdx.json",
               bill.make(repository, built.wheel, version, work))  # fmt: skip
        say(f"bill of materials: valid CycloneDX {bill.SPECIFICATION}")
        _write_licences(repository, environments, made, say)
        write_audit(repository, made, say, must_ask=must_ask)
        notes = changelog.notes_of(
            tree.text_of(repository, tree.CHANGELOG),
            tree.text_of(repository, tree.UPGRADE),
            version,
        )
        _write(made, "release-notes.md", notes)
        for lock in LOCKS:
            shutil.copyfile(repository / "requirements" / lock, made / lock)
        _write(made, "SHA256SUMS", packages.checksums(made))
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(made, out)
    return version


def places_of(environments: Path) -> list[Path]:
    """Where the metadata of packages are read: this environment, and Spark's where there is one."""
    spark = sorted((environments / SPARK / "lib").glob("python*/site-packages"))
    return [Path(sysconfig.get_path("purelib")), *spark]


def _write_licences(repository: Path, environments: Path, made: Path, say: Say) -> None:
    found, problems = licences.licensed(repository, places_of(environments), licences.policy())
    if problems:
        hint = "" if (environments / SPARK).is_dir() else " (requirements/install-spark makes it)"
        raise Refused("\n".join([f"licences, read in .venv and {SPARK}{hint}:", *problems]))
    _write(made, "licences.md", licences.table(found))
    _write(made, "licences.json", licences.as_json(found))
    say(f"licences: all {len(found)} dependencies are on the list")


def write_audit(repository: Path, made: Path, say: Say, *, must_ask: bool) -> None:
    """Write what is known of vulnerabilities.

    Raises `Refused` where one is known and, with `must_ask`, where nobody answers.
    """
    audit = vulnerabilities.audit(repository)
    if audit.findings:
        raise Refused("\n".join(["known vulnerabilities:", *audit.findings]))
    if audit.unanswered:
        sentence = f"{vulnerabilities.NOT_ASKED} {audit.unanswered}"
        if must_ask:
            raise Refused(sentence)
        say(f"vulnerabilities: {sentence}")
    else:
        say(f"vulnerabilities: none known of {audit.asked} packages")
    _write(made, "vulnerabilities.json", audit.as_json())


def _write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8", newline="\n")
