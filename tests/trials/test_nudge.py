# SPDX-License-Identifier: Apache-2.0
"""Every number and word of a pack is guarded by a case, and a gap is found exactly."""

import json
from pathlib import Path

import pytest

from cds_service.knowledge.reading.build import build_pack
from cds_service.knowledge.reading.folder import PackFiles
from cds_service.sourcefile.document import Data, parse
from cds_service.trials.nudge import NudgeReport, nudge_pack
from cds_service.trials.nudges import Nudge, nudges_of
from cds_service.trials.run import check_cases
from tests.knowledge.fixture_pack import LETTERS, changed, letters_files, places, replaced

pytestmark = pytest.mark.slow

RULE, ALPHA, PACK = "rules/alpha-high.yaml", "markers/alpha.yaml", "pack.yaml"
VERY_HIGH, MEASURE = "rules/alpha-very-high.yaml", "measures/alpha-beta-ratio.yaml"


def report(files: PackFiles, processes: int = 1) -> NudgeReport:
    return nudge_pack(files, processes=processes, progress=lambda _done, _all: None)


def unguarded(tmp_path: Path, path: str, *lines: str) -> list[str]:
    """What is told if these lines of cases are taken out."""
    folder = changed(tmp_path, replaced(path, *((line + "\n", "") for line in lines)))
    problems = report(letters_files(folder)).problems
    return sorted(f"{places([problem])[0]} {problem.message}" for problem in problems)


def nudges(path: str, text: str) -> list[tuple[str, Data]]:
    """The words of every nudge of a document and the data after it."""
    document, problems = parse(text, path)
    assert problems == []
    found = nudges_of(PackFiles(shown="x", documents={path: document}))
    return [(nudge.words, nudge.data) for nudge in found]


def test_the_second_pack_is_guarded_everywhere() -> None:
    told: list[tuple[int, int]] = []

    found = nudge_pack(letters_files(), processes=1, progress=lambda *step: told.append(step))

    assert places(list(found.problems)) == []
    assert found.tried == len(list(nudges_of(letters_files()))) > 200
    assert told == [(n, found.tried) for n in range(1, found.tried + 1)]


@pytest.mark.parametrize(
    ("path", "lines", "expected"),
    [
        (
            VERY_HIGH,
            ["      - alpha: 99.9 U/L -> no card"],
            [],  # 80 U/L, four times the limit, guards the number as well
        ),
        (
            VERY_HIGH,
            ["      - alpha: 99.9 U/L -> no card", "      - alpha: 80 U/L -> no card"],
            [f"{VERY_HIGH}:9: K603 no case notices 5 as 4"],
        ),
        (
            PACK,
            ["      - age: 11 months -> alpha-high no card because age-under-1"],
            [
                f"{PACK}:14: K603 no case notices 1 as 0",
                f"{PACK}:14: K603 no case notices 'year' as 'month'",
                f"{PACK}:14: K603 no case notices 'age-under-1' as another reason",
                f"{PACK}:14: K603 no case notices without entry 2",
            ],
        ),
        (
            PACK,
            ["      - alpha: 30 U/L, 91 days ago -> alpha-high not enough data"],
            [f"{PACK}:15: K603 no case notices 90 as 91"],
        ),
        (
            ALPHA,
            ["      - alpha: 500.5 U/L -> set aside because implausible"],
            [
                f"{ALPHA}:12: K603 no case notices 500 as 501",
                f"{ALPHA}:12: K603 no case notices 'U/L' as 'kU/L'",
            ],
        ),
        (
            ALPHA,
            ["    but:\n      - alpha: 7 U/L, 49 hours ago -> not paired"],
            [
                f"{ALPHA}:13: K603 no case notices 24 as 25",
                f"{ALPHA}:13: K603 no case notices 'hours' as 'days'",
            ],
        ),
        (
            MEASURE,
            ["      - alpha: 9.9 U/L -> 9.9 flat", "      - alpha: 9 U/L -> 9.0 flat"],
            [f"{MEASURE}:9: K603 no case notices 10 as 9"],
        ),
        (
            "facts/on-gammazine.yaml",
            ["      - medicines: GAMMAVITE forte -> yes"],
            [
                "facts/on-gammazine.yaml:4: K603 no case notices without 'also named'",
                "facts/on-gammazine.yaml:4: K603 no case notices without 'gammavite'",
            ],
        ),
    ],
)
def test_a_line_that_is_taken_out_leaves_exactly_its_numbers_unguarded(
    tmp_path: Path, path: str, lines: list[str], expected: list[str]
) -> None:
    assert unguarded(tmp_path, path, *lines) == sorted(expected)


