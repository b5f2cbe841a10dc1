# SPDX-License-Identifier: Apache-2.0
"""Which format a file has, and its reader; what a reader needs is imported when it is used."""

from cds_service.reports.bounded import ReaderOptions, ReadFile
from cds_service.reports.hl7v2.messages import is_hl7v2

_ZIP = b"PK\x03\x04"


def is_pdf(data: bytes) -> bool:
    """Whether a file is a PDF, by the mark at its beginning."""
    return b"%PDF-" in data[:1024]


def is_workbook(data: bytes) -> bool:
    """Whether a file is a workbook (XLSX), or another archive, which its reader refuses."""
    return data.startswith(_ZIP)


def read_any(data: bytes, options: ReaderOptions) -> ReadFile:
    """What a file says, and pictures of its pages if they are wanted.

    Raises `RequestError` if it is none of the formats, `PayloadTooLarge` if there is too much.
    """
    if is_pdf(data):
        from cds_service.reports.pdf.pictures import draw_pages
        from cds_service.reports.pdf.reading import read_pdf

        report = read_pdf(data)
        rows = (row for about in report.patients for row in about.rows)
        places = (row.place.page for row in rows if row.place)
        return report, draw_pages(data, places) if options.pictures else ()
    if is_hl7v2(data):
        from cds_service.reports.hl7v2.results import read_results

        return read_results(data), ()
    from cds_service.reports.tables.grid import read_grid
    from cds_service.reports.tables.reading import columns_of, read_table
    from cds_service.reports.tables.workbook import read_workbook

    grid = read_workbook(data) if is_workbook(data) else read_grid(data)
    return read_table(grid, columns_of(grid, options.columns)), ()
