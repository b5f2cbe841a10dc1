# SPDX-License-Identifier: Apache-2.0
"""What goes on below or beside a name or a unit, and makes it that of another test."""

from collections.abc import Sequence
from typing import Any

import pytest

from cds_service.reports.pdf.kinds import names_variety
from tests.reports.corpus.sheets import Sheet, Slot
from tests.reports.test_pdf import rows_of

SLOTS = (
    Slot("name", "Test", 50),
    Slot("result", "Result", 200),
    Slot("unit", "Unit", 280),
    Slot("range", "Reference range", 370),
    Slot("previous", "Previous", 480),
)
BILIRUBIN = {"name": "Bilirubin", "result": "1.9", "unit": "mg/dL", "range": "0.2 - 1.2"}
GGT = {"name": "GGT", "result": "41", "unit": "U/L", "range": "7 - 40"}
KINDS = (
    *("direct", "indirect", "conjugated", "unconjugated", "Direct", "Conjugated", "delta"),
    *("direkt", "indirekt", "konjugiert", "unkonjugiert", "Direktes", "indir.", "konj."),
    *("directe", "indirecte", "conjuguée", "non conjuguée", "directa", "indirecta", "conjugada"),
    *("diretta", "indiretta", "coniugata", "non coniugata", "direta", "não conjugada"),
    *("in urine", "im Urin", "(Urin)", "dans les urines", "(bone)", "bone isoenzyme", "óssea"),
    *("Knochen", "Knochenisoenzym", "osseuse", "ósea", "ossea", "isoenzyme", "Isoenzyme"),
    *("/ creatinine", "- direct", "(indirect), photometric method", "direct, serum."),
)
Line = tuple[dict[str, str], float]
"""A row by its columns, and how far the next line is below it."""


def read(*lines: Line, slots: Sequence[Slot] = SLOTS) -> list[dict[str, Any]]:
    sheet = Sheet()
    sheet.at(50, "Collected: 05 Mar 2026")
    sheet.down()
    sheet.headings(slots)
    for row, gap in lines:
        for slot in slots:
            sheet.at(slot.x, row.get(slot.key, ""))
        sheet.down(gap)
    return rows_of(sheet.finished())


def is_total(row: dict[str, Any]) -> bool:
    """Whether a row counts as a result of the test that its first line names."""
    return row["value"] is not None and row["marker"] == "total-bilirubin"


@pytest.mark.parametrize("gap", [0.7, 1.0, 1.4, 1.8])
@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_goes_on_below_is_not_that_of_its_first_line(kind: str, gap: float) -> None:
    found = read((GGT, 1), (GGT, 1), (BILIRUBIN, gap), ({"name": kind}, 1), (GGT, 1), (GGT, 1))

    assert not any(is_total(row) for row in found)
    assert [row["value"] for row in found[:2]] == ["41", "41"]


@pytest.mark.parametrize("kind", ["direct", "indirecta [mg/dL]", "in urine", "im Urin", "Knochen"])
@pytest.mark.parametrize("gap", [0.8, 1.2])
@pytest.mark.parametrize("beside", [{"previous": "38.7"}, {"range": "0.1 - 0.3"}, {"unit": "g/L"}])
def test_nor_where_other_cells_go_on_with_it(kind: str, gap: float, beside: dict[str, str]) -> None:
    before = BILIRUBIN | {"previous": ">"}

    found = read((GGT, 2), (GGT, 2), (before, gap), ({"name": kind} | beside, 2), (GGT, 2))

    assert not any(is_total(row) for row in found)
    assert [row["value"] for row in found[:2]] == ["41", "41"]


def test_a_test_that_was_measured_before_only_changes_nothing() -> None:
    albumin = {"name": "Albumin", "previous": "44", "range": "35 - 52", "unit": "g/L"}

    found = read((BILIRUBIN, 1), (albumin, 1), (GGT, 1))

    assert [row["value"] for row in found] == ["1.9", "41"]


