# SPDX-License-Identifier: Apache-2.0
"""Reports without headings that are understood: what is read of them, and what must not be."""

from collections.abc import Sequence
from typing import Any

import pytest

from cds_service.errors import RequestError
from cds_service.reports.pdf.reading import read_pdf
from cds_service.reports.read import as_json
from tests.reports.corpus.reports import lookups
from tests.reports.corpus.sheets import Sheet

LOOKUPS = lookups()
PLACES = (50, 230, 300, 370, 470)
TABLE = (
    ("ALT (GPT)", "41", "U/L", "7 - 40"),
    ("AST (GOT)", "<5", "U/L", "< 35"),
    ("Albumin", "3.9", "g/dL", "3.5 - 5.2"),
)


def page(*lines: str | Sequence[str], places: Sequence[float] = PLACES) -> bytes:
    """A page with these lines; the cells of a line stand at the places."""
    sheet = Sheet()
    sheet.at(50, "Collected: 05 Mar 2026")
    sheet.down(2)
    for line in lines:
        for x, text in zip(places, (line,) if isinstance(line, str) else line, strict=False):
            sheet.at(x, text)
        sheet.down()
    return sheet.finished()


def read(*lines: str | Sequence[str], places: Sequence[float] = PLACES) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = as_json(read_pdf(page(*lines, places=places)), LOOKUPS)[
            "rows"
        ]
    except RequestError:
        return []
    return found


