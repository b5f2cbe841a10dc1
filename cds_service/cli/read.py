# SPDX-License-Identifier: Apache-2.0
"""`cds-service read`: the rows of a laboratory report, before anything is made of them."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from cds_service.cli.printable import printable
from cds_service.errors import RequestError
from cds_service.reports.read import RecognizedRow, as_json, read_report, recognized
from cds_service.reports.report import LabReport, ReportPatient
from cds_service.reports.tables.columns_file import columns_file
from cds_service.service import Knowledge, load_knowledge, lookups_of
from cds_service.settings import load_settings

_HEADINGS = ("test", "marker", "value", "range", "flag", "date", "status", "")


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--columns",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What the columns of a table are, as --write-columns wrote it and you corrected it.",
)
@click.option(
    "--write-columns",
    "written",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write what the columns of the table were taken for, to be confirmed or corrected.",
)
@click.option(
    "--propose",
    "proposed",
    is_flag=True,
    help="Of a table whose headings are not known: show its first rows and what its columns may "
    "be, by what stands in them; with --write-columns to be confirmed in a file.",
)
@click.option("--json", "as_data", is_flag=True, help="JSON: patient and rows, or refused.")
def read(
    file: BinaryIO, columns: Path | None, written: Path | None, proposed: bool, as_data: bool
) -> None:
    """Show what a laboratory report says, row by row, and evaluate nothing.

    FILE is HL7 v2 with results (ORU), one message or many, a PDF or a workbook (XLSX; both with
    the extra `reports`), a scan or photo (with Tesseract too), or a table as text: CSV, with tabs,
    or copied from a page; or - for standard input. A row of which a careful reader would not be
    sure has no value and says why, and no row of a scan is sure. What the columns of a table are is
    taken from its headings and shown; a file of columns, kept for each laboratory, says it for
    good.

    \b
    Examples:
      cds-service read report.pdf
      cds-service read results.hl7 --json
      cds-service read results.csv --write-columns laboratory.yaml
      cds-service read strange.csv --propose --write-columns laboratory.yaml
      cds-service read results.xlsx --columns laboratory.yaml --json
      cds-service evaluate results.csv --columns laboratory.yaml

    Exit codes: 0 read; 1 the file cannot be read.
    """
    data = file.read()
    try:
        report = read_report(data, columns, proposes=proposed)
    except RequestError as error:
        if not as_data:
            raise
        click.echo(json.dumps({"refused": str(error)}, indent=2))
        sys.exit(1)
    if written is not None:
        if not report.columns:
            raise click.BadParameter("the file is no table", param_hint="--write-columns")
        written.write_text(columns_file(report.columns), encoding="utf-8")
    if report.sample and not as_data:
        for line in _as_proposal(report):
            click.echo(line)
        return
    knowledge = load_knowledge(load_settings())
    if as_data:
        click.echo(json.dumps(as_json(report, lookups_of(knowledge)), indent=2, ensure_ascii=False))
        return
    for line in _as_lines(report, knowledge):
        click.echo(line)


def _as_lines(report: LabReport, knowledge: Knowledge) -> Iterator[str]:
    lookups = lookups_of(knowledge)
    if report.columns:
        numbered = enumerate(report.columns, start=1)
        roles = (f"{heading or number}: {role}" for number, (heading, role) in numbered)
        yield f"Columns: {printable('; '.join(roles))}"
        yield ""
    for about in report.patients:
        yield click.style(printable(_title(about.patient)), bold=True)
        rows = [_cells(row) for row in recognized(about, lookups)]
        widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
        for cells in (_HEADINGS, *rows):
            line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            yield f"  {line}".rstrip()
        yield ""


def _as_proposal(report: LabReport) -> Iterator[str]:
    yield "Nothing was read: confirm or correct what the columns are (--columns)."
    yield ""
    headings = tuple(heading or str(n) for n, (heading, _) in enumerate(report.columns, start=1))
    lines = [headings, tuple(role for _, role in report.columns), *report.sample]
    shown = [tuple(printable(cell).replace("\n", " ") for cell in line) for line in lines]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for line in shown:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()


def _title(patient: ReportPatient) -> str:
    known = (patient.name, patient.id, patient.birth_date, patient.sex)
    return ", ".join(filter(None, known)) or "A patient who is not named"


def _cells(recognized_row: RecognizedRow) -> tuple[str, ...]:
    row = recognized_row.row
    value = row.value if recognized_row.is_certain else None
    shown = f"{value.comparator or ''}{value.number} {row.unit}" if value else f"? {row.text}"
    cells = (
        row.name,
        recognized_row.marker or "-",
        shown.strip(),
        row.range_text,
        row.flag,
        row.date or "",
        f"{row.status}{', hemolyzed' if row.hemolyzed else ''}",
        recognized_row.why,
    )
    return tuple(printable(cell).replace("\n", " ") for cell in cells)
