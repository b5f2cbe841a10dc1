# SPDX-License-Identifier: Apache-2.0
"""`pack.yaml`: conditions of precedence, exceptions of silence, and the cards that are shown."""

from pathlib import Path

import pytest

from cds_service.knowledge.model.dependencies import dependencies_of
from cds_service.knowledge.model.leaves import FactIs
from cds_service.knowledge.model.pack import CardLimit, Pack
from cds_service.knowledge.reading.build import build_pack
from cds_service.sourcefile.diagnostics import Problem
from tests.knowledge.fixture_pack import changed, letters, letters_files, replaced

PACK = "pack.yaml"
RANKING = "    orders: joined\n"
SILENCE = "because: age-under-1}"
SERVICE = "description: Invented.}"
EVIDENCE = "evidence:\n"


def built(tmp_path: Path, *pairs: tuple[str, str]) -> tuple[Pack | None, list[Problem]]:
    return build_pack(letters_files(changed(tmp_path, replaced(PACK, *pairs))))


def pack_of(tmp_path: Path, *pairs: tuple[str, str]) -> Pack:
    pack, problems = built(tmp_path, *pairs)
    assert problems == []
    assert pack is not None
    return pack


def told(tmp_path: Path, *pairs: tuple[str, str]) -> list[str]:
    return [f"{problem.code} {problem.message}" for problem in built(tmp_path, *pairs)[1]]


def test_a_statement_of_precedence_may_hold_only_under_conditions(tmp_path: Path) -> None:
    more = "    only as: critical\n    when: {delta-disease: yes}\n"
    pack = pack_of(tmp_path, (RANKING, RANKING + more))
    (statement,) = pack.precedence

    assert (statement.only_as, statement.when) == ("critical", FactIs("delta-disease", answer=True))
    assert statement.winners == ("alpha-very-high",)
    before = dependencies_of(letters().rules["alpha-very-high"], letters()).facts
    after = dependencies_of(pack.rules["alpha-very-high"], pack).facts
    assert {*after} - {*before} == {"delta-disease"}
    loser = "alpha-high"
    assert dependencies_of(pack.rules[loser], pack) == dependencies_of(
        letters().rules[loser], letters()
    )


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("    when: {epsilon: present}\n", "K201"),
        ("    when: {any marker: set aside because unit-missing}\n", "K205"),
        ("    only as: info\n", "K106"),
    ],
)
def test_the_conditions_of_precedence_are_checked(tmp_path: Path, more: str, problem: str) -> None:
    (found,) = told(tmp_path, (RANKING, RANKING + more))

    assert found.startswith(problem)


def test_a_silence_may_name_rules_that_are_answered_all_the_same(tmp_path: Path) -> None:
    pack = pack_of(tmp_path, (SILENCE, "because: age-under-1, but for: [alpha-high]}"))

    assert [silence.but_for for silence in pack.scope.silent_when] == [("alpha-high",)]
    assert told(tmp_path / "two", (SILENCE, "because: age-under-1, but for: [alpha-hi]}")) == [
        "K301 there is no rule 'alpha-hi'"
    ]


def test_a_service_may_name_the_least_severe_card_that_it_shows(tmp_path: Path) -> None:
    pack = pack_of(tmp_path, (SERVICE, "description: Invented., least: warning}"))

    assert pack.least == {"patient-view": "warning"}
    assert letters().least == {}


def limited(rank: str) -> tuple[str, str]:
    return EVIDENCE, f"cards:\n  at most: 3\n  rank: [{rank}]\n{EVIDENCE}"


def test_a_pack_may_limit_its_cards(tmp_path: Path) -> None:
    pack = pack_of(tmp_path, limited("alpha-very-high, alpha-high"))

    assert pack.cards == CardLimit(at_most=3, rank=("alpha-very-high", "alpha-high"))
    assert letters().cards is None


