# SPDX-License-Identifier: Apache-2.0
"""A condition on what the frame of its rule never holds is a problem of the pack."""

from pathlib import Path

import pytest

from tests.knowledge.fixture_pack import changed, problems_of, replaced

RULE, SET_ASIDE, PACK = "rules/alpha-high.yaml", "rules/unit-missing.yaml", "pack.yaml"
LOW_BETA = "  low-beta: {beta: below lower limit}"
SET_ASIDE_LEAF = "any marker: set aside because unit-missing"
UNLESS = "  - {delta-disease: yes, because: delta-known}"


def told(tmp_path: Path, path: str, *pairs: tuple[str, str]) -> set[str]:
    found = problems_of(changed(tmp_path, replaced(path, *pairs)))
    assert all(problem.mark.line > 1 for problem in found)
    return {f"{problem.code} {problem.message}" for problem in found if problem.code == "K205"}


@pytest.mark.parametrize(
    ("phrase", "message"),
    [
        ("alpha: present", "K205 alpha is never known: it is paired with the index, of which"),
        ("alpha: above upper limit", "K205 alpha is never known: it is paired with the index"),
        ("beta: present since the index", "K205 nothing of beta is ever since the index"),
        ("alpha-beta-ratio: above 2", "K205 alpha-beta-ratio is never computed: its index is alp"),
    ],
)
def test_a_rule_about_the_patient_has_no_index(tmp_path: Path, phrase: str, message: str) -> None:
    found = told(
        tmp_path,
        RULE,
        ("about: alpha", "about: patient"),
        ("  - alpha: above upper limit", "  - age: at least 3 years"),
        (UNLESS, f"  - {{{phrase}, because: known}}"),
    )

    assert any(text.startswith(message) for text in found), found


def test_what_pairs_with_now_is_there_without_an_index(tmp_path: Path) -> None:
    assert not told(
        tmp_path,
        RULE,
        ("about: alpha", "about: patient"),
        ("  - alpha: above upper limit", "  - age: at least 3 years"),
        (UNLESS, "  - {beta: present, because: known}"),
    )


def test_no_result_of_the_index_is_later_than_the_index(tmp_path: Path) -> None:
    since = "  - {alpha: present since the index, because: known}"

    assert told(tmp_path, RULE, (UNLESS, since)) == {
        "K205 no alpha is ever later than the index, which is the newest"
    }


def test_a_rule_about_several_may_ask_for_a_later_one_of_them(tmp_path: Path) -> None:
    since = "  - {alpha: present since the index, because: known}"

    assert not told(tmp_path, RULE, ("about: alpha", "about: [alpha, beta]"), (UNLESS, since))


def test_a_rule_about_results_is_about_none_that_was_set_aside(tmp_path: Path) -> None:
    aside = f"  set-aside: {{{SET_ASIDE_LEAF}}}"

    assert told(tmp_path, RULE, (LOW_BETA, aside)) == {
        f"K205 '{SET_ASIDE_LEAF}' is never true: the rule is about results in use"
    }


def test_a_rule_about_set_aside_results_sees_no_other(tmp_path: Path) -> None:
    besides = f"  - {SET_ASIDE_LEAF}\n  - alpha: present\n"

    assert told(tmp_path, SET_ASIDE, (f"  - {SET_ASIDE_LEAF}\n", besides)) == {
        "K205 alpha is never known here: no result in use stands beside it"
    }


def test_the_whole_pack_is_not_silent_for_a_result(tmp_path: Path) -> None:
    age = "{age: below 1 year, because: age-under-1}"

    assert told(tmp_path, PACK, (f"    - {age}\n", "    - {alpha: present, because: a}\n")) == {
        "K205 alpha is never known here: no result in use stands beside it"
    }
