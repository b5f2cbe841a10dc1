# SPDX-License-Identifier: Apache-2.0
"""Each problem code has a wrong example, and the example yields exactly that code."""

from pathlib import Path

import pytest

from cds_service.knowledge.reading.build import build_pack
from cds_service.sourcefile.diagnostics import CODES, Problem
from cds_service.trials.nudge import nudge_pack
from cds_service.trials.run import check_cases
from tests.knowledge.fixture_pack import changed, letters_files, places, problems_of

BAD = Path(__file__).parent / "bad"
EXPECTED = "expected.txt"
SITES = "K8"  # problems of site files, which lie outside a pack
EXAMPLES = sorted(path.name for path in BAD.iterdir())


def example(name: str) -> dict[str, str | bytes]:
    return {
        path.relative_to(BAD / name).as_posix(): path.read_bytes()
        for path in sorted((BAD / name).rglob("*"))
        if path.is_file() and path.name != EXPECTED
    }


def every_problem(folder: Path, *, nudged: bool) -> list[Problem]:
    """What `cds-service check` finds: reading, then cases, then nudges, then the lock."""
    files = letters_files(folder)
    pack, problems = build_pack(files)
    if pack is None or problems:
        return problems
    problems = check_cases(files, pack)
    if nudged:
        problems.extend(nudge_pack(files, processes=1, progress=lambda *_: None).problems)
    return problems or problems_of(folder)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_yields_exactly_its_problems(name: str, tmp_path: Path) -> None:
    code = name.split("-", maxsplit=1)[0]
    expected = (BAD / name / EXPECTED).read_text(encoding="utf-8").splitlines()

    found = every_problem(changed(tmp_path, example(name)), nudged=code == "K603")

    assert places(found) == expected
    assert {problem.code for problem in found} == {code}


def test_each_code_of_a_pack_has_an_example() -> None:
    of_packs = {code for code in CODES if not code.startswith(SITES)}

    assert {name.split("-", maxsplit=1)[0] for name in EXAMPLES} == of_packs


def test_the_pack_that_the_examples_change_has_no_problem(tmp_path: Path) -> None:
    assert every_problem(changed(tmp_path, {}), nudged=False) == []
