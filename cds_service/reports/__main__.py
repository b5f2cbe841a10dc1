# SPDX-License-Identifier: Apache-2.0
"""Reads the file at standard input, within bounds, and answers on standard output."""

import logging
import sys

from cds_service.reports.bounded import answer_of, bind
from cds_service.reports.formats import read_any

if __name__ == "__main__":
    bind()
    logging.disable()  # the answer says what is wrong with a file
    sys.stdout.buffer.write(answer_of(read_any, sys.stdin.buffer.read()))
