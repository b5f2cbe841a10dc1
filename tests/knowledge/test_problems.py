# SPDX-License-Identifier: Apache-2.0
"""All problems of a file at once, in four formats."""

import json
import re
from pathlib import Path
from textwrap import dedent

import pytest

from cds_service.cli.check import _print as print_all
from cds_service.sourcefile.diagnostics import (
    CODES,
    WARNINGS,
    Format,
    Mark,
    Problem,
    nearest,
    print_problems,
)
from tests.house.source import PACKAGE, ROOT
from tests.knowledge.fixture_pack import changed, problems_of, replaced

WRONG_SHAPE = replaced(
    "rules/alpha-high.yaml",
    ("\nversion: 1.0.0", "\nversion: 1.0"),
    ("hooks: [patient-view]", "hook: [patient-view]"),
)
FORM = "does not have the form of this value"
SIX_PHRASES = """\
  - alpha: abvoe upper limit
  - alhpa: above 3 U/L
  - alpha: above 3 mg/dL
  - any:
      - alpha: above 1,000 U/L
      - alpha: above 9 and below 3 U/L
  - sex: man
"""


@pytest.fixture
def problems(tmp_path: Path) -> list[Problem]:
    """Six mistakes in one file."""
    change = replaced("rules/alpha-high.yaml", ("  - alpha: above upper limit\n", SIX_PHRASES))
    return problems_of(changed(tmp_path, change))


def test_six_mistakes_are_six_problems_in_words(problems: list[Problem]) -> None:
    expected = dedent("""\
        letters/rules/alpha-high.yaml:11:12: K202 cannot read 'abvoe upper limit'
            11 |   - alpha: abvoe upper limit
               |            ^^^^^^^^^^^^^^^^^
          help: write: below | at most | above | at least NUMBER UNIT, or ... [NUMBER x] upper limit, or present, an exact value, measured METHOD (docs/reference/language.md); did you mean 'above'?

        letters/rules/alpha-high.yaml:12:5: K201 there is no marker, measure or fact 'alhpa'
            12 |   - alhpa: above 3 U/L
               |     ^^^^^
          help: did you mean 'alpha'?

        letters/rules/alpha-high.yaml:13:12: K203 alpha has no unit 'mg/dL'
            13 |   - alpha: above 3 mg/dL
               |            ^^^^^^^^^^^^^
          help: write one of: U/L, u/l, kU/L

        letters/rules/alpha-high.yaml:15:16: K204 cannot read '1,000 U/L' as a number, limit or marker
            15 |       - alpha: above 1,000 U/L
               |                ^^^^^^^^^^^^^^^

        letters/rules/alpha-high.yaml:16:16: K205 no value is on both sides of these bounds
            16 |       - alpha: above 9 and below 3 U/L
               |                ^^^^^^^^^^^^^^^^^^^^^^^

        letters/rules/alpha-high.yaml:17:10: K202 cannot read 'man'
            17 |   - sex: man
               |          ^^^
          help: write: male, female, unknown, or several joined by 'or'""")  # noqa: E501 - as it is printed

    assert print_problems(problems, "text") == expected


def test_wrong_keys_and_values_are_told_together(tmp_path: Path) -> None:
    found = print_problems(problems_of(changed(tmp_path, WRONG_SHAPE)), "text").splitlines()

    assert [line for line in found if line.startswith("letters/")] == [
        "letters/rules/alpha-high.yaml:1:1: K105 'hooks' is missing",
        f"letters/rules/alpha-high.yaml:2:10: K106 {FORM} (^[0-9]+\\.[0-9]+\\.[0-9]+$)",
        "letters/rules/alpha-high.yaml:6:1: K104 'hook' is not a key that this place has",
    ]
    assert "  help: did you mean 'hooks'?" in found


