# SPDX-License-Identifier: Apache-2.0
"""Reads the PDF at standard input, within bounds, and answers on standard output."""

import logging
import sys

from cds_service.reports.bounded import PICTURES, PagePicture, answer_of, bind
from cds_service.reports.pdf.pictures import draw_pages
from cds_service.reports.pdf.reading import read_pdf
from cds_service.reports.report import LabReport


def _read(data: bytes) -> tuple[LabReport, tuple[PagePicture, ...]]:
    report = read_pdf(data)
    if PICTURES not in sys.argv:
        return report, ()
    rows = (row for about in report.patients for row in about.rows)
    return report, draw_pages(data, (row.place.page for row in rows if row.place))


if __name__ == "__main__":
    bind()
    logging.disable()  # the answer says what is wrong with a file
    sys.stdout.buffer.write(answer_of(_read, sys.stdin.buffer.read()))
