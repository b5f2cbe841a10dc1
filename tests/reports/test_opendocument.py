# SPDX-License-Identifier: Apache-2.0
"""Spreadsheets (ODS): read as CSV is, and refused where a person sees something else."""

import io
import zipfile

import pytest

from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.reports.bounded import ReaderOptions
from cds_service.reports.formats import read_any
from cds_service.reports.read import read_file
from cds_service.reports.report import ReportRow
from cds_service.reports.tables.opendocument import read_opendocument

NAMES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "table", "text", "style")
)
MIMETYPE = "application/vnd.oasis.opendocument.spreadsheet"


def text(shown: str, more: str = "") -> str:
    kind = 'office:value-type="string"'
    return f"<table:table-cell {kind}{more}><text:p>{shown}</text:p></table:table-cell>"


def number(value: str, shown: str, kind: str = "float") -> str:
    return (
        f'<table:table-cell office:value-type="{kind}" office:value="{value}">'
        f"<text:p>{shown}</text:p></table:table-cell>"
    )


def day(value: str) -> str:
    return (
        f'<table:table-cell office:value-type="date" office:date-value="{value}">'
        "<text:p>14.06.26</text:p></table:table-cell>"
    )


def row(*cells: str, more: str = "") -> str:
    return f"<table:table-row{more}>{''.join(cells)}</table:table-row>"


HEADINGS = row(*map(text, ("Test", "Result", "Unit", "Date")))
ALT = row(text("ALT"), number("1234.5", "1.234,50"), text("U/L"), day("2026-06-14"))
REST = row(
    '<table:table-cell table:number-columns-repeated="16384"/>',
    more=' table:number-rows-repeated="1048574"',
)


def table(*rows: str, more: str = "") -> str:
    return f"<table:table{more}>{''.join(rows)}</table:table>"


def spreadsheet(*tables: str, styles: str = "", content: str = "") -> bytes:
    body = f"<office:body><office:spreadsheet>{''.join(tables)}</office:spreadsheet></office:body>"
    automatic = f"<office:automatic-styles>{styles}</office:automatic-styles>"
    made = (
        content or f"<office:document-content {NAMES}>{automatic}{body}</office:document-content>"
    )
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", MIMETYPE, zipfile.ZIP_STORED)
        archive.writestr("content.xml", made)
        archive.writestr("styles.xml", f"<office:document-styles {NAMES}/>")
    return held.getvalue()


def rows_of(data: bytes) -> tuple[ReportRow, ...]:
    (about,) = read_any(data, ReaderOptions())[0].patients
    return about.rows


def test_a_number_is_as_it_is_stored_whatever_its_marks() -> None:
    bare = row(text("GPT"), number("0.674", "0,67"), text("U/L"), day("2026-06-14T09:30:00"))
    made = spreadsheet(table(HEADINGS, ALT, bare, REST))
    alt, gpt = rows_of(made)
    assert read_file(made, ReaderOptions())[0] == read_any(made, ReaderOptions())[0]

    assert alt.value is not None
    assert (alt.value.number, alt.unit, alt.date) == ("1234.5", "U/L", "2026-06-14")
    assert gpt.value is not None
    assert (gpt.value.number, gpt.date) == ("0.674", "2026-06-14T09:30:00")


def test_a_text_is_read_as_in_csv_and_a_remark_beside_it_is_none() -> None:
    noted = text('<text:span>&lt;5</text:span><text:s text:c="2"/>').replace(
        "<text:p>", "<office:annotation><text:p>remark 77</text:p></office:annotation><text:p>", 1
    )
    (alt,) = rows_of(spreadsheet(table(HEADINGS, row(text("ALT"), noted, text("U/L")), REST)))

    assert alt.value is not None
    assert (alt.value.comparator, alt.value.number) == ("<", "5")


