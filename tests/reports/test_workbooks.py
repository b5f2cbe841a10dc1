# SPDX-License-Identifier: Apache-2.0
"""Tables in workbooks (XLSX): what a cell holds is what counts, and what hides it is refused."""

from datetime import date, datetime
from pathlib import Path

import pytest

from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.reports.read import read_report
from cds_service.reports.report import ReportRow
from cds_service.reports.tables.columns_file import columns_file
from tests.reports.workbooks import STYLES, Cell, cell_xml, sheet_xml, styles, workbook

HEADINGS: tuple[Cell, ...] = ("Test", "Result", "Unit", "Min", "Max", "Date")
DAY = date(2026, 3, 5)


def rows_of(*rows: tuple[Cell, ...]) -> tuple[ReportRow, ...]:
    (about,) = read_report(workbook(sheet_xml([HEADINGS, *rows]))).patients
    return about.rows


def value_of(cell: Cell) -> str | None:
    (row,) = rows_of(("ALT", cell, "U/L", None, None, DAY))
    return row.value.number if row.value else None


def test_a_row_with_its_numbers_limits_and_date() -> None:
    (row,) = rows_of(("ALT", 41, "U/L", 7, 40.5, DAY))

    assert row.value is not None
    assert row.range is not None
    assert (row.name, row.value.number, row.unit, row.date) == ("ALT", "41", "U/L", "2026-03-05")
    assert (row.range.low, row.range.high) == ("7", "40.5")
    assert (row.status, row.doubt, type(row.text)) == ("final", None, str)


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (1.234, "1.234"),  # as a text it could be a thousand
        (0.1, "0.1"),
        (1000.0, "1000"),
        (1e-7, "0.0000001"),
        (123456.125, "123456.125"),
        ("=B1*2|12.5", "12.5"),  # a formula is what it last came to
        ("=B1*2|", None),
        ("0,67", "0.67"),
        ("1,234", None),
        ("<5", "5"),
        (True, None),
        (date(2026, 5, 3), None),  # `3-5`, which became a date
        (-1, None),
    ],
)
def test_a_number_is_what_is_stored_and_a_text_is_read_as_elsewhere(
    cell: Cell, number: str | None
) -> None:
    assert value_of(cell) == number


def test_a_number_says_nothing_about_the_comma_of_texts() -> None:
    first, second = rows_of(("ALT", 30.5, "U/L"), ("AST", "1,234", "U/L"))
    third, fourth = rows_of(("ALT", "30,5", "U/L"), ("AST", 1.234, "U/L"))

    assert first.value is not None
    assert second.doubt == "comma-or-separator"
    assert third.value is not None
    assert third.value.number == "30.5"
    assert fourth.value is not None
    assert fourth.value.number == "1.234"


def test_times_and_dates_as_text_are_read_too() -> None:
    at, text, serial = rows_of(
        ("ALT", 41, "U/L", None, None, datetime(2026, 3, 5, 9, 30)),  # noqa: DTZ001 - a cell has no zone
        ("AST", 35, "U/L", None, None, "05.03.2026"),
        ("GGT", 35, "U/L", None, None, 46086),
    )

    assert (at.date, text.date, serial.date) == ("2026-03-05T09:30", "2026-03-05", None)
    assert serial.doubt == "place-unclear"  # a number where none belongs


def test_labels_above_the_table_and_empty_lines_and_columns() -> None:
    rows: list[tuple[Cell, ...]] = [
        (),
        (None, "Patient", "Anna Muster"),
        (None, "Patient ID", 4711),
        (None, "Date of birth", date(1980, 1, 2)),
        (),
        (None, "Test", "Result", "Unit"),
        (None, "ALT", 41, "U/L"),
    ]
    (about,) = read_report(workbook(sheet_xml(rows))).patients

    who = about.patient
    assert (who.name, who.id, who.birth_date) == ("Anna Muster", "4711", "1980-01-02")
    assert [row.name for row in about.rows] == ["ALT"]


def test_columns_are_written_to_a_file_and_read_from_it(tmp_path: Path) -> None:
    data = workbook(sheet_xml([("Leber", "W", "E"), ("ALT", 41, "U/L")]))
    file = tmp_path / "columns.yaml"
    file.write_text("columns: {Leber: test, W: value, E: unit}\n")
    report = read_report(data, file)
    with pytest.raises(RequestError, match="--columns"):
        read_report(data)

    file.write_text(columns_file(report.columns))
    assert read_report(data, file) == report