THRESHOLDS = {
    PACK: ["1 year", "90 days", "24 hours", "30 days"],
    ALPHA: [
        "1000",
        "0 to",
        "500 U/L",
        "24 hours",
        "18 years",
        "10 U/L",
        "5 to",
        "50 U/L",
        "20 U/L",
    ],
    "markers/beta.yaml": ["0 to", "to 10", "30 days"],
    MEASURE: ["at most 0", "at least 10"],
    RULE: ["7 and", "14 days"],
    VERY_HIGH: ["5 x", "0 and", "1 days"],
}


@pytest.mark.parametrize("path", THRESHOLDS)
def test_any_number_moved_by_one_step_fails_a_case(path: str) -> None:
    files = letters_files()
    numbered = [
        nudge
        for nudge in nudges_of(files)
        if nudge.path == path and " as " in nudge.words and nudge.words[0].isdigit()
    ]

    assert len(numbered) >= 2 * len(THRESHOLDS[path])
    for nudge in numbered:
        assert breaks(files, nudge), f"{path} {nudge.words}"


def breaks(files: PackFiles, nudge: Nudge) -> bool:
    moved = files.having(nudge.path, nudge.data)
    pack, problems = build_pack(moved)
    return pack is None or bool(problems) or bool(check_cases(moved, pack))


def test_several_processes_find_the_same(tmp_path: Path) -> None:
    line = ("      - alpha: 30 U/L, 91 days ago -> alpha-high not enough data\n", "")
    files = letters_files(changed(tmp_path, replaced(PACK, line)))

    assert report(files, processes=2) == report(files)


