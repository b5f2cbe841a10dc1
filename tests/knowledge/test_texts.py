# SPDX-License-Identifier: Apache-2.0
"""Card texts: placeholders that are sure to be there, no logic, no markup from outside."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cds_service.text_templates import (
    TextError,
    compile_detail,
    compile_summary,
    escape_markdown,
    placeholders,
)
from tests.knowledge.fixture_pack import changed, places, problems_of, replaced

WHEN = "  - alpha: above upper limit\n"
LIMIT = "the limit is {{ alpha.limit }}."
RULE, TEXT = "rules/alpha-high.yaml", "rules/alpha-high.en.md"


def found(tmp_path: Path, when: str, placeholder: str) -> list[str]:
    """The problems of the detail with this placeholder under this condition, without the lock's."""
    backed = (
        "backs: [alpha, beta, alpha-beta-ratio, on-gammazine, age, any-risk, delta-disease, sex]"
    )
    change = replaced(RULE, (WHEN, when), ("backs: [alpha, delta-disease]", backed))
    change |= replaced(TEXT, (LIMIT, placeholder), ("{{ alpha.multiple }} times its limit", "high"))
    problems = problems_of(changed(tmp_path, change))
    return places([problem for problem in problems if problem.code not in {"K402", "K701"}])


@pytest.mark.parametrize(
    ("when", "placeholder"),
    [
        ("  - alpha: above 3 U/L\n", "{{ alpha }}"),
        ("  - alpha: above 3 U/L\n", "{{alpha.title}} {{ alpha.number }} {{ alpha.unit }}"),
        ("  - alpha: above 3 U/L\n", "{{ alpha.multiple }}, {{ alpha.limit_from }}"),
        ("  - sex: male\n", "{{ alpha }}"),
        ("  - sex: male\n", "{{ trigger.date }}"),
        ("  - beta: below 3\n", "{{ beta }}"),
        ("  - beta: present\n", "{{ beta }}"),
        ("  - beta: an exact value\n", "{{ beta }}"),
        ("  - any: [beta: below 1, beta: above 3]\n", "{{ beta }}"),
        ("  - on-gammazine: yes\n", "{{ on_gammazine.names }}"),
        ("  - alpha-beta-ratio: above 3\n", "{{ alpha_beta_ratio }}"),
        ("  - sex: male\n", "{{ order.repeat_alpha.window }}"),
        (
            "  - alpha: above 3 U/L at the previous test within 9 days\n",
            "{{ alpha.previous }} {{ alpha.previous_date }}",
        ),
        ("  - alpha: tested before 1 to 9 days earlier\n", "{{ alpha.previous }}"),
        (
            "  - alpha: measured by X unlike the previous test 1 to 90 days earlier\n",
            "{{ trigger.previous }}",
        ),
        ("  - sex: male\n", "a brace { or }, 5 {units} and {}"),
    ],
)
def test_a_placeholder_that_is_sure_to_be_there_is_fine(
    tmp_path: Path, when: str, placeholder: str
) -> None:
    assert found(tmp_path, when, placeholder) == []


@pytest.mark.parametrize(
    ("when", "placeholder"),
    [
        ("  - sex: male\n", "{{ gamma }}"),
        ("  - sex: male\n", "{{ beta }}"),
        ("  - any: [beta: below 1, alpha: above 3 U/L]\n", "{{ beta }}"),
        ("  - beta: present since the index\n", "{{ beta }}"),
        ("  - beta: below 3\n", "{{ beta.limit }}"),
        ("  - beta: below lower limit\n", "{{ beta.limit }}"),
        ("  - alpha: above 3 U/L\n", "{{ alpha.screening_limit }}"),
        ("  - alpha: above 3 U/L\n", "{{ alpha.previous }}"),
        (
            "  - any: [sex: male, alpha: tested before 1 to 9 days earlier]\n",
            "{{ alpha.previous }}",
        ),
        ("  - sex: male\n", "{{ trigger.previous_date }}"),
        ("  - alpha: above 3 U/L\n", "{{ alpha.colour }}"),
        ("  - alpha: above 3 U/L\n", "{{ alpha.limit.unit }}"),
        ("  - alpha: above 3 U/L\n", "{{ result.value }}"),
        ("  - on-gammazine: no\n", "{{ on_gammazine.names }}"),
        ("  - any-risk: yes\n", "{{ on_gammazine.names }}"),
        ("  - on-gammazine: yes\n", "{{ on_gammazine }}"),
        ("  - sex: male\n", "{{ alpha_beta_ratio }}"),
        ("  - alpha-beta-ratio: above 3\n", "{{ alpha_beta_ratio.unit }}"),
        ("  - sex: male\n", "{{ order.window }}"),
        ("  - sex: male\n", "{{ order.gamma.window }}"),
        ("  - sex: male\n", "{{ order.repeat_alpha.code }}"),
    ],
)
def test_a_placeholder_that_may_be_missing_is_not(
    tmp_path: Path, when: str, placeholder: str
) -> None:
    assert found(tmp_path, when, placeholder) == [f"{TEXT}:4: K501"]