def test_a_name_of_three_lines_beside_rows_that_are_closer_is_whole() -> None:
    """The result stands beside the second line, and many rows are closer than its lines."""
    lines: list[Line] = [(GGT, 0.9)] * 6
    alp = {"name": "alkaline", "result": "22.5", "unit": "U/L", "range": "5 - 80"}

    found = read(*lines, ({"name": "Phosphatase"}, 1.3), (alp, 1.3), ({"name": "bone"}, 1.3))

    assert not any(row["value"] for row in found[6:])


@pytest.mark.parametrize(("printed", "flag"), [("g/dL H", "H"), ("g/dL *", "*"), ("g/dL LL", "LL")])
def test_a_flag_close_behind_a_unit_is_no_part_of_it(printed: str, flag: str) -> None:
    (row,) = read(({"name": "Albumin", "result": "4.9", "unit": printed, "range": "3 - 4"}, 1))

    assert (row["value"], row["unit"], row["flag"]) == ("4.9", "g/dL", flag)


@pytest.mark.parametrize("sign", ["H", "HH", "*", "+"])
def test_a_flag_in_the_place_of_a_unit_is_none(sign: str) -> None:
    (row,) = read(({"name": "INR", "result": "3.68", "unit": sign, "range": "0.9 - 1.2"}, 1))

    assert (row["value"], row["unit"], row["flag"]) == ("3.68", None, sign)


@pytest.mark.parametrize("printed", ["L", "g/d L", "g/dL UV", "UV g/dL", "g/dL in urine"])
def test_a_unit_with_something_else_leaves_the_row_open(printed: str) -> None:
    (row,) = read(({"name": "Albumin", "result": "4.9", "unit": printed, "range": "3 - 4"}, 1))

    assert row["value"] is None


@pytest.mark.parametrize(
    "beside", ["direct", "indirekt", "Knochen", "conjugada", "in urine", "indirect, IFCC"]
)
def test_what_stands_beside_a_row_can_say_that_it_is_of_another_test(beside: str) -> None:
    remarks = Slot("remarks", "Remarks", 480)

    (row,) = read((BILIRUBIN | {"remarks": beside}, 1), slots=(*SLOTS[:4], remarks))

    assert row["value"] is None


@pytest.mark.parametrize("text", ["Director", "Direktor", "Directeur", "Osservazioni", "Dirección"])
def test_other_words_name_no_kind_of_a_test(text: str) -> None:
    assert not names_variety(text)


def test_a_name_that_goes_on_with_the_former_result_is_whole() -> None:
    before = {"name": "Alanine", "result": "41", "unit": "U/L", "previous": "38.7"}
    rest = {"name": "aminotransferase (ALT) *", "previous": "17.07.2025"}

    found = read((GGT, 2), (before, 0.8), (rest, 2), (GGT, 2))

    assert [(row["marker"], row["value"]) for row in found][1] == ("alt", "41")


@pytest.mark.parametrize("text", ["(IFCC)", "i.S."])
@pytest.mark.parametrize("gap", [0.7, 1.0, 1.4])
def test_a_method_or_serum_below_a_name_changes_nothing(text: str, gap: float) -> None:
    found = read((GGT, 1), (BILIRUBIN, gap), ({"name": text}, 1), (GGT, 1), (GGT, 1))

    assert [row["value"] for row in found] == ["41", "1.9", "41", "41"]


@pytest.mark.parametrize("kind", ["direct", "Indirekt", "non conjuguée", "isoenzyme"])
def test_a_block_whose_name_goes_on_below_its_result_is_open(kind: str) -> None:
    sheet = Sheet()
    for text in ("Bilirubin", "Result: 1.9 mg/dL", kind, "GGT", "Result: 41 U/L"):
        sheet.at(50, text)
        sheet.down()

    assert [row["value"] for row in rows_of(sheet.finished())] == [None, "41"]
