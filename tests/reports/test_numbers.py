# SPDX-License-Identifier: Apache-2.0
"""Printed numbers: a comma is decided about once for a document, and never guessed."""

import pytest

from cds_service.reports.numbers import (
    DecimalMark,
    OpenMark,
    PrintedRange,
    PrintedValue,
    decimal_mark,
    read_number,
    read_range,
    read_value,
)


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["14,2", "1,234"], ","),
        (["14.2", "1.234"], "."),
        (["0,123"], ","),
        (["1234,5"], ","),
        (["1,2345"], ","),
        (["1.234.567"], ","),
        (["1,234.5"], "."),
        (["3,5-5,0", "41"], ","),
        (["<0,2"], ","),
        (["1,234"], None),
        (["150.000"], None),
        (["41", "7-40"], None),
        (["14,2", "0.5"], None),
        (["05.03.2026"], None),
        (["2.5.1"], None),
        (["a1,5", "1,5b"], ","),
        ([], None),
    ],
)
def test_a_document_shows_its_decimal_mark(texts: list[str], mark: DecimalMark | None) -> None:
    assert decimal_mark(texts) == mark


@pytest.mark.parametrize(
    ("text", "mark", "number"),
    [
        ("41", None, "41"),
        ("+41", None, "41"),
        ("-1.10", None, "-1.10"),
        ("14,2", None, "14.2"),
        ("0,234", None, "0.234"),
        ("1,234", ",", "1.234"),
        ("1.234", ".", "1.234"),
        ("1,234.5", None, "1234.5"),
        ("1.234,5", ",", "1234.5"),
        ("1,234,567", ".", "1234567"),
        ("1234.567", None, "1234.567"),
    ],
)
def test_a_number_is_read(text: str, mark: DecimalMark | None, number: str) -> None:
    assert read_number(text, mark) == number


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("1,234", None),
        ("1,234", "."),
        ("150.000", ","),
        ("14,2", "."),
        ("0.5", ","),
        ("1,234,567", ","),
        ("1,23,456", None),
        ("1.2.3", "."),
    ],
)
def test_a_number_that_may_be_two_is_not_read(text: str, mark: DecimalMark | None) -> None:
    with pytest.raises(OpenMark):
        read_number(text, mark)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("41", PrintedValue(number="41")),
        (" < 0.2 ", PrintedValue(number="0.2", comparator="<")),
        ("≥5", PrintedValue(number="5", comparator=">=")),
        ("=<5", PrintedValue(number="5", comparator="<=")),
        ("<5L", PrintedValue(number="5", comparator="<", rest="L")),
        ("41 U/L", PrintedValue(number="41", rest="U/L")),
        ("negative", None),
        ("<>5", None),
        ("", None),
    ],
)
def test_a_value_has_its_comparator(text: str, value: PrintedValue | None) -> None:
    assert read_value(text, None) == value


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("7-40", PrintedRange(low="7", high="40")),
        ("7 – 40 U/L", PrintedRange(low="7", high="40")),
        ("(7-40)", PrintedRange(low="7", high="40")),
        ("[3,5 - 5,0]", PrintedRange(low="3.5", high="5.0")),
        ("7 bis 40", PrintedRange(low="7", high="40")),
        ("<40", PrintedRange(high="40", high_is_exclusive=True)),
        ("<= 40", PrintedRange(high="40")),
        (">5", PrintedRange(low="5", low_is_exclusive=True)),
        ("≥60 mL/min", PrintedRange(low="60")),
        ("-2-2", PrintedRange(low="-2", high="2")),
        ("1,234-5", None),  # one of its numbers stays open
        ("7-40 (20-30)", None),
        ("M: 10-50 F: 5-35", None),
        ("7-40 10-50", None),
        ("negative", None),
        ("", None),
    ],
)
def test_a_range_is_read_whole_or_not_at_all(text: str, read: PrintedRange | None) -> None:
    assert read_range(text, None) == read