def test_a_rule_about_set_aside_results_has_no_trigger(tmp_path: Path) -> None:
    text = "rules/unit-missing.en.md"
    change = replaced(text, ("Not used.", "{{ trigger.limit }} and {{ result.title }}"))

    assert places(problems_of(changed(tmp_path, change))) == [f"{text}:4: K501"]


def test_a_section_under_a_condition_may_show_what_the_condition_asks_for(tmp_path: Path) -> None:
    # `{{ beta }}` stands in the section `also: low-beta` of the pack
    change = replaced(RULE, ("  low-beta: {beta: below lower limit}", "  low-beta: {sex: male}"))

    problems = problems_of(changed(tmp_path, change))

    assert places(problems) == [f"{TEXT}:8: K501"]


WHEN_LOW = """summary when:
  low-beta: "Alpha {{ alpha }} and beta {{ beta }}. Consider beta."
---
Alpha **"""


@pytest.mark.parametrize(
    "section",
    [(), (("## also: low-beta\n\nBeta {{ beta }} is low as well.", ""),)],
)
def test_a_summary_under_a_condition_may_show_what_the_condition_asks_for(
    tmp_path: Path, section: tuple[tuple[str, str], ...]
) -> None:
    change = replaced(TEXT, ("---\nAlpha **", WHEN_LOW), *section)

    problems = problems_of(changed(tmp_path, change))

    assert [problem.code for problem in problems] == ["K701"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (
            replaced(TEXT, ("---\nAlpha **", WHEN_LOW.replace("low-beta", "nothing"))),
            [f"{TEXT}:4: K305"],
        ),
        (
            replaced(TEXT, ("---\nAlpha **", WHEN_LOW.replace("{{ beta }}", "{{ gamma }}"))),
            [f"{TEXT}:4: K501"],
        ),
        (
            replaced(
                TEXT, ("---\nAlpha **", WHEN_LOW.replace("beta.", "beta. " + "Consider. " * 14))
            ),
            [f"{TEXT}:4: K502"],
        ),
        (
            replaced(TEXT, ("## also: low-beta", "## also: lower")),
            [f"{TEXT}:6: K305", f"{RULE}:24: K305"],
        ),
        (
            replaced(TEXT, ("## also: low-beta", "## also: low-beta\n\nx\n\n## also: low-beta")),
            [f"{TEXT}:1: K102"],
        ),
        (replaced(TEXT, ('summary: "', 'sumary: "')), [f"{TEXT}:2: K104", f"{TEXT}:2: K105"]),
        (replaced(TEXT, ("---\nsummary", "summary")), [f"{TEXT}:1: K106"]),
        ({"rules/nobody.en.md": "---\nsummary: x\n---\nx\n"}, ["rules/nobody.en.md:1: K305"]),
    ],
)
def test_a_text_and_its_rule_fit_together(
    tmp_path: Path, change: dict[str, str | bytes], place: list[str]
) -> None:
    assert sorted(places(problems_of(changed(tmp_path, change)))) == sorted(place)


@pytest.mark.parametrize(
    "text",
    [
        "{% if alpha %}x{% endif %}",
        "{% for a in b %}{% endfor %}",
        "{% raw %}{{ alpha }}{% endraw %}",
        "{# a comment is dropped without a trace #}",
        "{%- set x = 1 %}",
        "{{ alpha|safe }}",
        "{{ alpha.limit|upper }}",
        "{{ alpha() }}",
        "{{ alpha.limit() }}",
        "{{ alpha['limit'] }}",
        "{{ alpha + beta }}",
        "{{ 7 * 7 }}",
        "{{ 'text' }}",
        "{{ alpha if beta }}",
        "{{ [alpha] }}",
        "{{ alpha ~ beta }}",
        "{{ -alpha }}",
        "{{- alpha -}}",
        "{{ alpha",
        "{{ }}",
        "{{ alpha. }}",
        "{{ alpha beta }}",
        "{{ ''.__class__.__mro__ }}",
    ],
)
def test_a_text_has_no_logic(text: str) -> None:
    with pytest.raises(TextError) as refused:
        placeholders(f"first\nsecond {text}")

    assert refused.value.line == 2


