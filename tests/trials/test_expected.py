# SPDX-License-Identifier: Apache-2.0
"""Each expectation is met by what it says and by nothing else."""

import pytest

from tests.trials.letter_cases import ALPHA, BETA, RULE, codes, run

FACT, ORDER, MEASURE, PACK = (
    "facts/on-gammazine.yaml",
    "orders/beta-test.yaml",
    "measures/alpha-beta-ratio.yaml",
    "pack.yaml",
)
HIGH = "{age: 50 years, alpha: 30 U/L}"
LOW = "{age: 50 years, alpha: 7 U/L}"
NONE = "{age: 50 years}"
RISK = "{age: 50 years, alpha: 30 U/L, on-gammazine: yes, beta: '3, lower limit 4'}"
PRELIMINARY = "{age: 50 years, alpha: '200 U/L, preliminary'}"
REPEAT = "repeat-alpha 7-14 days recommended"
TEST = "beta-test 0-14 days not recommended"


@pytest.mark.parametrize(
    ("path", "given", "met", "not_met"),
    [
        (RULE, HIGH, "card", "no card"),
        (RULE, HIGH, "'card: info'", "'card: warning'"),
        (RULE, HIGH, "{card: info}", "{card: warning}"),
        (RULE, LOW, "no card", "card"),
        (RULE, LOW, "no card because condition-not-met", "no card because delta-known"),
        (RULE, LOW, "{no card: condition-not-met}", "{no card: delta-known}"),
        (RULE, LOW, "{no card because: condition-not-met}", "{no card because: x}"),
        (RULE, NONE, "not enough data", "no card"),
        (RULE, NONE, "not enough data for no-eligible-alpha", "not enough data for x"),
        (RULE, HIGH, f"{{orders: [{TEST}, {REPEAT}]}}", f"{{orders: [{REPEAT}]}}"),
        (RULE, HIGH, f"orders {REPEAT}; {TEST}", f"orders {REPEAT}"),
        (RULE, HIGH, f"{{orders: {REPEAT}; {TEST}}}", f"{{orders: {TEST}}}"),
        (RULE, HIGH, f"orders {REPEAT}; {TEST}", "orders none"),
        (RULE, HIGH, f"orders {REPEAT}; {TEST}", f"orders {REPEAT}; {TEST.replace('14', '15')}"),
        (RULE, HIGH, f"orders {REPEAT}; {TEST}", f"orders {REPEAT}; beta-test 0-14 days"),
        (
            RULE,
            HIGH,
            f"orders {REPEAT}; {TEST}",
            f"orders {REPEAT.replace('days', 'days stat')}; {TEST}",
        ),
        (RULE, HIGH, f"orders {REPEAT.replace('days', 'days routine')}; {TEST}", "orders none"),
        (RULE, LOW, "orders none", f"orders {REPEAT}"),
        (RULE, LOW, "{orders: []}", f"{{orders: [{REPEAT}]}}"),
        (
            RULE,
            RISK,
            "withheld beta-test because beta-available",
            "withheld beta-test because other",
        ),
        (
            RULE,
            RISK,
            "{withheld: {beta-test: beta-available}}",
            "{withheld: {repeat-alpha: beta-available}}",
        ),
        (RULE, RISK, "says low-beta", "does not say low-beta"),
        (RULE, RISK, "{says: [low-beta]}", "{says: [low-beta, other]}"),
        (RULE, RISK, "{says: low-beta}", "{says: other}"),
        (RULE, HIGH, "does not say low-beta", "says low-beta"),
        ("rules/alpha-very-high.yaml", PRELIMINARY, "preliminary", "no card"),
        ("rules/unit-missing.yaml", "{alpha: set aside unit-missing}", "card", "no card"),
        (ALPHA, LOW, "'7'", "'7.1'"),
        (ALPHA, LOW, "7 U/L", "8 U/L"),
        (ALPHA, LOW, "7.0 U/L", "7 kU/L"),
        (ALPHA, "{alpha: 0.007 kU/L}", "7 U/L", "0.007 kU/L"),  # the marker's own unit
        (ALPHA, LOW, "present", "set aside because implausible"),
        (ALPHA, "{alpha: less than 7 U/L}", "present", "'7'"),
        (ALPHA, "{beta: '3', alpha: 7 U/L}", "paired", "not paired"),
        (ALPHA, "{alpha: 7 miles}", "set aside because unit-unknown", "present"),
        (ALPHA, LOW, "upper limit 20 from fallback-20", "upper limit 20 from lab"),
        (ALPHA, LOW, "upper limit 20 U/L from fallback-20", "upper limit 21 from fallback-20"),
        (
            ALPHA,
            LOW,
            "upper limit 0.02 kU/L from fallback-20",
            "upper limit 20 kU/L from fallback-20",
        ),
        (ALPHA, LOW, "no lower limit", "no upper limit"),
        (BETA, "{beta: '3, lower limit 2'}", "lower limit 2 from lab", "no lower limit"),
        (BETA, "{beta: '3'}", "no lower limit", "lower limit 2 from lab"),
        (ALPHA, "{alpha: '7 U/L, by X'}", "measured by X", "measured by Y"),
        (ALPHA, LOW, "method not named", "measured by X"),
        (ALPHA, HIGH, "grade high", "no grade"),
        (ALPHA, LOW, "no grade", "grade high"),
        (ALPHA, LOW, "no band", "band high"),
        (ALPHA, LOW, "not doubtful", "doubtful"),
        (ALPHA, "{alpha: '7 U/L, 100 days ago'}", "'7'", "no grade"),
        (MEASURE, "{alpha: 30 U/L, beta: '7'}", "'4.3'", "'4.2'"),
        (MEASURE, "{alpha: 30 U/L, beta: '7'}", "4.29 flat", "4.29 steep"),
        (MEASURE, "{alpha: 30 U/L, beta: '7'}", "4.286 flat", "not computed"),
        (MEASURE, "{alpha: 30 U/L, beta: '0'}", "not computed because beta-is-zero", "'0'"),
        (MEASURE, "{alpha: 30 U/L}", "not computed", "not computed because beta-is-zero"),
        (MEASURE, NONE, "not computed", "'1'"),
        (FACT, "{on-gammazine: yes}", "yes", "no"),
        (FACT, "{on-gammazine: yes}", "yes by gammazine", "yes by gamma"),
        (FACT, NONE, "no", "yes by gammazine"),
        (FACT, NONE, "no", "not known"),
        (FACT, "{medicines: not sent}", "not known", "no"),
        (ORDER, "{orders: [9999003-8 active]}", "already ordered", "not ordered"),
        (ORDER, "{orders: [9999003-8 completed]}", "not ordered", "already ordered"),
        (ORDER, "{orders: [9999003-8 active]}", "ordered", "answered"),
        (ORDER, NONE, "proposed as 9999003-8", "proposed as 9999004-6"),
        (ORDER, "{alpha: 30 U/L, beta: '3, 1 hour ago'}", "answered", "not answered"),
        (ORDER, "{alpha: 30 U/L}", "not answered", "answered"),
        (PACK, HIGH, "alpha-high card", "alpha-high no card"),
        (PACK, LOW, "alpha-high no card because condition-not-met", "alpha-high card"),
        (PACK, HIGH, f"alpha-high orders {REPEAT}; {TEST}", "alpha-high orders none"),
    ],
)
def test_an_expectation_is_met_or_not(path: str, given: str, met: str, not_met: str) -> None:
    assert codes(path, given, met) == []
    assert codes(path, given, not_met) == ["K601"]


