# SPDX-License-Identifier: Apache-2.0
"""Workbooks (XLSX) made of their parts, so that a test can make one that no program would write."""

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from xml.sax.saxutils import escape, quoteattr

Cell = str | int | float | bool | date | None
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DAY, _TIME = 1, 2  # formats of cells: their places in the list below
STYLES = (
    f'<styleSheet xmlns="{_MAIN}"><numFmts count="1"><numFmt numFmtId="164" '
    'formatCode="&quot;&lt;&quot;0"/></numFmts><cellXfs count="5"><xf numFmtId="0"/>'
    '<xf numFmtId="14"/><xf numFmtId="22"/><xf numFmtId="9"/><xf numFmtId="164"/></cellXfs>'
    "</styleSheet>"
)


def styles(code: str, more: str = "") -> str:
    """Styles of which the second has this number format; `more` are parts beside them."""
    return (
        f'<styleSheet xmlns="{_MAIN}"><numFmts><numFmt numFmtId="164" '
        f"formatCode={quoteattr(code)}/></numFmts>{more}<cellXfs>"
        '<xf numFmtId="0"/><xf numFmtId="164" fontId="0"/></cellXfs></styleSheet>'
    )


def column(number: int) -> str:
    """The letters of a column, the first being 0."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def cell_xml(place: str, cell: Cell) -> str:
    """A cell; a text that begins with `=` is a formula, with what it came to behind a bar."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return f'<c r="{place}" t="b"><v>{int(cell)}</v></c>'
    if isinstance(cell, date):
        days = cell - (datetime(1899, 12, 30) if isinstance(cell, datetime) else date(1899, 12, 30))  # noqa: DTZ001
        style = _TIME if isinstance(cell, datetime) else _DAY
        return f'<c r="{place}" s="{style}"><v>{days.total_seconds() / 86400!r}</v></c>'
    if isinstance(cell, str) and cell.startswith("="):
        formula, _, came_to = cell[1:].partition("|")
        return f'<c r="{place}"><f>{escape(formula)}</f><v>{came_to}</v></c>'
    if isinstance(cell, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
    return f'<c r="{place}"><v>{cell!r}</v></c>'


def sheet_xml(rows: Iterable[Sequence[Cell]], *, merged: Sequence[str] = ()) -> str:
    """A sheet with these cells."""
    written = [
        f'<row r="{at}">'
        + "".join(cell_xml(f"{column(place)}{at}", cell) for place, cell in enumerate(row))
        + "</row>"
        for at, row in enumerate(rows, start=1)
    ]
    ranges = "".join(f'<mergeCell ref="{merged_range}"/>' for merged_range in merged)
    return (
        f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(written)}</sheetData>'
        + (f"<mergeCells>{ranges}</mergeCells>" if merged else "")
        + "</worksheet>"
    )


def workbook(
    *sheets: str, hidden: Sequence[int] = (), more: Mapping[str, str] | None = None
) -> bytes:
    """The file of these sheets; those of `hidden` are hidden, `more` are parts by name."""
    kind = f"{_PACKAGE.removesuffix('/2006')}/2006/content-types"
    names = [f"Sheet{n}" for n in range(1, len(sheets) + 1)]
    listed = "".join(
        f"<sheet name={quoteattr(name)} sheetId={quoteattr(str(n))} r:id={quoteattr(f'r{n}')}"
        + (' state="hidden"' if n - 1 in hidden else "")
        + "/>"
        for n, name in enumerate(names, start=1)
    )
    related = "".join(
        f'<Relationship Id="r{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    related += f'<Relationship Id="s" Type="{_OFFICE}/styles" Target="styles.xml"/>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{kind}"/>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="w" '
        f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{listed}'
        "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{related}'
        "</Relationships>",
        "xl/styles.xml": STYLES,
        **{f"xl/worksheets/sheet{n}.xml": xml for n, xml in enumerate(sheets, start=1)},
        **(more or {}),
    }
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return held.getvalue()
