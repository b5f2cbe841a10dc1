# SPDX-License-Identifier: Apache-2.0
"""The sentences that cards share: complete in every language, checked like card texts."""

from pathlib import Path
from typing import get_args

import pytest

from cds_service.knowledge.model.messages import KEYS, PLACEHOLDERS, MessageKey
from cds_service.knowledge.reading.messages import messages_for, read_messages
from tests.house.source import ROOT

ENGLISH = (ROOT / "cards" / "messages.en.yaml").read_text(encoding="utf-8")
WORD = 'last of list: "{{ first }} and {{ last }}"'


def problems_of(text: str) -> list[tuple[str, int]]:
    _, problems = read_messages(text, "messages.en.yaml")
    return [(problem.code, problem.mark.line) for problem in problems]


def line_of(piece: str, text: str = ENGLISH) -> int:
    return text[: text.index(piece)].count("\n") + 1


def test_the_english_messages_have_no_problem() -> None:
    messages, problems = read_messages(ENGLISH, "cards/messages.en.yaml")

    assert problems == []
    assert messages is not None
    assert messages.language == "en"
    assert messages.formats.keys() == KEYS


def test_placeholders_are_those_of_known_messages() -> None:
    assert set(PLACEHOLDERS) <= set(get_args(MessageKey))


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (WORD, 'last of list: "{{ first }} and others"', "K501"),  # one name fewer is said
        (WORD, 'last of list: "{{ first }} and {{ third }}"', "K501"),
        (WORD, 'last of list: "{% if first %}{{ first }} and {{ last }}{% endif %}"', "K501"),
        ("no value: no value", "no valeu: no value", "K104"),
        ("no value: no value", "no value: [no, value]", "K106"),
        ("no value: no value", 'no value: ""', "K106"),
        ("no value: no value", "no value: <b>no value</b>", "K503"),
        ("no value: no value", "no value: this confirms nothing", "K504"),
    ],
)
def test_a_message_that_is_wrong_is_named_with_its_line(old: str, new: str, code: str) -> None:
    assert (code, line_of(old)) in problems_of(ENGLISH.replace(old, new))


def test_a_message_that_is_missing_is_named() -> None:
    _, problems = read_messages(ENGLISH.replace("  no value: no value\n", ""), "messages.en.yaml")

    assert [problem.message for problem in problems] == ["the message 'value.no value' is missing"]


def test_a_brace_is_a_brace() -> None:
    messages, _ = read_messages(
        ENGLISH.replace('"within {{ last }} days"', '"{within} {{ last }} days"'),
        "messages.en.yaml",
    )

    assert messages is not None
    assert messages.text("window.days", last=5) == "{within} 5 days"


def test_a_pack_has_its_own_messages_before_those_around_it(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    around = ENGLISH.replace("laboratory's own limit", "limit of the laboratory")
    (tmp_path / "messages.en.yaml").write_text(around, encoding="utf-8")

    found, _ = messages_for(pack, "cards/pack")
    (pack / "messages.en.yaml").write_text(ENGLISH, encoding="utf-8")
    own, problems = messages_for(pack, "cards/pack")

    assert found["en"].text("limit.laboratory") == "the limit of the laboratory"
    assert own["en"].text("limit.laboratory") == "the laboratory's own limit"
    assert problems == []


def test_a_problem_of_the_file_around_the_pack_is_named_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "messages.de.yaml").write_text("card: 7\n", encoding="utf-8")

    _, problems = messages_for(tmp_path / "pack", "cards/pack")

    assert {problem.mark.file for problem in problems} == {"cards/messages.de.yaml"}