def certain(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """The markers that count, with their values."""
    return [
        (row["marker"], f"{row['comparator'] or ''}{row['value']}")
        for row in rows
        if row["marker"] and row["value"] is not None
    ]


def test_a_table_without_headings_is_read_by_what_stands_in_it() -> None:
    rows = read(*TABLE)

    assert certain(rows) == [("alt", "41"), ("ast", "<5"), ("albumin", "3.9")]
    assert [(row["unit"], row["low"], row["high"], row["date"]) for row in rows] == [
        ("U/L", "7", "40", "2026-03-05"),
        ("U/L", None, "35", "2026-03-05"),
        ("g/dL", "3.5", "5.2", "2026-03-05"),
    ]


def test_headings_that_are_not_known_do_no_harm() -> None:
    headings = ("Bepaling", "Uitslag", "Eenheid", "Referentie")

    assert certain(read(headings, *TABLE)) == [("alt", "41"), ("ast", "<5"), ("albumin", "3.9")]


def test_of_two_columns_of_numbers_neither_counts() -> None:
    rows = [(name, value, "138", limits) for name, value, _, limits in TABLE]

    found = read(("Bepaling", "Eerder", "Nu", "Referentie"), *rows)

    assert certain(found) == []
    assert {row["marker"] for row in found} == {"alt", "ast", "albumin"}


def test_dates_above_columns_of_numbers_say_which_is_which() -> None:
    rows = [(name, value, "138", limits) for name, value, _, limits in TABLE]

    found = read(("", "05 Mar 2026", "12 Jan 2026"), *rows)

    assert [(row["marker"], row["value"], row["date"]) for row in found[:2]] == [
        ("alt", "41", "2026-03-05"),
        ("alt", "138", "2026-01-12"),
    ]


@pytest.mark.parametrize("date", ["06 Dec 1980", "01 Apr 2026"])
def test_a_date_above_a_single_column_is_not_taken_for_that_of_collection(date: str) -> None:
    rows = read(("Born", date), *TABLE)

    assert {row["date"] for row in rows} == {"2026-03-05"}


@pytest.mark.parametrize("heading", ["Vorwert", "Previous results", "Antériorités 12/01/2026"])
def test_nothing_below_a_heading_of_earlier_results_counts(heading: str) -> None:
    assert certain(read(heading, *TABLE)) == []
    assert certain(read(("", heading), *TABLE)) == []
    now = (*TABLE, ("Sodium", "140", "mmol/L", "135 - 145"))
    assert certain(read(*now, heading, ("Gamma-GT", "52", "U/L", "< 60"))) == certain(read(*TABLE))


def test_a_limit_is_no_value() -> None:
    rows = read(("ALT", "", "U/L", "< 35"), ("AST", "", "U/L", "< 40"), *TABLE[2:])

    assert certain(rows) in ([], [("albumin", "3.9")])


def test_a_test_with_two_results_is_open() -> None:
    found = read(*TABLE, ("ALT (GPT)", "138", "U/L", "7 - 40"))

    assert certain(found) == [("ast", "<5"), ("albumin", "3.9")]


def test_another_number_in_a_row_makes_it_open() -> None:
    found = read(*TABLE, ("CK", "96", "U/L", "< 190", "203"))

    assert certain(found) == []  # any of them may be an earlier one


def test_rows_below_urine_are_no_results_of_blood() -> None:
    sodium = ("Sodium", "140", "mmol/L", "135 - 145")
    found = read(*TABLE, sodium, "Urine", ("Bilirubin", "3.3", "mg/dL", "< 1"))

    assert certain(found) == certain(read(*TABLE))


def test_the_second_line_of_a_name_belongs_to_it() -> None:
    found = read(*TABLE, ("Bilirubin", "3.3", "mg/dL", "< 1"), ("direct [mg/dL]",))

    assert "total-bilirubin" not in dict(certain(found))


def test_a_range_for_some_people_is_not_read() -> None:
    found = read(*TABLE, ("CK", "96", "U/L", "M: 40 - 190"))

    assert [(row["value"], row["low"], row["high"]) for row in found[-1:]] == [("96", None, None)]


def test_two_tables_side_by_side() -> None:
    right = (("CK", "96", "U/L", "(< 190)"), ("Gamma-GT", "---", "U/L", "(< 60)"))
    both = [(*left, *other) for left, other in zip(TABLE, right, strict=False)]
    found = read(*both, TABLE[2], places=(30, 140, 175, 210, 320, 430, 465, 500))

    assert sorted(certain(found)) == [
        ("albumin", "3.9"),
        ("alt", "41"),
        ("ast", "<5"),
        ("ck", "96"),
    ]


def test_a_list_of_results() -> None:
    found = read(
        "Blood: ALT (GPT): 41 U/L (7 - 40)",
        "AST (GOT): <5 U/L (< 35), CK, total: 96 U/L (< 190);",
        "Bilirubin, direct 0.5 mg/dL (up to 0.3).",
    )

    assert certain(found) == [
        ("alt", "41"),
        ("ast", "<5"),
        ("ck", "96"),
        ("direct-bilirubin", "0.5"),
    ]
    assert [row["high"] for row in found] == ["40", "35", "190", "0.3"]


@pytest.mark.parametrize(
    "sentence",
    [
        "ALT 41 U/L (previous 138), AST 52 U/L, CK 96 U/L",
        "ALT from 138 to 41 U/L, AST now 52 U/L, CK again 96 U/L",
        "Vorwerte: ALT 41 U/L, AST 52 U/L, CK 96 U/L",
        "ALT 138 U/L, then ALT 41 U/L, AST was 52 U/L, target CK 96 U/L",
        "ALT 41 45 U/L, AST 52 U/L mg/dL, ratio CK 96 U/L",
        "urine ALT 41 U/L, AST/ALT 52 U/L, CK-MB 96 U/L",
    ],
)
def test_running_text_that_says_more_is_open(sentence: str) -> None:
    assert certain(read(sentence)) == []


@pytest.mark.parametrize(
    ("name", "below"),
    [("Bilirubin,", "indirect"), ("Bilirubin", "Indirect"), ("Bilirubin,", "Direct fraction")]
    + [("Alkaline phosphatase", "bone"), ("Bilirubin,", "")],
)
def test_a_name_that_goes_on_below_a_list_is_not_read_without_its_rest(
    name: str, below: str
) -> None:
    lines = ("ALT: 41 U/L (7 - 40)", f"{name} 5.0 mg/dL (0.1 - 1.2)", below)
    found = read(*(line for line in lines if line))

    assert certain(found)[1:] == []


def test_results_in_running_text_with_a_date_of_its_own_have_no_date() -> None:
    found = read("On 12 Jan 2026: ALT 41 U/L (7 - 40), AST 52 U/L (< 35)")

    assert {row["date"] for row in found if row["marker"]} <= {None}


def test_a_block_for_each_test() -> None:
    found = read(
        "TGP (ALT)",
        "Material: Soro    Método: UV",
        "Resultado: 41 U/L H",
        "Valor de referência: 7 - 40 U/L",
        "TGO (AST)",
        "Resultado: <5 U/L",
        "Resultado anterior: 138 U/L",
        "Valores de referência: até 35 U/L",
    )

    assert certain(found) == [("alt", "41"), ("ast", "<5")]
    assert [(row["low"], row["high"], row["flag"]) for row in found] == [
        ("7", "40", "H"),
        (None, "35", None),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ("ALT", "Result: 41 U/L", "Result: 138 U/L"),
        ("ALT", "Result: 41 U/L 05 Jan 2026"),
        ("Albumin", "Specimen: Urine", "Result: 3.9 g/dL"),
        ("Urine", "Albumin", "Result: 3.9 g/dL"),
        ("Previous results", "ALT", "Result: 41 U/L"),
        ("Bilirubin", "indirect", "Result: 1.4 mg/dL"),
    ],
)
def test_a_block_that_says_more_is_open(lines: Sequence[str]) -> None:
    assert certain(read(*lines)) == []


