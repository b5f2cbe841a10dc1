# SPDX-License-Identifier: Apache-2.0
"""What a site file may not say: every problem at once, with its line and a remedy."""

from pathlib import Path

import pytest

from cds_service.errors import KnowledgeError
from cds_service.knowledge.site.file import read_site
from cds_service.knowledge.site.overlay import load_packs_at
from cds_service.sourcefile.diagnostics import CODES, Problem
from tests.knowledge.fixture_pack import LETTERS, places
from tests.site.site_fixtures import problems_at, site_file, value
from tests.web.http_fixtures import read_once

BAD = Path(__file__).parent / "bad"
EXAMPLES = sorted(path.name for path in BAD.iterdir())
WINDOW = "suggest / repeat-alpha / between"


def refused(folder: Path, body: str) -> list[Problem]:
    return problems_at(site_file(folder, body, pack="letters"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_yields_exactly_its_problems(name: str) -> None:
    expected = (BAD / name / "expected.txt").read_text(encoding="utf-8").splitlines()

    found = problems_at(BAD / name / "site.yaml")

    assert places(found) == expected
    assert {problem.code for problem in found} == {name.partition("-")[0]}
    assert all(problem.remedy or problem.code == "K805" for problem in found)


def test_each_code_of_a_site_file_has_an_example() -> None:
    ours = {code for code in CODES if code.startswith("K8")}
    ours.remove("K807")  # of a population: see tests/screening/test_burden.py

    assert {name.partition("-")[0] for name in EXAMPLES} == ours


@pytest.mark.parametrize(
    ("body", "code", "line"),
    [
        ("values: 5\n", "K106", 4),
        ("switched of: []\n", "K104", 4),
        ("order codes: {repeat-alpha: {system: lab, code: x, name: y}}\n", "K106", 4),
        ("values:\n  - {change: a, at: b, to: c, because: d}\n", "K105", 5),
        ("site: twice\n", "K102", 4),
    ],
)
def test_the_form_is_checked_first(body: str, code: str, line: int, tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError) as error:
        read_site(site_file(tmp_path, body), "site.yaml")

    (problem,) = error.value.problems
    assert isinstance(problem, Problem)
    assert (problem.code, problem.mark.line) == (code, line)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(b"pack: \xff\n")

    with pytest.raises(KnowledgeError, match="K108"):
        read_site(path)


def problems_in_liver(folder: Path, values: str) -> list[Problem]:
    cards = LETTERS.parents[2] / "cards"
    with pytest.raises(KnowledgeError) as error, read_once():
        load_packs_at(cards, site_file(folder, "values:\n" + values))
    return [problem for problem in error.value.problems if isinstance(problem, Problem)]


def test_a_wrong_unit_is_refused_at_the_line_of_the_site(tmp_path: Path) -> None:
    place = "upper limit / fallback-40 / use"

    (problem,) = problems_in_liver(tmp_path, value("markers/alt.yaml", place, "45 mg/dL", "40 U/L"))

    assert (problem.code, problem.mark.line) == ("K203", 7)
    assert problem.mark.file.endswith("site.yaml")
    assert "U/L" in problem.remedy


def test_a_window_that_cannot_be_is_refused_at_the_line_of_the_site(tmp_path: Path) -> None:
    body = "values:\n" + value("rules/alpha-high.yaml", WINDOW, "9 and 8 days", "7 and 14 days")

    (problem,) = refused(tmp_path, body)

    assert (problem.code, problem.mark.file, problem.mark.line) == ("K202", "site.yaml", 7)


def test_the_remedy_lists_what_is_left_to_a_site(tmp_path: Path) -> None:
    body = "values:\n" + value("rules/alpha-high.yaml", "title", "9", "High alpha")

    (problem,) = refused(tmp_path, body)

    assert WINDOW in problem.remedy
    assert "suggest / beta-test / priority" in problem.remedy
    assert "when" not in problem.remedy


@pytest.mark.parametrize("at", ["suggest / between", "suggest", "suggest / line 3 / between"])
def test_a_place_means_one_value(at: str, tmp_path: Path) -> None:
    body = "values:\n" + value("rules/alpha-high.yaml", at, "7 and 15 days", "7 and 14 days")

    assert [problem.code for problem in refused(tmp_path, body)] == ["K802"]


def test_two_orders_of_one_code_are_refused(tmp_path: Path) -> None:
    code = '{system: "https://lab.example", code: X1, name: X}'
    body = f"order codes:\n  repeat-alpha: {code}\n  beta-test: {code}\n"

    assert [(problem.code, problem.mark.line) for problem in refused(tmp_path, body)] == [
        ("K302", 6)
    ]


def test_the_code_of_another_order_is_refused(tmp_path: Path) -> None:
    code = '{system: "http://loinc.org", code: 9999003-8, name: Beta}'

    found = refused(tmp_path, f"order codes:\n  repeat-alpha: {code}\n")

    assert [problem.code for problem in found] == ["K302"]


def test_a_mistyped_loinc_code_is_refused(tmp_path: Path) -> None:
    code = '{system: "http://loinc.org", code: 9999003-7, name: Beta}'

    found = refused(tmp_path, f"order codes:\n  repeat-alpha: {code}\n")

    assert [problem.code for problem in found] == ["K303"]


def test_a_case_that_fails_is_a_problem_of_the_site(tmp_path: Path) -> None:
    body = (
        "cases:\n  - case: wrong\n    about: rules/alpha-high.yaml\n"
        "    given: {age: 50 years, alpha: 19 U/L}\n    expect: card\n"
    )

    assert [
        (problem.code, problem.mark.file, problem.mark.line) for problem in refused(tmp_path, body)
    ] == [("K601", "site.yaml", 8)]


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("about: rules/alpha-hihg.yaml\n    expect: card", "K802"),
        ("about: rules/alpha-high.yaml\n    given: {alpha: loud}\n    expect: card", "K604"),
        ("about: rules/alpha-high.yaml\n    expect: loud", "K604"),
    ],
)
def test_a_case_that_cannot_be_read_is_a_problem(case: str, code: str, tmp_path: Path) -> None:
    found = refused(tmp_path, f"cases:\n  - case: odd\n    {case}\n")

    assert [problem.code for problem in found] == [code]


def test_a_step_onto_the_value_of_the_pack_must_be_noticed_too(tmp_path: Path) -> None:
    body = "values:\n" + value("rules/alpha-high.yaml", WINDOW, "7 and 15 days", "7 and 14 days")

    found = refused(tmp_path, body)

    assert sum("15 as 14" in problem.message for problem in found) == 1


def test_a_pack_with_problems_is_told_before_the_site(tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    cards.mkdir()
    (cards / "pack.yaml").write_text("id: x\n", encoding="utf-8")

    with pytest.raises(KnowledgeError) as error:
        load_packs_at(cards, site_file(tmp_path, "", pack="y"))

    assert all("K8" not in str(problem) for problem in error.value.problems)