@pytest.mark.parametrize(
    "pair", [("id: letters\n", ""), ("older than: 90 days", "older than: many days")]
)
def test_a_pack_with_problems_cannot_be_nudged(tmp_path: Path, pair: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be nudged"):
        report(letters_files(changed(tmp_path, replaced(PACK, pair))))


def test_numbers_move_one_step_of_their_last_place() -> None:
    assert nudges("rules/a.yaml", "when:\n  - alpha: at least 0.20 and below 10 U/L\n") == [
        ("without 'when'", {}),
        ("without entry 1", {"when": []}),
        ("without 'alpha'", {"when": [{}]}),
        ("0.20 as 0.21", {"when": [{"alpha": "at least 0.21 and below 10 U/L"}]}),
        ("0.20 as 0.19", {"when": [{"alpha": "at least 0.19 and below 10 U/L"}]}),
        ("10 as 11", {"when": [{"alpha": "at least 0.20 and below 11 U/L"}]}),
        ("10 as 9", {"when": [{"alpha": "at least 0.20 and below 9 U/L"}]}),
        ("'at least' as 'above'", {"when": [{"alpha": "above 0.20 and below 10 U/L"}]}),
        ("'below' as 'at most'", {"when": [{"alpha": "at least 0.20 and at most 10 U/L"}]}),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scope: {a: yes}", ["without 'scope'", "without 'a'", "'yes' as 'no'"]),
        ("x: [any]", ["without 'x'", "without 'any'", "'any' as 'all'"]),
        ("x: b6-risk 10*9/L x10^9", ["without 'x'"]),
        ("x: 0.0000001", ["without 'x'", "0.0000001 as 0.0000002", "0.0000001 as 0.0000000"]),
        ("x: nothing known", ["without 'x'"]),
        ("x: {loinc: 1-8}", ["without 'x'", "without 'loinc'"]),
        ("hooks: [a, b]", ["without 'hooks'", "without 'a'", "without 'b'"]),
        ("rxnorm: [12, 7]", ["without 'rxnorm'", "without '12'", "without '7'"]),
        ("x: {because: Its specimen is old}", ["without 'x'", "without 'because'"]),
        ("x: {because: old}", ["without 'x'", "without 'because'", "'old' as another reason"]),
        ("x: male or unknown", ["without 'x'", "'male' as 'female'", "without 'or unknown'"]),
        ("x: b without c", ["without 'x'", "'without' as 'with'", "without 'without c'"]),
        (
            "x: below 2 years",
            ["without 'x'", "2 as 3", "2 as 1", "'below' as 'at most'", "'years' as 'months'"],
        ),
        (
            "formula: sqrt(a.limit) * 2",
            ["without 'formula'", "2 as 3", "2 as 1", "'*' as '/'"]
            + ["without 'sqrt'", "without '.limit'"],
        ),
        (
            "x:\n  any of a, b, c: present",
            ["without 'x'"]
            + [f"'any of a, b, c' without {letter}" for letter in "abc"]
            + ["without 'any of a, b, c'"],
        ),
        (
            "called: [{at least 5: high}]",
            [
                "without 'called'",
                "without entry 1",
                "5 as 6",
                "5 as 4",
                "'at least' as 'above'",
                "without 'at least 5'",
            ],
        ),
        ("title: 5\nversion: 1.0.0\nevidence: [5]\ncases: [5]\nlast review: 5", []),
    ],
)
def test_only_what_decides_is_nudged(text: str, words: list[str]) -> None:
    assert [name for name, _ in nudges("rules/a.yaml", text)] == words


def test_a_phrase_that_is_a_key_keeps_its_place() -> None:
    text = "called:\n  - {above 5: high, x: 1}\n  - otherwise: low\n"

    moved = dict(nudges("measures/a.yaml", text))["5 as 6"]

    assert json.dumps(moved) == '{"called": [{"above 6": "high", "x": "1"}, {"otherwise": "low"}]}'


def test_a_unit_becomes_another_one_that_the_marker_accepts() -> None:
    files = letters_files()
    units = {(nudge.path, nudge.words) for nudge in nudges_of(files) if nudge.kind == "unit"}

    assert (ALPHA, "'U/L' as 'kU/L'") in units
    assert (PACK, "'days' as 'weeks'") in units
    assert not {words for path, words in units if path == "markers/beta.yaml"} & {"'U/L' as 'kU/L'"}


def test_a_medicine_takes_another_name_and_an_order_another_code() -> None:
    files = letters_files()
    named = {(nudge.path, nudge.words) for nudge in nudges_of(files) if nudge.kind == "name"}

    assert named == {
        ("facts/on-gammazine.yaml", "'gammazine' as another name"),
        ("orders/beta-test.yaml", "'9999003-8' as '9999002-0'"),
        ("orders/repeat-alpha.yaml", "'9999002-0' as '9999003-8'"),
    }


def test_sources_are_left_alone() -> None:
    assert nudges("sources.yaml", "a: {title: 5, url: x}") == []


def test_a_change_that_says_what_holds_anyway_needs_no_guard(tmp_path: Path) -> None:
    change = replaced(
        RULE,
        ("    between: 7 and 14 days\n", "    between: 7 and 14 days\n    priority: routine\n"),
    )
    found = report(letters_files(changed(tmp_path, change)))

    assert places(list(found.problems)) == []
    assert found.tried > len(list(nudges_of(letters_files(LETTERS))))


def test_a_retired_rule_decides_nothing() -> None:
    assert nudges("rules/x.yaml", "status: retired\nhooks: [patient-view]\n") == []
    assert nudges("rules/x.yaml", "status: active\nhooks: [patient-view]\n") != []