@pytest.mark.parametrize(
    "lines",
    [
        ("Bilirubin: 5.0 mg/d L (0.1 - 1.2)", "Creatinine: 1.4 mg/d L (0.5 - 1.2)"),
        ("Bilirubin", "Result: 5.0 mg/d L", "Reference range: 0.1 - 1.2"),
        (("Bilirubin", "5.0", "mg/d L", "0.1 - 1.2"), ("Creatinine", "1.4", "mg/d L", "0.5 - 1.2")),
    ],
)
def test_a_unit_with_a_blank_in_it_has_no_flag(lines: Sequence[str | Sequence[str]]) -> None:
    found = read(*lines)

    assert {(row["value"], row["flag"]) for row in found} == {(None, None)}


METHODS = (("ALT", "99", "UV", "41"), ("AST", "98", "IFCC", "42"), ("Albumin", "9.7", "UV", "4.3"))


@pytest.mark.parametrize("heading", ["", "Anterior Método Resultados Intervalo de"])
@pytest.mark.parametrize(
    "methods", [("UV", "IFCC", "UV"), ("A1", "B2", "A1"), ("IFCC", "UV", "HK")]
)
def test_a_column_of_methods_begins_no_table(heading: str, methods: Sequence[str]) -> None:
    """The numbers before it are former results, and would be those of the tests."""
    lines = [
        (name, before, method, now, "(3 - 40)")
        for (name, before, _, now), method in zip(METHODS, methods, strict=True)
    ]

    found = read(heading, *lines, places=(50, 180, 240, 300, 370))

    assert certain(found) == []


def test_headings_that_run_together_say_that_results_are_former_ones() -> None:
    lines = [row[:2] + row[3:] for row in TABLE]

    assert certain(read("Anterior Intervalo de referência anos", *lines)) == []


def test_a_name_and_labels_of_two_lines() -> None:
    sheet = Sheet(leading=11)
    for cells in (
        ("Patient:", "Marie", "Date of", "02 Jan 1980"),
        ("", "Dupont", "birth:", ""),
        ("Collection", "05 Mar 2026", "", ""),
        ("date:", "", "", ""),
    ):
        for x, text in zip((50, 130, 250, 330), cells, strict=True):
            sheet.at(x, text)
        sheet.down(1 if cells[0] else 1.6)
    for row in TABLE:
        for x, text in zip(PLACES, row, strict=False):
            sheet.at(x, text)
        sheet.down()
    read = as_json(read_pdf(sheet.finished()), LOOKUPS)

    assert (read["patient"]["name"], read["patient"]["birthDate"]) == ("Marie Dupont", "1980-01-02")
    assert {row["date"] for row in read["rows"]} == {"2026-03-05"}


def name_in_cells(first: str, second: str, *, label: str = "", align: str = "left") -> str:
    """The patient's name of two lines of a cell, with a label beside the second."""
    sheet = Sheet(leading=11)
    sheet.at(50, "Patient:")
    sheet.at(180, first, align=align)
    sheet.down()
    sheet.at(50, label)
    sheet.at(180, second, align=align)
    sheet.down(1.6)
    for row in TABLE:
        for x, text in zip(PLACES, row, strict=False):
            sheet.at(x, text)
        sheet.down()
    return str(as_json(read_pdf(sheet.finished()), LOOKUPS)["patient"]["name"])


@pytest.mark.parametrize("align", ["left", "right", "middle"])
@pytest.mark.parametrize("first", ["Marie", "Marie Luise"])
def test_a_name_of_two_lines_is_whole(first: str, align: str) -> None:
    assert name_in_cells(first, "Dupont-Moreau", align=align) == f"{first} Dupont-Moreau"


def test_what_has_a_label_of_its_own_is_no_part_of_a_name() -> None:
    assert name_in_cells("Marie", "female", label="Sex:") == "Marie"