def test_dates_as_headings() -> None:
    sheet = sheet_xml([("Test", DAY, date(2026, 2, 1)), ("ALT", 41, 39)])
    (about,) = read_report(workbook(sheet)).patients

    assert [(row.date, row.text) for row in about.rows] == [
        ("2026-03-05", "41"),
        ("2026-02-01", "39"),
    ]


GOOD = sheet_xml([("Test", "Result"), ("ALT", 41)])


def test_a_hidden_sheet_and_an_empty_one_do_not_count() -> None:
    (about,) = read_report(
        workbook(sheet_xml([("x", 1)]), GOOD, sheet_xml([]), hidden=[0])
    ).patients

    assert [row.name for row in about.rows] == ["ALT"]


HIDDEN_COLUMN = '<cols><col min="1" max="1" hidden="true"/></cols>'


def styled(style: int) -> str:
    return GOOD.replace('<c r="B2">', f'<c r="B2" s="{style}">')


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (workbook(GOOD, GOOD), "one sheet"),
        (workbook(GOOD, hidden=[0]), "one sheet"),
        (workbook(sheet_xml([])), "one sheet"),
        (workbook(GOOD.replace('<row r="2">', '<row r="2" hidden="1">')), "hidden rows"),
        (
            workbook(GOOD.replace("<sheetData>", '<cols><col hidden="true"/></cols><sheetData>')),
            "hi",
        ),
        (workbook(styled(3)), "shown as they are stored"),  # 4100 %
        (workbook(styled(4)), "shown as they are stored"),  # <41
        (workbook(GOOD, more={"xl/vbaProject.xml": "<!DOCTYPE x>"}), "workbook of Excel"),
        (workbook('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>' + GOOD), "of Excel"),
        (workbook(GOOD.replace(">ALT<", ">&e;<")), "workbook of Excel"),
        (workbook(GOOD)[:-40], "workbook of Excel"),
        (workbook(GOOD[:-60]), "workbook of Excel"),
        (
            workbook(
                sheet_xml([("Test", "Result"), ("ALT", 41), (None, 39)], merged=["A2:A3"]),
            ),
            "merged",
        ),
    ],
)
def test_what_a_person_would_see_otherwise_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        read_report(data)


def formatted(code: str, more: str = "") -> bytes:
    return workbook(styled(1), more={"xl/styles.xml": styles(code, more)})


@pytest.mark.parametrize(
    "code",
    [
        "0",
        "General",
        "@",
        "#,##0.00",
        "0.0#",
        "0.0E+00",
        "# ##0",
        "#\\ ##0",
        "[Red]0",
        "[<5]0.0;0",
        "#,##0.00_ ;[Red]\\-#,##0.00\\ ",
        "0_);\\(0\\)",
        "[$-407]0.0",
    ],
)
def test_formats_that_print_the_number_are_read(code: str) -> None:
    (about,) = read_report(formatted(code)).patients

    assert [row.value and row.value.number for row in about.rows] == ["41"]


@pytest.mark.parametrize(
    "code",
    [
        "<0",
        ">=0",
        "\\<0",
        "[$<]0",
        "≤0",
        "0*<",
        "0\\.0",
        "000\\.0",
        "0-0",
        "0:0",
        "-0",
        "(0)",
        "0+",
        "\\d0",
        "0.0,",
        "0,",
        "0.0%",
        '0"x"',
        "0;0;",
        ";;;",
        '[<50]"<50";0',
        "[<50]-0;0",
        "0^",
        "0/10",
        "0 h",
    ],
)
def test_formats_that_print_something_else_are_refused(code: str) -> None:
    with pytest.raises(RequestError, match="shown as they are stored"):
        read_report(formatted(code))


CONDITION = GOOD.replace("</sheetData>", "</sheetData><conditionalFormatting/>")
DIFFERENT = "<dxfs><numFmt formatCode='&lt;0'/></dxfs>"
RAISED = '<rPr><vertAlign val="superscript"/></rPr>'
STRUCK = "<fonts><font><strike/></font></fonts>"


