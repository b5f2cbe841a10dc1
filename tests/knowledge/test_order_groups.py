# SPDX-License-Identifier: Apache-2.0
"""Groups of orders, results that make orders needless, categories: read, checked, locked, shown."""

from pathlib import Path

import pytest

from cds_service.catalogue.plain_text import rule_in_words
from cds_service.decide import compile_pack
from cds_service.hooks.discovery import prefetch_of
from cds_service.knowledge.checking.lock import lock_of, meaning_hash
from cds_service.knowledge.model.code_systems import SNOMED, Code
from cds_service.knowledge.model.dependencies import resulted_codes
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.model.translation import titled_in
from cds_service.knowledge.reading.build import load_pack
from cds_service.trials.nudges import nudges_of
from cds_service.trials.run import check_cases
from tests.knowledge.fixture_pack import (
    changed,
    letters,
    letters_files,
    places,
    problems_of,
    replaced,
)

RULE, ORDER, PACK = "rules/alpha-high.yaml", "orders/repeat-alpha.yaml", "pack.yaml"
GROUPS = ("precedence:\n", "order groups:\n  greek: Greek letters\nprecedence:\n")
GROUPED = ("  - order: repeat-alpha\n", "  - order: repeat-alpha\n    group: greek\n")

RESULTED = "counts as ordered: [9999002-0]\n"
WITHIN = (RESULTED, RESULTED + "resulted within: 10 days\n")
OWN = (
    "    recommended: always\n",
    "    recommended: always\n    resulted within: 5 days\n",
)


def copy(tmp_path: Path, *files: dict[str, str | bytes]) -> Path:
    return changed(
        tmp_path, {path: text for replacements in files for path, text in replacements.items()}
    )


def with_groups(tmp_path: Path) -> Pack:
    return load_pack(copy(tmp_path, replaced(PACK, GROUPS), replaced(RULE, GROUPED)), "letters")


def test_a_suggestion_names_its_group(tmp_path: Path) -> None:
    pack = with_groups(tmp_path)

    assert pack.order_groups == {"greek": "Greek letters"}
    first, second = pack.rules["alpha-high"].suggestions
    assert (first.group, second.group) == ("greek", None)
    assert "together: Greek letters (greek)" in rule_in_words(pack.rules["alpha-high"], pack)


def test_a_group_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    folder = copy(tmp_path, replaced(RULE, GROUPED))

    assert places(problems_of(folder)) == ["rules/alpha-high.yaml:16: K301"]


def test_the_group_is_part_of_what_a_rule_means(tmp_path: Path) -> None:
    rule = with_groups(tmp_path).rules["alpha-high"]

    assert meaning_hash(rule) != meaning_hash(letters().rules["alpha-high"])


def test_only_a_pack_with_groups_has_them_in_its_lock(tmp_path: Path) -> None:
    assert "order_groups" not in lock_of(letters()).pack["1.0.0"]
    assert "order_groups" in lock_of(with_groups(tmp_path)).pack["1.0.0"]
    folder = copy(tmp_path / "other", replaced(PACK, GROUPS))
    assert places(problems_of(folder)) == ["pack.yaml:3: K701"]


def test_a_group_has_titles_in_other_languages(tmp_path: Path) -> None:
    titles: dict[str, str | bytes] = {
        "titles.de.yaml": "order groups:\n  greek: Griechisch\n",
    }
    folder = copy(tmp_path, replaced(PACK, GROUPS), replaced(RULE, GROUPED), titles)
    pack = load_pack(folder, "letters")

    assert titled_in(pack, "de").order_groups == {"greek": "Griechisch"}


