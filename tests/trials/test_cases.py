# SPDX-License-Identifier: Apache-2.0
"""Cases are read from files; a line that says nothing is a problem, never a passing case."""

from pathlib import Path

import pytest

from cds_service.knowledge.reading.build import build_pack
from cds_service.trials.cases import read_cases
from cds_service.trials.run import check_cases
from tests.knowledge.fixture_pack import changed, letters, letters_files, places, replaced
from tests.trials.letter_cases import RULE, read


def test_every_but_line_is_a_case_of_its_own() -> None:
    cases, problems = read(
        RULE,
        "case: high\ngiven: {age: 50 years, alpha: 30 U/L}\nexpect: card\n"
        "but:\n  - alpha: 3 U/L -> no card\n  - sex: male -> card and says low-beta\n",
    )

    assert problems == []
    assert [(case.title, dict(case.given), case.expect, case.mark.line) for case in cases] == [
        ("high", {"age": "50 years", "alpha": "30 U/L"}, (("card", ""),), 3),
        (
            "high, but alpha: 3 U/L",
            {"age": "50 years", "alpha": "3 U/L"},
            (("no card", ""),),
            5,
        ),
        (
            "high, but sex: male",
            {"age": "50 years", "alpha": "30 U/L", "sex": "male"},
            (("card", ""), ("says low-beta", "")),
            6,
        ),
    ]
    assert {case.about for case in cases} == {"alpha-high"}


def test_what_is_expected_may_be_a_text_a_list_or_a_mapping() -> None:
    def expected(text: str) -> object:
        return read(RULE, f"given: {{}}\nexpect: {text}\n")[0][0].expect

    assert expected("card and says x") == (("card", ""), ("says x", ""))
    assert expected("[card, says x]") == (("card", ""), ("says x", ""))
    assert expected("{card: info, orders: [a]}") == (("card", "info"), ("orders", ["a"]))
    assert expected("[card, {orders: none}]") == (("card", ""), ("orders", "none"))


@pytest.mark.parametrize(
    "text",
    [
        "given: {}\nexpect: ''",
        "given: {}\nexpect: []",
        "given: {}\nexpect: {}",
        "given: {}",
        "given: {}\nexpect: card\nbut: [{alpha: 3 U/L}]",
        "given: {}\nexpect: card\nbut: [{alpha: 3 U/L ->}]",
        "given: {}\nexpect: card\nbut: [{alpha: 3 U/L -> card, sex: male -> card}]",
        "given: {}\nexpect: card\nbut: [{alpha: [3 U/L]}]",
        "given: {}\nexpect: card\nbut: [{}]",
        "given: {}\nexpect: card\nbut: [alpha]",
    ],
)
def test_a_case_that_cannot_fail_is_a_problem(text: str) -> None:
    assert [problem.code for problem in read(RULE, text)[1]] == ["K604"]


def test_a_case_of_the_wrong_shape_is_left_to_the_check_of_shapes() -> None:
    assert read(RULE, "- a list") == ([], [])
    assert read(RULE, "given: [a list]\nexpect: card") == ([], [])


def test_the_cases_of_the_second_pack_hold_with_the_code_as_it_is() -> None:
    files = letters_files()
    cases, problems = read_cases(files)

    assert problems == []
    assert {case.path for case in cases} == {
        path for path in files.documents if path not in {"sources.yaml", "units.yaml"}
    }
    assert check_cases(files, letters()) == []


def test_a_case_whose_words_have_no_meaning_is_a_problem_at_its_line(tmp_path: Path) -> None:
    pair = ("alpha: 20 U/L -> no card", "alpha: twenty U/L -> no card")
    files = letters_files(changed(tmp_path, replaced(RULE, pair)))

    problems = check_cases(files, letters())

    assert places(problems) == [f"{RULE}:40: K604"]


@pytest.mark.parametrize(
    ("hook", "messages"),
    [("order-select", set()), ("order-sign", {"no rule 'alpha-high' was asked"})],
)
def test_a_case_may_name_the_hook_it_is_for(tmp_path: Path, hook: str, messages: set[str]) -> None:
    service = "  - {id: other, hook: order-select, title: Other, description: Invented.}\n"
    change = replaced(
        RULE,
        ("hooks: [patient-view]", "hooks: [patient-view, order-select]"),
        ("given: {age: 50 years, alpha", f"given: {{hook: {hook}, alpha"),
    ) | replaced("pack.yaml", ("scope:\n", f"{service}scope:\n"))
    files = letters_files(changed(tmp_path, change))
    pack, _ = build_pack(files)
    assert pack is not None

    assert {problem.message for problem in check_cases(files, pack)} == messages


def test_a_failing_case_says_what_it_got_and_where_it_stands(tmp_path: Path) -> None:
    pair = ("alpha: 20 U/L -> no card", "alpha: 20 U/L -> card")
    files = letters_files(changed(tmp_path, replaced(RULE, pair)))
    pack, _ = build_pack(files)
    assert pack is not None

    problems = check_cases(files, pack)

    assert places(problems) == [f"{RULE}:40: K601"]
    assert problems[0].message == (
        "case 'above the limit, but alpha: 20 U/L' fails: "
        "alpha-high: expected card, got no card (condition-not-met)"
    )


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (
            [
                ("alpha: 7 without unit}", "alpha: 7 U/L}"),
                ('expect: "card: info"', "expect: no card"),
            ],
            "no case shows the card",
        ),
        (
            [("    but:\n      - alpha: 7 U/L -> no card\n      - alpha: 7 mL -> no card\n", "")],
            "no case shows that the card stays away",
        ),
    ],
)
def test_the_cases_of_a_rule_show_its_card_and_its_silence(
    tmp_path: Path, pairs: list[tuple[str, str]], message: str
) -> None:
    change = replaced("rules/unit-missing.yaml", *pairs)
    files = letters_files(changed(tmp_path, change))
    pack, _ = build_pack(files)
    assert pack is not None

    (problem,) = check_cases(files, pack)

    assert (problem.code, problem.message) == ("K602", message)
