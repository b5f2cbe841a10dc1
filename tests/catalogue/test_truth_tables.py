# SPDX-License-Identifier: Apache-2.0
"""Each case of a rule is a table of its own; its `but` lines are rows."""

from pathlib import Path

from cds_service.catalogue.truth_tables import truth_tables
from tests.knowledge.fixture_pack import LETTERS, changed, letters_files, letters_program
from tests.trials.letter_cases import RULE

ANOTHER = """\
  - case: above the limit, but in a child
    given: {age: 5 years, sex: male, alpha: 300 U/L}
    expect: card
    but:
      - alpha: 20 U/L -> no card
"""


def test_a_case_titled_like_another_is_no_row_of_it(tmp_path: Path) -> None:
    text = (LETTERS / RULE).read_text(encoding="utf-8")
    files = letters_files(changed(tmp_path, {RULE: text + ANOTHER}))

    first, second = truth_tables("alpha-high", files, letters_program())

    assert (first.title, len(first.rows)) == ("above the limit", 9)
    assert (second.title, len(second.rows)) == ("above the limit, but in a child", 2)
    assert [(given.subject, given.words) for given in second.given] == [
        ("Age", "5 years"),
        ("Sex", "male"),
        ("Alpha", "300 U/L"),
    ]


def test_a_row_says_what_its_line_changes() -> None:
    (table,) = truth_tables("alpha-high", letters_files(), letters_program())

    changes = [row.change for row in table.rows]

    assert changes[0] is None
    assert [(change.subject, change.words) for change in changes[1:3] if change is not None] == [
        ("Alpha", "20 U/L"),
        ("Alpha", "never"),
    ]