def test_a_name_of_several_lines_has_its_value_in_the_middle_and_its_unit_below() -> None:
    sheet = Sheet(leading=9)
    slots = ((50, "Test"), (230, "Result"), (300, "Range"))
    for x, text in slots:
        sheet.at(x, text, bold=True)
    sheet.down(3)
    for name, rest in (("Bilirubin", "indirect [mg/dL]"), ("Alkaline", "phosphatase [U/L]")) * 3:
        sheet.at(50, name)
        sheet.down(0.7)
        sheet.at(230, "3.9")
        sheet.at(300, "3.5 - 5.2")
        sheet.down(0.7)
        sheet.at(50, rest)
        sheet.down(2)
    rows = as_json(read_pdf(sheet.finished()), LOOKUPS)["rows"]

    assert certain(rows) == [("alp", "3.9")] * 3
    assert {(row["name"], row["unit"]) for row in rows} == {
        ("Bilirubin indirect", "mg/dL"),
        ("Alkaline phosphatase", "U/L"),
    }


def test_the_rest_of_a_name_counts_whatever_stands_beside_it() -> None:
    sheet = Sheet(leading=9)
    for x, text in ((50, "Test"), (230, "Result"), (300, "Range")):
        sheet.at(x, text, bold=True)
    sheet.down(3)
    for _ in range(4):
        for cells in (("Bilirubin", "3.9", "[3.5 - 5.2]"), ("indirect", "", "mg/dL")):
            for x, text in zip((50, 230, 300), cells, strict=True):
                sheet.at(x, text)
            sheet.down()
        sheet.down()
    rows = as_json(read_pdf(sheet.finished()), LOOKUPS)["rows"]

    assert {(row["name"], row["marker"], row["unit"], row["high"]) for row in rows} == {
        ("Bilirubin indirect", None, "mg/dL", "5.2")
    }


@pytest.mark.parametrize("headings", [("Previous", "Result"), ("Result", "Previous")])
def test_headings_on_the_left_of_cells_whose_numbers_are_on_the_right(
    headings: Sequence[str],
) -> None:
    sheet = Sheet()
    ends = (280, 350)
    sheet.at(50, "Test")
    for x, text in zip((230, 300), headings, strict=True):
        sheet.at(x, text)
    sheet.at(370, "Unit")
    sheet.at(430, "Range")
    sheet.down()
    for name, value in (("ALT", "41"), ("AST", "1042"), ("GGT", "7")):
        numbers = {"Result": value, "Previous": f"9{value}"}
        sheet.at(50, name)
        for x, text in zip(ends, headings, strict=True):
            sheet.at(x, numbers[text], align="right")
        sheet.at(370, "U/L")
        sheet.at(430, "7 - 40")
        sheet.down()
    rows = as_json(read_pdf(sheet.finished()), LOOKUPS)["rows"]

    assert certain(rows) == [("alt", "41"), ("ast", "1042"), ("ggt", "7")]


def test_a_low_and_a_high_limit_are_not_taken_for_each_other() -> None:
    sheet = Sheet()
    for x, text in ((50, "Test"), (230, "Result"), (300, "Min"), (350, "Max"), (400, "Unit")):
        sheet.at(x, text)
    sheet.down()
    for name, low, high in (("ALT", "7", "40"), ("AST", "", "35"), ("GGT", "5", "60")):
        sheet.at(50, name)
        sheet.at(230, "41")
        sheet.at(345, low, align="right")
        sheet.at(395, high, align="right")
        sheet.at(400, "U/L")
        sheet.down()
    rows = as_json(read_pdf(sheet.finished()), LOOKUPS)["rows"]

    assert {(row["low"], row["high"]) for row in rows} <= {
        ("7", "40"),
        (None, "35"),
        ("5", "60"),
        (None, None),
    }


def test_a_hemolysis_index_on_two_lines_is_no_hemolysis() -> None:
    found = read(*TABLE, ("Hämolyse-", "86", "mg/dL", "5 - 90"), "Index")

    assert {row["hemolyzed"] for row in found} == {False}


def test_the_rest_of_a_name_counts_where_a_unit_stands_below_the_result() -> None:
    sheet = Sheet(leading=11)
    for x, text in ((50, "Test"), (230, "Result"), (300, "Range")):
        sheet.at(x, text, bold=True)
    sheet.down(2)
    for _ in range(3):
        for cells in (("Bilirubin", "3.9", "3.5 - 5.2"), ("direct", "mg/dL", "")):
            for x, text in zip((50, 230, 300), cells, strict=True):
                sheet.at(x, text)
            sheet.down()
    rows = as_json(read_pdf(sheet.finished()), LOOKUPS)["rows"]

    assert "total-bilirubin" not in {row["marker"] for row in rows}