def test_placeholders_are_found_with_their_lines() -> None:
    found_here = placeholders(
        "{{ alpha }}\n\n{{ total_beta.limit_from }} and {{ order.a_b.window }}"
    )

    assert [(placeholder.path, placeholder.line) for placeholder in found_here] == [
        (("alpha",), 1),
        (("total-beta", "limit_from"), 3),
        (("order", "a_b", "window"), 3),
    ]
    assert [str(placeholder) for placeholder in found_here] == [
        "alpha",
        "total_beta.limit_from",
        "order.a_b.window",
    ]


OUTSIDE = [
    "**bold**",
    "_it_",
    "# heading",
    "- item",
    "+ item",
    "* item",
    "> quote",
    "`code`",
    "~~~",
    "![x](https://example.org/a.png)",
    "[x](javascript:alert(1))",
    "[x]: https://example.org",
    "<script>alert(1)</script>",
    "<https://example.org>",
    "<a href=x>",
    "&lt;b&gt;",
    "&#60;b>",
    "a | b",
    "https://example.org",
    "www.example.org",
    "x@example.org",
    "back\\slash",
    "\n\n# second line",
    "    indented",
    "\u2028# line separator",
    "{{ alpha }}",
]


@pytest.mark.parametrize("text", OUTSIDE)
def test_what_comes_from_outside_never_becomes_markup(text: str) -> None:
    for before in ("", "Value: ", "**", "- "):
        shown = MarkdownIt("gfm-like", {"linkify": False}).parse(before + escape_markdown(text))
        plain = MarkdownIt("gfm-like", {"linkify": False}).parse(before + "x")

        assert [token.type for token in shown] == [token.type for token in plain]
        for token in shown:
            assert {child.type for child in token.children or []} <= {"text", "text_special"}


@given(st.text(alphabet="ab1 \n\\`*_{}[]()#+-.!|~<>&:/@$", max_size=20))
def test_escaped_text_reads_as_it_was_sent(text: str) -> None:
    expected = " ".join(text.split())

    tokens = MarkdownIt("commonmark").parse("x" + escape_markdown(text))

    assert (
        "".join(child.content for token in tokens for child in token.children or [])
        == f"x{expected}"
    )


def test_values_are_escaped_in_a_detail_and_plain_in_a_summary() -> None:
    value = "5 [U/L]\n<b>"

    assert compile_detail("**{{ alpha }}**").render({"alpha": value}) == r"**5 \[U/L\] \<b\>**"
    assert compile_summary("{{ alpha }}!").render({"alpha": value}) == "5 [U/L] <b>!"


def test_a_missing_value_is_an_error_and_never_empty() -> None:
    with pytest.raises(AttributeError):
        compile_detail("{{ alpha.limit }}").render({"alpha": 5})
    with pytest.raises(KeyError):
        compile_summary("{{ alpha }}").render({})


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("<br>", "K503"),
        ("</b>", "K503"),
        ("<!-- x -->", "K503"),
        ("[x](http://example.org)", "K503"),
        ("[x](javascript:x)", "K503"),
        ("see http://example.org", "K503"),
        ("x\n\n[x]: ftp://example.org", "K503"),
        ("This must be repeated.", "K504"),
        ("It confirms a delta disease.", "K504"),
        ("Beta rules out delta.", "K504"),
        ("A diagnosis of delta.", "K504"),
        ("You have delta.", "K504"),
        ("There is nothing to do.", "K504"),
    ],
)
def test_markup_and_claims_are_refused(tmp_path: Path, words: str, code: str) -> None:
    change = replaced(TEXT, (LIMIT, words))

    assert [problem.code for problem in problems_of(changed(tmp_path, change))] == [code]


@pytest.mark.parametrize(
    "words",
    ["below 5 < 6", "[x](https://example.org)", "mustard", "Consider repeating it.", "a ![x]"],
)
def test_ordinary_words_are_not(tmp_path: Path, words: str) -> None:
    change = replaced(TEXT, (LIMIT, words))

    assert [problem.code for problem in problems_of(changed(tmp_path, change))] == ["K701"]


@pytest.mark.parametrize(("length", "codes"), [(139, ["K701"]), (140, ["K502"])])
def test_a_summary_stays_under_140_characters(
    tmp_path: Path, length: int, codes: list[str]
) -> None:
    (summary,) = [
        line for line in str(replaced(TEXT)[TEXT]).splitlines() if line.startswith("summary")
    ]
    change = replaced(TEXT, (summary, f'summary: "{"x" * length}"'))

    assert [problem.code for problem in problems_of(changed(tmp_path, change))] == codes
