# SPDX-License-Identifier: Apache-2.0
"""Two packs of one service have no id in common that an address leads to."""

import shutil
from pathlib import Path

import pytest

from cds_service.errors import KnowledgeError
from cds_service.knowledge.reading.build import load_packs
from cds_service.sourcefile.diagnostics import Problem
from tests.knowledge.fixture_pack import LETTERS

OTHER_PACK = (
    ("id: letters\n", "id: glyphs\n"),
    ("{id: letters-patient-view", "{id: glyphs-patient-view"),
)


def library(folder: Path) -> Path:
    """The letters beside a pack of another name that is equal in everything else."""
    shutil.copytree(LETTERS, folder / "letters")
    shutil.copytree(LETTERS, folder / "second")
    rename(folder / "second" / "pack.yaml", *OTHER_PACK)
    return folder


def rename(file: Path, *pairs: tuple[str, str]) -> None:
    text = file.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def told(folder: Path) -> list[Problem]:
    with pytest.raises(KnowledgeError) as refused:
        load_packs(folder, "cards")
    return [problem for problem in refused.value.problems if isinstance(problem, Problem)]


def test_each_rule_and_marker_of_two_packs_is_told_with_its_line(tmp_path: Path) -> None:
    found = told(library(tmp_path))

    assert {problem.code for problem in found} == {"K302"}
    assert [f"{problem.mark.file}:{problem.mark.line} {problem.message}" for problem in found] == [
        f"cards/second/{place}:1 the {kind} '{name}' is also one of cards/letters"
        for kind, name, place in (
            ("marker", "alpha", "markers/alpha.yaml"),
            ("marker", "beta", "markers/beta.yaml"),
            ("rule", "alpha-high", "rules/alpha-high.yaml"),
            ("rule", "alpha-very-high", "rules/alpha-very-high.yaml"),
            ("rule", "unit-missing", "rules/unit-missing.yaml"),
        )
    ]
    assert {problem.remedy for problem in found} == {"give one of the two another id"}


def test_services_and_the_packs_themselves_have_ids_of_their_own(tmp_path: Path) -> None:
    folder = library(tmp_path)
    shutil.copy(LETTERS / "pack.yaml", folder / "second" / "pack.yaml")

    found = [problem for problem in told(folder) if problem.mark.file == "cards/second/pack.yaml"]

    assert [f"{problem.mark.line} {problem.message}" for problem in found] == [
        "2 the pack 'letters' is also one of cards/letters",
        "10 the service 'letters-patient-view' is also one of cards/letters",
    ]


def test_one_pack_shares_nothing_with_itself() -> None:
    assert len(load_packs(LETTERS)) == 1