def test_a_hidden_sheet_is_not_read() -> None:
    style = (
        '<style:style style:name="ta2"><style:table-properties table:display="false"/>'
        "</style:style>"
    )
    hidden = table(HEADINGS, ALT, more=' table:style-name="ta2"')
    assert len(rows_of(spreadsheet(hidden, table(HEADINGS, ALT), styles=style))) == 1


RAISED = (
    '<style:style style:name="T1"><style:text-properties style:text-position="super 58%"/>'
    '</style:style><style:style style:name="T2" style:parent-style-name="T1"/>'
)
STRUCK = (
    '<style:style style:name="T2"><style:text-properties '
    'style:text-line-through-style="solid"/></style:style>'
)
MAPPED = (
    f'{STRUCK}<style:style style:name="ce1"><style:map style:apply-style-name="T2"/></style:style>'
)
FLAT = (
    '<style:style style:name="ro0"><style:table-row-properties style:row-height="0cm"/>'
    "</style:style>"
)


@pytest.mark.parametrize(
    ("cells", "styles", "said"),
    [
        ([number("0.41", "41 %", "percentage")], "", "shown as they are stored"),
        ([number("41", "&lt;41")], "", "shown as they are stored"),
        ([number("41", "4.1")], "", "shown as they are stored"),
        ([number("41", "")], "", "shown as they are stored"),
        ([number("1e999", "41")], "", "shown as they are stored"),
        ([number("NaN", "NaN")], "", "shown as they are stored"),
        ([text('41<text:span text:style-name="T2">2</text:span>')], RAISED, "raised"),
        ([text("41", ' table:style-name="T2"')], STRUCK, "struck out"),
        ([text("41", ' table:style-name="ce1"')], MAPPED, "struck out"),
        ([text("41", ' table:number-rows-spanned="2"')], "", "merged"),
    ],
)
def test_what_a_person_sees_otherwise_is_refused(cells: list[str], styles: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        rows_of(spreadsheet(table(HEADINGS, row(text("ALT"), *cells)), styles=styles))


@pytest.mark.parametrize(
    ("more", "styles"),
    [
        (' table:visibility="collapse"', ""),
        (' table:visibility="filter"', ""),
        (' table:style-name="ro0"', FLAT),
    ],
)
def test_hidden_rows_are_refused(more: str, styles: str) -> None:
    hidden = row(text("AST"), number("5", "5"), more=more)
    with pytest.raises(RequestError, match="without hidden rows"):
        rows_of(spreadsheet(table(HEADINGS, ALT, hidden), styles=styles))


def test_hidden_columns_and_groups_are_refused() -> None:
    column = '<table:table-column table:visibility="collapse"/>'
    group = f'<table:table-row-group table:display="false">{ALT}</table:table-row-group>'
    for sheet in (table(column, HEADINGS, ALT), table(HEADINGS, ALT, group)):
        with pytest.raises(RequestError, match="without hidden rows"):
            rows_of(spreadsheet(sheet))


@pytest.mark.parametrize(
    "data",
    [
        spreadsheet(content="<office:document"),
        spreadsheet(content=f'<!DOCTYPE x [<!ENTITY a "1">]><x {NAMES}>&a;</x>'),
        spreadsheet(table(HEADINGS, ALT), table(HEADINGS, ALT)),
        spreadsheet(),
        spreadsheet(table(HEADINGS, ALT))[:200],
    ],
    ids=["cut", "entity", "two sheets", "none", "half"],
)
def test_what_is_no_one_table_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError, match="Expected a spreadsheet"):
        rows_of(data)


def test_what_repeats_without_end_is_refused() -> None:
    many = ALT.replace("<table:table-row>", '<table:table-row table:number-rows-repeated="999999">')
    wide = text("x", ' table:number-columns-repeated="9999999"')
    for sheet in (table(HEADINGS, many), table(HEADINGS, row(wide))):
        with pytest.raises(PayloadTooLarge):
            read_opendocument(spreadsheet(sheet))


def test_an_xls_is_refused_with_what_to_do() -> None:
    with pytest.raises(RequestError, match="save it as XLSX or CSV"):
        read_file(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), ReaderOptions())
