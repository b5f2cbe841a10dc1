# SPDX-License-Identifier: Apache-2.0
"""Summaries keep under 140 characters without losing a value; values never become markup."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cds_service.amounts import exactly
from cds_service.copying import replace
from cds_service.labs.patient_record import Sent
from cds_service.render.texts import compile_texts, fill_detail, fill_summary, fits_summary
from cds_service.rules.answer import Decision
from tests.render.decisions import PACK, decision, reading, result

DRUGS = "{{ on_b6_lowering_drug.names }}"
ATTACKS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</td><iframe>", "<!-- ",
    "&lt;b&gt;", "[x](javascript:alert(1))", "![x](https://evil.example/x.png)", "&copy;", "[^1]",
    "https://evil.example", "www.evil.example", "mail@evil.example", "<https://evil.example>",
    "`code`", "**bold**", "_it_", "# head", "- item", "+ item", "1. item", "> quote", "| a | b |",
    "~~gone~~", "***", "---", "\\", "\\<b>", "$x$", ":smile:", "javascript:alert(1)", "{{ 7*7 }}",
    "\r\n\r\n# x",
)  # fmt: skip


def summary_of(decision: Decision) -> str:
    return fill_summary(compile_texts(decision.rule, PACK, UTC, "en"), decision)


def detail_of(decision: Decision) -> str:
    return fill_detail(compile_texts(decision.rule, PACK, UTC, "en"), decision)


def with_unit(unit: str, detail: str = "ALT {{ alt }}") -> Decision:
    return decision(of=reading(result(sent=Sent(number="15", unit=unit))), detail=detail)


@pytest.mark.parametrize(
    ("says", "summary"),
    [
        ((), "ALT 1 U/L."),
        (("context",), "ALT 1 U/L."),
        (("inr",), "ALT 1 U/L and INR."),
        (("context", "bilirubin"), "ALT 1 U/L and bilirubin."),
        (("inr", "bilirubin"), "ALT 1 U/L and bilirubin."),
    ],
)
def test_the_first_summary_for_something_that_the_card_says_is_taken(
    says: tuple[str, ...], summary: str
) -> None:
    plain = decision(summary="ALT {{ alt }}.")
    others = {"bilirubin": "ALT {{ alt }} and bilirubin.", "inr": "ALT {{ alt }} and INR."}
    text = replace(plain.rule.texts["en"], summary_when=others)

    found = summary_of(replace(plain, rule=replace(plain.rule, texts={"en": text}), says=says))

    assert found == summary


def test_a_short_summary_is_filled_and_left_alone() -> None:
    assert summary_of(decision(summary="ALT {{ alt }}.")) == "ALT 1 U/L."


@pytest.mark.parametrize("length", [137, 138, 139])
def test_a_summary_of_up_to_139_characters_stays_whole(length: int) -> None:
    text = "ALT {{ alt }}" + "x" * (length - len("ALT 1 U/L"))

    assert summary_of(decision(summary=text)) == text.replace("{{ alt }}", "1 U/L")


def test_of_140_characters_the_list_of_names_is_shortened_first() -> None:
    names = ("isoniazid", "levodopa", "penicillamine")
    frame = "ALT {{ alt }} with " + DRUGS + ": "
    filled = "ALT 1 U/L with isoniazid, levodopa and penicillamine: "
    text = frame + "x" * (140 - len(filled))

    summary = summary_of(decision(summary=text, names=names))

    assert summary.startswith("ALT 1 U/L with isoniazid, levodopa and 1 more: x")
    assert summary.endswith("x")


def test_names_go_one_by_one_as_far_as_needed() -> None:
    names = tuple(f"medicine-number-{n}" for n in range(30))
    text = "ALT {{ alt }} is very low. It may be due to " + DRUGS + ". Consider a review."

    summary = summary_of(decision(summary=text, names=names))

    assert summary == (
        "ALT 1 U/L is very low. It may be due to medicine-number-0, medicine-number-1, "
        "medicine-number-2 and 27 more. Consider a review."
    )


def test_a_value_is_never_cut_in_two() -> None:
    long = result(sent=Sent(number="12345678901234567890123", unit="U/L per long unit"))
    for filler in range(90, 140):
        summary = summary_of(
            decision(of=reading(long), summary="a " * (filler // 2) + "{{ alt }} is very low")
        )

        assert fits_summary(summary)
        value = "12345678901234567890123 U/L per long unit"
        assert value in summary or "1" not in summary


def test_a_summary_counts_units_of_utf_16_as_well() -> None:
    summary = summary_of(decision(summary="\U0001f9ea " * 60 + "end"))

    assert fits_summary(summary)
    assert summary.endswith("…")


def structure(markdown: str) -> list[str]:
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(markdown)
    return [
        token.type + str(token.attrs or "")
        for outer in tokens
        for token in (outer, *(outer.children or ()))
        if token.type != "text"
    ]


def shown(markdown: str) -> str:
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(markdown)
    return "".join(
        token.content for outer in tokens for token in outer.children or () if token.type == "text"
    )


HARMLESS = "ALT **{{ alt }}** on {{ alt.date }}: {{ alt }}"


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_in_a_unit_is_shown_as_text(attack: str) -> None:
    plain, attacked = with_unit("units", HARMLESS), with_unit(attack, HARMLESS)

    assert structure(detail_of(attacked)) == structure(detail_of(plain))
    assert "<" not in summary_of(attacked)


@given(st.text(max_size=30))
def test_whatever_is_sent_as_a_unit_leaves_the_structure_of_the_text_alone(unit: str) -> None:
    text = "Before {{ alt }}\n\n- item {{ alt }}\n- {{ alt.unit }} and **{{ alt.unit }}**x"
    made, plain = with_unit(f"u{unit}u", text), with_unit("unit", text)

    assert structure(detail_of(made)) == structure(detail_of(plain))


@given(st.integers(min_value=0, max_value=10**9))
def test_any_number_keeps_its_digits(number: int) -> None:
    made = decision(
        of=reading(result(sent=Sent(number=str(number), unit="U/L"), value=exactly(number)))
    )

    assert f"{number} U/L" in shown(detail_of(made))
    assert f"{number} U/L" in summary_of(made)


def test_dates_stay_readable_without_a_markdown_reader() -> None:
    assert detail_of(decision(detail="{{ alt.date }}")) == "2026-06-14"


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("a" * 139, True),
        ("a" * 140, False),
        ("µ" * 139, True),
        ("\U0001f9ea" * 69 + "a", True),
        ("\U0001f9ea" * 70, False),  # 70 characters, but 140 units of UTF-16
    ],
)
def test_a_summary_has_fewer_than_140_characters_and_units(text: str, fits: bool) -> None:
    assert fits_summary(text) is fits