def rich(inside: str) -> bytes:
    text = f'<c r="B2" t="inlineStr"><is>{inside}</is></c>'
    return workbook(GOOD.replace(cell_xml("B2", 41), text))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (workbook(GOOD, more={"xl/styles.xml": STYLES.replace('Id="0"', 'Id="9"')}), "as they are"),
        (
            workbook(CONDITION, more={"xl/styles.xml": STYLES + DIFFERENT}),
            "as they are",
        ),
        (formatted("0", STRUCK), "struck out"),
        (rich(f"<r><t>41</t></r><r>{RAISED}<t>1</t></r>"), "raised"),
        (rich("<r><rPr><strike/></rPr><t>41</t></r><r><t>39</t></r>"), "struck out"),
        (workbook(GOOD.replace('<row r="2">', '<row r="2" ht="0" customHeight="1">')), "hidden"),
        (
            workbook(GOOD.replace("<sheetData>", '<cols><col width="0"/></cols><sheetData>')),
            "hidden",
        ),
        (
            workbook(GOOD.replace("<sheetData>", '<sheetFormatPr zeroHeight="1"/><sheetData>')),
            "hid",
        ),
    ],
)
def test_what_is_not_seen_or_seen_otherwise_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        read_report(data)


def test_a_raised_power_of_a_unit_is_read() -> None:
    power = f"<r><t>10</t></r><r>{RAISED}<t>9</t></r>"
    unit = f'<c r="C2" t="inlineStr"><is>{power}<r><t>/L</t></r></is></c>'
    sheet = sheet_xml([("Test", "Result", "Unit"), ("ALT", 41, "x")])
    (about,) = read_report(workbook(sheet.replace(cell_xml("C2", "x"), unit))).patients

    assert [row.text for row in about.rows] == ["41"]


def test_a_sign_in_a_column_without_a_heading_belongs_to_the_value() -> None:
    sheet = sheet_xml([("Test", None, "Result"), ("ALT", "<", 5), ("AST", None, 41)])
    (about,) = read_report(workbook(sheet)).patients

    assert [row.doubt for row in about.rows] == ["place-unclear", None]


def test_a_title_and_a_section_may_be_merged() -> None:
    rows: list[tuple[Cell, ...]] = [("My laboratory",), (), ("Test", "Result"), ("Urine",)]
    rows.append(("Albumin", 41))
    sheet = sheet_xml(rows, merged=["A1:B2", "A4:B4"])
    (about,) = read_report(workbook(sheet)).patients

    assert [(row.name, row.doubt) for row in about.rows] == [("Albumin", "not-in-blood")]


FAR = GOOD.replace(
    "</sheetData>", f'<row r="1048576">{cell_xml("XFD1048576", 1)}</row></sheetData>'
)
EMPTY_ROWS = GOOD.replace("</sheetData>", '<row r="3"/>' * 5_000_000 + "</sheetData>")
MANY_ROWS = sheet_xml([("Test", "Result"), *[("ALT", 41)] * 110_000])


@pytest.mark.slow
@pytest.mark.parametrize(
    "sheet", [FAR, GOOD + " " * 250_000_000, MANY_ROWS], ids=["far", "unpacked", "rows"]
)
def test_what_is_too_much_ends_in_a_clear_error(sheet: str) -> None:
    with pytest.raises(PayloadTooLarge, match="Expected"):
        read_report(workbook(sheet))


@pytest.mark.slow
def test_a_size_that_lies_ends_in_a_clear_error() -> None:
    data = bytearray(workbook(GOOD + " " * 250_000_000))
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"xl/worksheets/sheet1.xml"))
    data[at + 24 : at + 28] = (1000).to_bytes(4, "little")  # the size that it says it has

    with pytest.raises(RequestError, match="workbook of Excel"):
        read_report(bytes(data))


@pytest.mark.slow
def test_millions_of_empty_rows_are_read_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the time of the processor that the reader has, however busy the machine is."""
    monkeypatch.setattr("cds_service.reports.bounded.SECONDS", 600)  # not in its own process

    (about,) = read_report(workbook(EMPTY_ROWS)).patients

    assert [row.text for row in about.rows] == ["41"]