@pytest.mark.parametrize(
    ("rank", "expected"),
    [
        ("alpha-very-high", ["K301 'alpha-high' has no place in the rank"]),
        ("alpha-very-high, alpha-high, gamma", ["K301 there is no rule 'gamma'"]),
        ("alpha-very-high, alpha-high, alpha-high", ["K302 'alpha-high' has a place already"]),
        (
            "alpha-very-high, alpha-high, unit-missing",
            ["K302 the card of 'unit-missing' is not counted"],
        ),
    ],
)
def test_every_rule_whose_card_counts_has_one_place_in_the_rank(
    tmp_path: Path, rank: str, expected: list[str]
) -> None:
    assert told(tmp_path, limited(rank)) == expected


@pytest.mark.parametrize("named", ["[{alpha-high: yes}]", "{alpha-high: yes}", "[[alpha-high]]"])
def test_an_exception_of_a_silence_names_rules_and_nothing_else(tmp_path: Path, named: str) -> None:
    found = told(tmp_path, (SILENCE, f"because: age-under-1, but for: {named}}}"))

    assert found == ["K202 cannot read this"]


OTHER_SERVICE = "  - {id: second, hook: patient-view, title: Second, description: Invented."


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        ("", []),
        (", least: info", []),
        (
            ", least: warning",
            ["K106 'least' is not that of 'letters-patient-view', which answers the same hook"],
        ),
    ],
)
def test_two_services_of_a_hook_show_the_same_cards(
    tmp_path: Path, least: str, expected: list[str]
) -> None:
    more = f"{OTHER_SERVICE}{least}}}\n"

    assert told(tmp_path, ("scope:\n", f"{more}scope:\n")) == expected


EXAMPLE = "  - {id: one, title: One, given: {age: 50 years}}\n"
REASON = "  - {code: known, display: Already known}\n"


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        (EVIDENCE, f"examples:\n{EXAMPLE}{EXAMPLE}{EVIDENCE}", "one"),
        (REASON, REASON + REASON, "known"),
        (
            "scope:\n",
            OTHER_SERVICE.replace("second", "letters-patient-view") + "}\nscope:\n",
            "letters-patient-view",
        ),
    ],
)
def test_an_id_stands_once_in_its_list(tmp_path: Path, old: str, new: str, name: str) -> None:
    assert told(tmp_path, (old, new)) == [f"K302 '{name}' stands twice"]


def test_a_remark_has_an_id_of_its_own(tmp_path: Path) -> None:
    remark = (
        "  - {{id: low, when: {{beta: below 5}}, says: {{en: {0}.}}, in short: {{en: beta}}}}\n"
    )
    lines = "".join(remark.format(word) for word in ("one", "two"))
    text = f"on: [alpha-high]\nremarks:\n{lines}evidence: []\ncases: []\n"

    _, problems = build_pack(letters_files(changed(tmp_path, {"remarks.yaml": text})))

    assert [f"{problem.mark.line} {problem.code} {problem.message}" for problem in problems] == [
        "4 K302 'low' stands twice"
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("index no older than: 90 days", "index no older than: 10000 days"),
        ("one draw within: 60 minutes", "one draw within: 10000 minutes"),
        ("set aside after 24 hours", "set aside after 10000 hours"),
        ("open orders count for: 30 days", "open orders count for: 10000 days"),
    ],
)
def test_no_number_of_the_scope_is_beyond_what_a_date_can_bear(
    tmp_path: Path, old: str, new: str
) -> None:
    (found,) = told(tmp_path, (old, new))

    assert found.startswith("K202")


@pytest.mark.parametrize("days", ["9999", "10000"])
def test_neither_is_one_of_an_order_or_a_suggestion(tmp_path: Path, days: str) -> None:
    order = replaced("orders/beta-test.yaml", ("code:", f"resulted within: {days} days\ncode:"))
    rule = replaced("rules/alpha-high.yaml", ("7 and 14 days", f"7 and {days} days"))

    _, problems = build_pack(letters_files(changed(tmp_path, {**order, **rule})))

    assert [problem.code for problem in problems] == ([] if days == "9999" else ["K202", "K202"])
