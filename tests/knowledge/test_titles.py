# SPDX-License-Identifier: Apache-2.0
"""Titles of a pack in another language: for things that it has, and nothing else."""

from pathlib import Path

import pytest

from cds_service.knowledge.model.translation import titled_in
from cds_service.knowledge.reading.build import build_pack
from tests.knowledge.fixture_pack import changed, letters_files


def problems_of(folder: Path, text: str) -> list[tuple[str, int]]:
    _, problems = build_pack(letters_files(changed(folder, {"titles.de.yaml": text})))
    return [(problem.code, problem.mark.line) for problem in problems]


def test_a_pack_is_called_as_the_language_has_it(tmp_path: Path) -> None:
    text = "markers:\n  alpha: Alpha auf Deutsch\n"
    pack, problems = build_pack(letters_files(changed(tmp_path, {"titles.de.yaml": text})))

    assert problems == []
    assert pack is not None
    german, french = titled_in(pack, "de"), titled_in(pack, "fr")
    assert german.markers["alpha"].title == "Alpha auf Deutsch"
    assert german.markers["beta"].title == pack.markers["beta"].title
    assert french is pack


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("marker: {alpha: A}\n", ("K104", 1)),
        ("markers: [alpha]\n", ("K106", 1)),
        ("markers:\n  alpha: [A]\n", ("K106", 2)),
        ("markers:\n  alpha: A\n  alhpa: A\n", ("K301", 3)),
    ],
)
def test_a_title_that_fits_nothing_is_a_problem(
    text: str, problem: tuple[str, int], tmp_path: Path
) -> None:
    assert problems_of(tmp_path, text) == [problem]
