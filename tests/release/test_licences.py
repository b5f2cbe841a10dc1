# SPDX-License-Identifier: Apache-2.0
"""No dependency comes with a licence that is not on the list."""

from hashlib import sha256
from pathlib import Path

import pytest

from deploy.release import artefacts, licences
from deploy.release.licences import Policy
from tests.house.source import ROOT

RULES = """
allowed: {MIT: permissive, BSD-3-Clause: permissive, Apache-2.0: permissive}
allowed for: {LGPL-3.0-only: {driver: imported as it is}}
allowed for development: {GPL-3.0-only: {linter: a program of its own}}
classifiers: {"License :: OSI Approved :: MIT License": MIT}
read:
  odd: {is: BSD-3-Clause, file: LICENSE, sha256: %s}
  windows: {is: MIT, at: LICENSE of the source archive, version: 1.0}
"""
TEXT = b"Redistribution and use, and so on\n"
READ = RULES % sha256(TEXT).hexdigest()[:16]


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    (tmp_path / "requirements").mkdir()
    for lock in ("dev.lock", "extras.lock", "runtime.lock"):
        (tmp_path / "requirements" / lock).write_text("", encoding="utf-8")
    return tmp_path


def install(tree: Path, name: str, *metadata: str, lock: str = "runtime.lock") -> None:
    """A package as an installer leaves it, and its pin."""
    folder = tree / "site" / f"{name}-1.0.dist-info"
    (folder / "licenses").mkdir(parents=True)
    lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *metadata, ""]
    (folder / "METADATA").write_text("\n".join(lines), encoding="utf-8")
    (folder / "licenses" / "LICENSE").write_bytes(TEXT)
    record = f"{folder.name}/METADATA,,\n{folder.name}/licenses/LICENSE,,\n"
    (folder / "RECORD").write_text(record, encoding="utf-8")
    pin(tree, name, lock=lock)


def pin(tree: Path, name: str, version: str = "1.0", lock: str = "runtime.lock") -> None:
    with (tree / "requirements" / lock).open("a", encoding="utf-8") as file:
        file.write(f"{name}=={version} \\\n    --hash=sha256:00\n")


def problems(tree: Path, rules: str = READ) -> list[str]:
    return licences.licensed(tree, [tree / "site"], policy(rules))[1]


def policy(text: str) -> Policy:
    return licences.policy(text)


@pytest.mark.parametrize(
    "licence",
    [
        "GPL-3.0-only",
        "GPL-3.0-or-later",
        "GPL-2.0",
        "AGPL-3.0-only",
        "AGPL-3.0-or-later",
        "LGPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "MIT AND (AGPL-3.0-only OR GPL-2.0-only)",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "SSPL-1.0",
    ],
)
@pytest.mark.parametrize("lock", ["runtime.lock", "extras.lock", "dev.lock"])
def test_a_licence_that_is_not_on_the_list_stops_the_release(
    tree: Path, licence: str, lock: str
) -> None:
    install(tree, "contagious", f"License-Expression: {licence}", lock=lock)

    (problem,) = problems(tree)

    assert "does not allow" in problem
    assert "contagious" in problem


@pytest.mark.parametrize("licence", ["MIT", "MIT OR GPL-2.0-only", "mit", "(MIT AND Apache-2.0)"])
def test_one_that_is_on_the_list_or_offers_one_does_not(tree: Path, licence: str) -> None:
    install(tree, "fine", f"License-Expression: {licence}")

    assert problems(tree) == []


def test_an_exception_is_for_its_package_alone(tree: Path) -> None:
    install(tree, "driver", "License-Expression: LGPL-3.0-only")
    install(tree, "other", "License-Expression: LGPL-3.0-only")

    assert [problem.split()[0] for problem in problems(tree)] == ["other"]


def test_what_only_builds_may_be_what_the_service_may_not(tree: Path) -> None:
    install(tree, "linter", "License: GPL-3.0-only", lock="dev.lock")

    assert problems(tree) == []

    pin(tree, "linter", lock="extras.lock")

    assert problems(tree)[0].startswith("linter (extra) is under GPL-3.0-only")


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        ["License: UNKNOWN"],
        ["License: BSD"],
        ["License: see the file"],
        ["Classifier: License :: OSI Approved :: BSD License"],
        [
            "Classifier: License :: OSI Approved :: MIT License",
            "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
        ],
        ["License-Expression: LicenseRef-Proprietary"],
    ],
)
def test_a_licence_that_nobody_can_tell_stops_the_release(tree: Path, metadata: list[str]) -> None:
    install(tree, "unknown", *metadata)

    (problem,) = problems(tree)

    assert "read it and enter it" in problem


def test_a_licence_that_was_read_holds_for_that_text(tree: Path) -> None:
    install(tree, "odd", "License: BSD")

    found, none = licences.licensed(tree, [tree / "site"], policy(READ))

    assert none == []
    assert (found[0].licence, found[0].found_in) == ("BSD-3-Clause", "LICENSE")
    assert "read it again" in problems(tree, RULES % "0123456789abcdef")[0]


def test_a_package_that_is_not_here_needs_an_entry_for_its_version(tree: Path) -> None:
    pin(tree, "windows")

    assert problems(tree) == []

    pin(tree, "windows", "1.1")
    pin(tree, "elsewhere")

    assert [problem.partition(": ")[2][:27] for problem in problems(tree)] == [
        "it is not installed here: r",
        "its licence was read in 1.0",
    ]


def test_every_dependency_of_this_project_is_on_the_list() -> None:
    places = artefacts.places_of(ROOT)
    found, wrong = licences.licensed(ROOT, places, licences.policy())
    spark = {"numpy", "pandas", "py4j", "pyarrow", "pyspark", "pytz"}
    # Without .venv-spark (`./test fast`, a first clone) nobody can read its packages.
    elsewhere = spark if len(places) == 1 else set()

    assert [problem for problem in wrong if problem.split()[0] not in elsewhere] == []
    assert {part.used_by for part in found} == {"service", "extra", "development"}


def test_every_entry_is_of_a_locked_package() -> None:
    rules = licences.policy()
    used = {part.name for part in licences.licensed(ROOT, artefacts.places_of(ROOT), rules)[0]}
    named = {*rules.read}.union(*rules.for_packages.values(), *rules.for_development.values())

    assert named - used <= {"pandas", "py4j"}
    assert not rules.allowed & {"GPL-2.0-only", "GPL-3.0-only", "AGPL-3.0-only"}
