# SPDX-License-Identifier: Apache-2.0
"""The reader of each format; what a reader needs is imported when it is used."""

from cds_service.clock import Deadline
from cds_service.errors import RequestError
from cds_service.reports.bounded import ReaderOptions, ReadFile
from cds_service.reports.hl7v2.messages import is_hl7v2
from cds_service.reports.signatures import (
    is_compound,
    is_opendocument,
    is_paged,
    is_pdf,
    is_workbook,
)

_OLD = (
    "Expected a workbook as XLSX, without a password. Of one as XLS it cannot be known how its "
    "numbers are shown, and what is hidden: save it as XLSX or CSV."
)
_TO_ANSWER = 1.0  # seconds, before the process is ended


def read_any(data: bytes, options: ReaderOptions) -> ReadFile:
    """What a file says, and pictures of its pages if they are wanted.

    Raises `RequestError` if it is none of the formats, `PayloadTooLarge` if there is too much.
    """
    if is_paged(data):
        return _read_paged(data, options)
    if is_compound(data):
        raise RequestError(_OLD)
    if is_hl7v2(data):
        from cds_service.reports.hl7v2.results import read_results

        return read_results(data), ()
    from cds_service.reports.tables.grid import read_grid
    from cds_service.reports.tables.reading import columns_of, proposal_for, read_table
    from cds_service.reports.tables.workbook import read_workbook

    if is_workbook(data):
        grid = read_workbook(data)
    elif is_opendocument(data):
        from cds_service.reports.tables.opendocument import read_opendocument

        grid = read_opendocument(data)
    else:
        grid = read_grid(data)
    if options.proposes and options.columns is None and (proposal := proposal_for(grid)):
        return proposal, ()
    return read_table(grid, columns_of(grid, options.columns)), ()


def _read_paged(data: bytes, options: ReaderOptions) -> ReadFile:
    from cds_service.reports.pdf.pictures import draw_pages
    from cds_service.reports.pdf.reading import read_pdf, read_picture

    read = read_pdf if is_pdf(data) else read_picture
    report = read(data, Deadline(options.seconds - _TO_ANSWER))
    if not options.pictures:
        return report, ()
    placed = [
        (row.place.page, row.is_scanned)
        for about in report.patients
        for row in about.rows
        if row.place
    ]
    scans = {page for page, is_scanned in placed if is_scanned}
    return report, draw_pages(data, (page for page, _ in placed), scans)