def test_a_case_says_which_group_an_order_is_in(tmp_path: Path) -> None:
    folder = copy(tmp_path, replaced(PACK, GROUPS), replaced(RULE, GROUPED))
    files = letters_files(folder)
    assert check_cases(files, load_pack(folder, "letters"))

    words = ("- repeat-alpha 7-14 days recommended\n", "repeat-alpha 7-14 days recommended;")
    said = tuple((word, word.replace("recommended", "recommended in greek")) for word in words)
    other = (
        "- repeat-alpha 7-14 days recommended",
        "- repeat-alpha 7-14 days recommended in greek",
    )
    highest = replaced("rules/alpha-very-high.yaml", other)
    folder = copy(
        tmp_path / "other", replaced(PACK, GROUPS), replaced(RULE, GROUPED, *said), highest
    )
    assert check_cases(letters_files(folder), load_pack(folder, "letters")) == []


def test_the_nudger_drops_groups_and_moves_days(tmp_path: Path) -> None:
    folder = copy(tmp_path, replaced(PACK, GROUPS), replaced(RULE, GROUPED, OWN))
    found = [
        nudge for nudge in nudges_of(letters_files(folder)) if nudge.where[:2] == ("suggest", 0)
    ]

    assert [nudge.words for nudge in found if nudge.where[-1] == "group"] == ["without 'group'"]
    days = [nudge.words for nudge in found if nudge.where[-1] == "resulted within"]
    assert len(days) > 1
    assert not [
        nudge for nudge in nudges_of(letters_files(folder)) if "order groups" in nudge.where[1:]
    ]


def test_days_of_the_suggestion_count_before_those_of_the_order(tmp_path: Path) -> None:
    pack = load_pack(copy(tmp_path, replaced(ORDER, WITHIN), replaced(RULE, OWN)), "letters")
    order = pack.orders["repeat-alpha"]

    assert order.resulted_days == 10
    days = {
        rule.id: suggestion.result_days(order)
        for rule in pack.rules.values()
        for suggestion in rule.suggestions
        if suggestion.order == order.id
    }
    assert days["alpha-high"] == 5
    words = rule_in_words(pack.rules["alpha-high"], pack)
    assert "unless (already-resulted) it has a result of the last 5 days" in words


def test_the_codes_of_such_orders_are_asked_for(tmp_path: Path) -> None:
    pack = load_pack(copy(tmp_path, replaced(ORDER, WITHIN)), "letters")
    rules = tuple(pack.rules.values())

    assert resulted_codes(rules, pack) == (("http://loinc.org", "9999002-0"),)
    assert resulted_codes(rules, letters()) == ()
    assert (
        "http://loinc.org|9999002-0" in prefetch_of(rules, pack, by_category=False)["observations"]
    )
    assert compile_pack(pack).pack is pack


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("9999002-0 10 days ago", "already resulted"),
        ("9999002-0 11 days ago", "not resulted"),
        ("9999002-0 1 day ago preliminary", "not resulted"),
        ("9999003-8 1 day ago", "not resulted"),
    ],
)
def test_a_case_gives_results_of_tests(tmp_path: Path, given: str, expected: str) -> None:
    case = f"  - case: results\n    given: {{resulted: [{given}]}}\n    expect: {expected}\n"
    folder = copy(tmp_path, replaced(ORDER, WITHIN, ("cases:\n", f"cases:\n{case}")))
    pack = load_pack(folder, "letters")

    assert check_cases(letters_files(folder), pack) == []


def test_an_order_may_have_a_category(tmp_path: Path) -> None:
    more = (RESULTED, f"{RESULTED}category: {{snomed: 363679005, name: imaging}}\n")
    pack = load_pack(copy(tmp_path, replaced(ORDER, more)), "letters")

    found = pack.orders["repeat-alpha"].category
    assert found == Code(system=SNOMED, code="363679005", name="imaging")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("category: {name: imaging}", "K105"),
        ("category: {snomed: 363679006, name: imaging}", "K303"),
        ("resulted within: ten days", "K202"),
    ],
)
def test_what_cannot_be_meant_is_a_problem(tmp_path: Path, line: str, problem: str) -> None:
    more = (RESULTED, f"{RESULTED}{line}\n")
    found = problems_of(copy(tmp_path, replaced(ORDER, more)))

    assert {found_problem.code for found_problem in found} == {problem}
