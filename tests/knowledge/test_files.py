# SPDX-License-Identifier: Apache-2.0
"""YAML read strictly: no trap of YAML changes a meaning, and none is an exception."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.sourcefile.diagnostics import Problem
from cds_service.sourcefile.document import LARGEST_FILE, Data, parse, read_text


def found(text: str) -> list[tuple[str, int, int]]:
    _, problems = parse(text, "a.yaml")
    return [(problem.code, problem.mark.line, problem.mark.column) for problem in problems]


@pytest.mark.parametrize(
    "scalar",
    ["no", "Yes", "off", "12:30", "017", "0x1F", "1e3", "1_000", "~", "null", ".5", ".inf", "1.10"]
    + ["2026-11-24", "2026-11-24 09:00:00", "true", "<<", "=", "+1", "0o7", "190:20:30"],
)
def test_every_scalar_stays_the_text_it_is(scalar: str) -> None:
    document, problems = parse(f"- {scalar}\n- {scalar}: {scalar}\n", "a.yaml")
    expected: Data = [scalar, {scalar: scalar}]

    if scalar == "<<":
        assert [problem.code for problem in problems] == ["K103"]
    else:
        assert (document.data, problems) == (expected, [])


def test_an_empty_value_is_empty_text() -> None:
    document, problems = parse("a:\nb: ''\n", "a.yaml")

    assert (document.data, problems) == ({"a": "", "b": ""}, [])


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: 1\nb: 2\na: 3\n", [("K102", 3, 1)]),
        ("a:\n  b: 1\n  'b': 2\n", [("K102", 3, 3)]),
        ("a: {b: 1, b: 2}\n", [("K102", 1, 11)]),
        ("a: &x 1\n", [("K103", 1, 4)]),
        ("a: &x\n  b: 1\n", [("K103", 1, 4)]),
        ("&x a: 1\n", [("K103", 1, 1)]),
        ("b: 1\n&x a: 1\n", [("K103", 2, 1)]),
        ("a: &x 1\nb: *x\n", [("K103", 1, 4), ("K103", 2, 4)]),
        ("a: &x b\n*x : 1\n", [("K103", 1, 4), ("K103", 2, 1)]),
        ("a: &x [*x]\n", [("K103", 1, 4), ("K103", 1, 8)]),
        ("a:\n  <<: {b: 1}\n", [("K103", 2, 3)]),
        ("a: !!int 1\n", [("K103", 1, 4)]),
        ("a: !thing 1\n", [("K103", 1, 4)]),
        ("a: !<tag:yaml.org,2002:str> 1\n", [("K103", 1, 4)]),
        ("b: 1\n!!str a: 1\n", [("K103", 2, 1)]),
        ("? [a, b]\n: 1\n", [("K106", 1, 3)]),
        ("a:\n\t- 1\n", [("K101", 2, 1)]),
        ("a: b: c\n", [("K101", 1, 5)]),
        ("a: @b\n", [("K101", 1, 4)]),
        ("a: 'b\n", [("K101", 2, 1)]),
        ("a: *x\n", [("K101", 1, 4)]),
        ("a: 1\n---\nb: 2\n", [("K101", 2, 1)]),
        ("a: 1\nb: x\x00y\n", [("K101", 2, 5)]),
        ("a: 1\nb: x\x0cy\n", [("K101", 2, 5)]),
        ("a: x\x85y: 2\n", [("K101", 1, 5)]),
        ("a: x\u2028y: 2\n", [("K101", 1, 5)]),
        ("a: x\ufeff\n", [("K101", 1, 5)]),
    ],
)
def test_a_trap_is_a_problem_with_a_place(text: str, problems: list[tuple[str, int, int]]) -> None:
    assert found(text) == problems


def test_of_a_key_that_stands_twice_the_first_is_kept() -> None:
    document, _ = parse("a: 1\na: 2\n", "a.yaml")

    assert document.data == {"a": "1"}


@pytest.mark.parametrize(
    "text", ["a: 1\r\nb:\r\n  - 2\r\n", "a: 1\rb:\r  - 2\r", "a: 1\nb:\n  - 2"]
)
def test_every_end_of_line_is_one(text: str) -> None:
    document, problems = parse(text, "a.yaml")

    assert (document.data, problems) == ({"a": "1", "b": ["2"]}, [])
    assert document.mark(("b", 0)).line == 3


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n", "---\n...\n"])
def test_nothing_is_an_empty_mapping_or_text(text: str) -> None:
    document, problems = parse(text, "a.yaml")

    assert not document.data
    assert problems == []
    assert document.mark(("a", 1)) == document.mark(())


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000 + "]" * 1_000,
        "- " * 1_000 + "a",
        "{a: " * 1_000 + "1" + "}" * 1_000,
        "".join(" " * n + "a:\n" for n in range(60)),
        "? " * 1_000 + "a",
        "[" * 300_000,
        "- " * 300_000,
        "-\t" * 300_000,
        "? " * 300_000,
    ],
)
def test_deep_nesting_is_a_problem_and_no_crash(text: str) -> None:
    assert {code for code, _, _ in found(text)} <= {"K101", "K106"}
    assert found(text)


def test_a_tower_of_aliases_does_not_grow() -> None:
    lines = ["a0: &a0 [x, x]\n", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))]
    document, problems = parse("".join(lines), "a.yaml")

    assert isinstance(document.data, dict)
    assert document.data["a29"] == ["", ""]
    assert {problem.code for problem in problems} == {"K103"}


def test_places_are_of_values_keys_and_what_lies_around_them() -> None:
    document, _ = parse("a:\n  - b: see\n", "a.yaml")

    value, key = document.mark(("a", 0, "b")), document.key_mark(("a", 0, "b"))
    around = document.mark(("a", 0, "b", "c", 7))

    assert (value.line, value.column, value.length, value.text) == (2, 8, 3, "  - b: see")
    assert (key.line, key.column, key.length) == (2, 5, 1)
    assert around == value
    assert document.key_mark(("a", 0)) == document.mark(("a", 0))


def test_front_matter_counts_its_lines_in_the_file() -> None:
    document, problems = parse("a: 1\na: 2\n", "a.md", first_line=5)

    assert document.mark(("a",)).line == 5
    assert [problem.mark.line for problem in problems] == [6]


@given(st.text(max_size=60))
def test_no_text_raises(text: str) -> None:
    document, problems = parse(text, "a.yaml")

    assert problems or isinstance(document.data, str | list | dict)


@given(st.text(alphabet="ab:- \n[]{}&*!<>|'\"#?,~", max_size=40))
def test_no_punctuation_raises(text: str) -> None:
    document, problems = parse(text, "a.yaml")

    assert problems or isinstance(document.data, str | list | dict)


def problem_of(path: Path) -> Problem:
    read = read_text(path, "a.yaml")
    assert isinstance(read, Problem)
    return read


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfid: a\n")

    assert read_text(tmp_path / "a.yaml", "a.yaml") == "id: a\n"


@pytest.mark.parametrize("raw", [b"a: 1\nb: \xb5\n", b"a: 1\nb: \xed\xa0\x80\n", b"a\nb\xff\xfe"])
def test_a_file_that_is_not_utf_8_is_told_with_its_line(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.yaml").write_bytes(raw)

    problem = problem_of(tmp_path / "a.yaml")

    assert (problem.code, problem.mark.line) == ("K108", 2)


def test_utf_16_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("id: a\n".encode("utf-16"))

    assert problem_of(tmp_path / "a.yaml").code == "K108"


@pytest.mark.parametrize(("size", "fits"), [(LARGEST_FILE, True), (LARGEST_FILE + 1, False)])
def test_a_file_over_one_megabyte_is_not_read(tmp_path: Path, size: int, fits: bool) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a" * size)

    assert isinstance(read_text(tmp_path / "a.yaml", "a.yaml"), str) is fits


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    assert problem_of(tmp_path / "a.yaml").code == "K108"