@pytest.mark.parametrize(
    ("path", "expect"),
    [
        (RULE, "silence"),
        (RULE, "cards"),
        (RULE, "card of info"),
        (RULE, "orders repeat-alpha"),
        (RULE, "orders repeat-alpha 7-14 weeks"),
        (RULE, "withheld beta-test"),
        (RULE, "withheld"),
        (RULE, "{withheld: {}}"),
        (RULE, "says"),
        (RULE, "{says: []}"),
        (RULE, "preliminarily"),
        ("rules/nobody.yaml", "card"),
        (ALPHA, "large"),
        (ALPHA, "7 miles"),
        (ALPHA, "upper limit many from lab"),
        (ALPHA, "upper limit 7 miles from fallback-20"),
        (ALPHA, "paired"),
        (MEASURE, "large"),
        (FACT, "perhaps"),
        (ORDER, "ordered already"),
        (PACK, "nobody card"),
        (PACK, "alpha-high"),
    ],
)
def test_an_expectation_without_a_meaning_is_a_problem(path: str, expect: str) -> None:
    assert codes(path, HIGH, expect) == ["K604"]


def test_every_expectation_of_a_case_is_held() -> None:
    complaints = run(RULE, HIGH, "'card: warning and orders none and says low-beta'")

    assert [complaint.message.split("fails: ")[1] for complaint in complaints] == [
        "alpha-high: expected card: warning, got card (info)",
        f"orders: expected none, got {TEST}; {REPEAT}",
        "does not say low-beta",
    ]


def test_a_result_that_was_not_used_meets_no_expectation_of_a_value() -> None:
    (problem,) = run(ALPHA, NONE, "'7'")

    assert problem.message.endswith("no result of alpha was used")


def test_a_request_that_intake_refuses_is_a_failing_case() -> None:
    given = "{age: 50 years, alpha: [" + ", ".join(["7 U/L"] * 1001) + "]}"

    (problem,) = run(RULE, given, "card")

    assert problem.code == "K601"
    assert "is refused by intake" in problem.message
