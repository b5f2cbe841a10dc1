# SPDX-License-Identifier: Apache-2.0
"""PDF tables with narrow cells: names that run into the next column, cells that go on below."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.reports.corpus.sheets import Sheet, Slot
from tests.reports.test_pdf import rows_of

BEHIND = (
    Slot("unit", "Unités", 240),
    Slot("result", "Résultat", 330),
    Slot("range", "Référence", 420),
)
HEADINGS = {
    "unit": "Unités",
    "flag": "Alerte",
    "previous": "Antérieur",
    "method": "Méthode",
    "specimen": "Nature",
    "low": "Min",
}
ALT = {"name": "ALAT", "unit": "U/L", "result": "41", "range": "7 - 40"}
ALP = {"name": "PAL", "unit": "U/L", "result": "252", "range": "40 - 129"}
Line = tuple[dict[str, str] | str, float]
"""A row by its columns or a bold heading, and how far the next line is below it."""


def narrow(key: str, heading: str) -> list[Slot]:
    """The columns, of which the second begins where a longer name goes on."""
    return [
        Slot("name", "Analyses", 50),
        Slot(key, heading, 97),
        *(slot for slot in BEHIND if slot.key != key),
    ]


def read(slots: Sequence[Slot], *lines: Line) -> list[dict[str, Any]]:
    sheet = Sheet()
    sheet.at(50, "Prélevé le: 05.03.2026")
    sheet.down()
    sheet.headings(slots)
    for row, gap in lines:
        if isinstance(row, str):
            sheet.at(50, row, bold=True)
        else:
            for slot in slots:
                sheet.at(slot.x, row.get(slot.key, ""))
        sheet.down(gap)
    return rows_of(sheet.finished())


def below(**cells: str) -> dict[str, Any]:
    """The row of a test under which these cells stand, closer than the next row."""
    found = read(
        [Slot("name", "Analyses", 50), *BEHIND], (ALT, 2), (ALP, 0.8), (cells, 1.2), (ALT, 2)
    )
    return found[1]


@pytest.mark.parametrize(("key", "heading"), HEADINGS.items())
def test_a_name_that_runs_into_the_next_column_is_whole(key: str, heading: str) -> None:
    bilirubin = {"name": "Bilirubine directe", "result": "12", "range": "5 - 20"}

    found = read(narrow(key, heading), (ALT, 1), (bilirubin, 1), (ALT, 1))

    assert [(row["name"], row["marker"]) for row in found] == [
        ("ALAT", "alt"),
        ("Bilirubine directe", "direct-bilirubin"),
        ("ALAT", "alt"),
    ]


@pytest.mark.parametrize(("key", "heading"), [*HEADINGS.items(), ("result", "Résultat")])
def test_a_heading_of_a_section_below_several_columns_begins_it(key: str, heading: str) -> None:
    lines: list[Line] = [(ALT, 2), (ALP, 0.7), ("Biochimie urinaire", 1.3), (ALT, 2), (ALT, 2)]

    found = read(narrow(key, heading), *lines)

    assert [row["value"] for row in found] == ["41", "252", None, None]
    assert {row["unit"] for row in found} == {"U/L"}


def test_a_heading_of_blood_is_no_part_of_the_unit_above() -> None:
    lines: list[Line] = [(ALT, 2), (ALP, 0.7), ("Biochimie sanguine", 1.3), (ALT, 2)]

    found = read(narrow("unit", "Unités"), *lines)

    assert [(row["value"], row["unit"]) for row in found] == [
        ("41", "U/L"),
        ("252", "U/L"),
        ("41", "U/L"),
    ]


@pytest.mark.parametrize("cells", [{"unit": "dilué"}, {"name": "(IFCC)", "unit": "sanguine"}])
def test_what_is_no_part_of_a_unit_leaves_the_row_open(cells: dict[str, str]) -> None:
    row = below(**cells)

    assert (row["value"], row["unit"]) == (None, "U/L")


@pytest.mark.parametrize("result", ["12", "mg/dL", "hémolysé"])
def test_a_second_result_or_unit_below_a_result_leaves_the_row_open(result: str) -> None:
    assert below(result=result)["value"] is None


def test_a_flag_below_a_result_is_that_of_the_row() -> None:
    row = below(result="H")

    assert (row["value"], row["flag"]) == ("252", "H")


@pytest.mark.parametrize(
    "sign", ["*", "↑", "+", "-", "H", "voir note", "à voir avec le laboratoire"]
)
def test_a_name_that_goes_on_beside_a_sign_is_not_that_of_its_first_line(sign: str) -> None:
    bilirubin = {"name": "Bilirubine", "unit": "mg/dL", "result": "2,37", "range": "< 0,30"}
    rest = {"name": "directe", "result": sign}
    slots = [Slot("name", "Analyses", 50), *BEHIND]

    found = read(slots, (ALT, 2), (bilirubin, 0.9), (rest, 1.1), (ALP, 2))

    assert found[1]["value"] is None
    assert [found[0]["value"], found[-1]["value"]] == ["41", "252"]


def test_a_unit_of_two_lines_is_one() -> None:
    platelets = {"name": "Plaquettes", "unit": "10^9", "result": "204", "range": "150 - 400"}
    slots = [Slot("name", "Analyses", 50), *BEHIND]

    found = read(slots, (ALT, 2), (platelets, 0.8), ({"unit": "/L"}, 1.2), (ALT, 2))

    assert (found[1]["value"], found[1]["unit"]) == ("204", "10^9 /L")


@pytest.mark.parametrize("heading", ["Code", "Nr"])
def test_names_may_stand_behind_a_column_of_codes(heading: str) -> None:
    slots = [
        Slot("code", heading, 50),
        Slot("name", "Analyses", 90),
        *(Slot("unit", "Unités", 140), *BEHIND[1:]),
    ]
    bilirubin = {"name": "Bilirubine directe", "result": "12", "range": "5 - 20"}
    rows = [row | {"code": f"{1007 + n}"} for n, row in enumerate((ALT, bilirubin, ALP))]

    found = read(slots, *((row, 1) for row in rows))

    assert [(row["name"], row["marker"], row["value"]) for row in found] == [
        ("ALAT", "alt", "41"),
        ("Bilirubine directe", "direct-bilirubin", "12"),
        ("PAL", "alp", "252"),
    ]


@pytest.mark.parametrize("headings", [("Einheit von", "bis"), ("von", "bis zu x")])
def test_one_limit_beside_a_number_below_an_unknown_heading_is_no_range(
    headings: tuple[str, str],
) -> None:
    slots = [
        Slot("name", "Untersuchung", 50),
        Slot("result", "Wert", 170),
        Slot("low", headings[0], 260),
        Slot("high", headings[1], 330),
    ]
    ast = {"name": "AST", "result": "52 U/L", "high": "40"}
    alt = {"name": "ALT", "result": "41 U/L", "low": "7", "high": "40"}

    found = read(slots, *((row, 2) for row in (alt, ast, alt)))

    of_alt = [row for row in found if row["name"] == "ALT"]
    assert [(row["value"], row["low"], row["high"], row["range"]) for row in of_alt] == [
        ("41", None, None, None),
        ("41", None, None, None),
    ]


@pytest.mark.parametrize("stray", ["7", "U/L 7"])
def test_a_limit_behind_a_unit_below_an_unknown_heading_is_missed_by_no_range(stray: str) -> None:
    slots = [
        Slot("name", "Untersuchung", 50),
        Slot("result", "Wert", 170),
        Slot("low", "Einheit von", 240),
        Slot("high", "bis", 330),
    ]
    alt = {"name": "ALT", "result": "41", "low": stray, "high": "40"}

    found = read(slots, (alt, 2), (alt | {"name": "AST"}, 2), (alt | {"name": "GGT"}, 2))

    assert {(row["low"], row["high"]) for row in found} == {(None, None)}


def test_a_sign_that_stands_nearer_to_another_heading_leaves_the_row_open() -> None:
    slots = [
        Slot("name", "Test", 50),
        Slot("range", "Reference Range", 172),
        Slot("result", "Value Flag", 320),
    ]
    ast = {"name": "AST", "range": "5 - 34", "result": "86.1 U/L"}
    sheet = Sheet()
    sheet.at(50, "Collected: 05 Mar 2026")
    sheet.down()
    sheet.headings(slots)
    for sign in ("", ">", ""):
        for slot in slots:
            sheet.at(slot.x, ast[slot.key])
        sheet.at(250, sign)
        sheet.down(2)

    assert [row["value"] for row in rows_of(sheet.finished())] == ["86.1", None, "86.1"]


def test_a_unit_below_a_name_is_not_that_of_the_next_one_too() -> None:
    slots = [Slot("name", "Analyses", 50), *(slot for slot in BEHIND if slot.key != "unit")]
    bilirubin = {"name": "Bilirubine directe", "result": "12", "range": "5 - 20"}
    inr = {"name": "INR", "result": "2,1", "range": "0,90 - 1,20"}
    lines: list[Line] = [(ALT, 2), (bilirubin, 1.3), ({"name": "[mg/dL]"}, 1), (inr, 2)]

    found = read(slots, *lines, (ALT, 1.6), (ALP, 1.6))

    assert [(row["name"], row["unit"]) for row in found[1:3]] == [
        ("Bilirubine directe", "mg/dL"),
        ("INR", None),
    ]


@pytest.mark.parametrize("gap", [0.5, 0.9, 1.2])
@pytest.mark.parametrize(
    ("first", "second", "third"),
    [
        ((0, 0, "Reference", "Prior"), ("Test", "Outcome", 0, 0), (0, 0, "Range", "result")),
        ((0, 0, 0, "Prior"), ("Test", "Outcome", "Range", "Result"), ()),
        ((0, "Outcome", 0, "Previous"), ("Test", "in blood", "Range", "Result"), ()),
        (("Tests of", "Outcome", 0, "Prior"), ("blood", "now", "Range", "result"), ()),
    ],
)
def test_results_below_a_word_for_former_ones_are_not_those_of_now(
    first: tuple[str, ...], second: tuple[str, ...], third: tuple[str, ...], gap: float
) -> None:
    sheet = Sheet()
    sheet.at(50, "Collected: 05 Mar 2026")
    sheet.down(2)
    for cells in filter(None, (first, second, third)):
        for x, text in zip((50, 200, 300, 420), cells, strict=True):
            sheet.at(x, text or "", bold=True)
        sheet.down(gap)
    sheet.down(0.5)
    for name in ("ALT [U/L]", "AST [U/L]", "ALP [U/L]"):
        for x, text in zip((50, 200, 300, 420), (name, "41", "7 - 40", "99"), strict=True):
            sheet.at(x, text)
        sheet.down(2)

    found = rows_of(sheet.finished())

    assert [row["text"] for row in found] == ["41", "99"] * 3
    assert {row["value"] for row in found} == {None}


def test_results_whose_heading_says_below_that_they_are_former_are_not_read() -> None:
    """The headings before stand so close that they read as one, which is none that is known."""
    sheet = Sheet()
    sheet.at(50, "Prélevé le: 05.03.2026")
    sheet.down()
    for x, heading in ((50, "Analyses"), (170, "Unités Résultats Valeurs de"), (420, "Résultat")):
        sheet.at(x, heading, bold=True)
    sheet.down(1.2)
    for x, heading in ((270, "référence"), (420, "précédent")):
        sheet.at(x, heading, bold=True)
    sheet.down(1.2)
    for row in (ALT, ALP):
        for x, key in ((50, "name"), (170, "unit"), (220, "result"), (270, "range")):
            sheet.at(x, row[key])
        sheet.at(420, "99")
        sheet.down(2)

    found = rows_of(sheet.finished())

    assert {row["text"] for row in found} == {"41", "252", "99"}
    assert {(row["value"], row["certain"]) for row in found} == {(None, False)}