def test_json_has_every_field_of_every_problem(problems: list[Problem]) -> None:
    read = json.loads(print_problems(problems, "json"))

    assert [(problem["line"], problem["column"], problem["code"]) for problem in read] == [
        (11, 12, "K202"),
        (12, 5, "K201"),
        (13, 12, "K203"),
        (15, 16, "K204"),
        (16, 16, "K205"),
        (17, 10, "K202"),
    ]
    assert read[1] == {
        "code": "K201",
        "level": "error",
        "file": "letters/rules/alpha-high.yaml",
        "line": 12,
        "column": 5,
        "text": "  - alhpa: above 3 U/L",
        "message": "there is no marker, measure or fact 'alhpa'",
        "remedy": "did you mean 'alpha'?",
    }


def test_sarif_has_what_code_scanning_needs(problems: list[Problem]) -> None:
    read = json.loads(print_problems(problems, "sarif"))
    run = read["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    result = run["results"][1]
    place = result["locations"][0]["physicalLocation"]

    assert read["version"] == "2.1.0"
    assert rules == ["K201", "K202", "K203", "K204", "K205"]
    assert {result["ruleId"] for result in run["results"]} == set(rules)
    assert len(run["results"]) == 6
    assert result["level"] == "error"
    assert result["message"]["text"].startswith("there is no marker, measure or fact 'alhpa'")
    assert place["artifactLocation"]["uri"] == "letters/rules/alpha-high.yaml"
    assert place["region"] == {"startLine": 12, "startColumn": 5}


def test_github_gets_one_command_a_problem(problems: list[Problem]) -> None:
    lines = print_problems(problems, "github").splitlines()

    assert len(lines) == 6
    assert lines[1] == (
        "::error file=letters/rules/alpha-high.yaml,line=12,col=5,title=K201::"
        "there is no marker, measure or fact 'alhpa' did you mean 'alpha'?"
    )


def test_github_commands_cannot_be_forged() -> None:
    problem = Problem("K101", Mark("a,b:c%d.yaml", 1, 1), "50 %\r\n::error::", "")

    assert print_problems([problem], "github") == (
        "::error file=a%2Cb%3Ac%25d.yaml,line=1,col=1,title=K101::50 %25%0D%0A::error::"
    )


WARNING = Problem("K208", Mark("a.yaml", 2, 1), "is about fewer", "name every marker")


def test_a_warning_is_one_in_every_format() -> None:
    error = Problem("K101", Mark("a.yaml", 1, 1), "is not readable")

    lines = print_problems([error, WARNING], "github").splitlines()
    run = json.loads(print_problems([error, WARNING], "sarif"))["runs"][0]

    assert "a.yaml:2:1: warning: K208 is about fewer" in print_problems([error, WARNING], "text")
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning"]
    assert [
        problem["level"] for problem in json.loads(print_problems([error, WARNING], "json"))
    ] == [
        "error",
        "warning",
    ]
    assert [result["level"] for result in run["results"]] == ["error", "warning"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["K101", "K208"]


@pytest.mark.parametrize("style", ["text", "json", "sarif", "github"])
def test_a_warning_ends_no_command(style: Format, capsys: pytest.CaptureFixture[str]) -> None:
    print_all([], [WARNING], [], style)

    assert "K208" in capsys.readouterr().out


def test_a_problem_is_told_once() -> None:
    problem = Problem("K101", Mark("a.yaml", 1, 1), "is not readable")

    assert print_problems([problem, problem], "text") == "a.yaml:1:1: K101 is not readable"


@pytest.mark.parametrize(
    ("word", "hint"), [("alhpa", "did you mean 'alpha'?"), ("zzz", ""), ("", "")]
)
def test_the_nearest_word_is_offered_if_one_is_near(word: str, hint: str) -> None:
    assert nearest(word, ["alpha", "beta"]) == hint


def test_no_code_is_raised_that_is_not_listed() -> None:
    found = {
        code
        for path in PACKAGE.rglob("*.py")
        for code in re.findall(r'"(K[0-9]{3})"', path.read_text(encoding="utf-8"))
    }

    assert found == {*CODES, *WARNINGS}, f"compare CODES with the sources below {ROOT.name}"
