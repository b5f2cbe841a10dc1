# SPDX-License-Identifier: Apache-2.0
"""A row that was read from a picture -> a row with a proposal, for a person to compare.

The error to be proof against is a point that was lost: 1.5 becomes 15, and nothing in the digits
shows it. So the value has to agree with what stands beside it, its range and its flag. Where
anything disagrees, or is not sure, nothing is proposed, and the person enters what they see.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from cds_service.copying import replace
from cds_service.reports.numbers import PrintedRange, PrintedValue
from cds_service.reports.pdf.printed_rows import PrintedRow
from cds_service.reports.report import ReportRow

_RANGE: Final = re.compile(r"\(?\d[\d.,]*\s*[-–—]\s*\d")
_PADDED: Final = re.compile(r"0\d")
# 10^9/L without its sign, µ, which is read as `p`, and a speck at the end.
_MISREAD_UNIT: Final = re.compile(
    r"[xX]?10(?![\^*⁰¹²³⁴⁵⁶⁷⁸⁹])\S*/|\d+/|p(?:kat|mol|g|l)\b|.*[^\w%°]$"
)
_HIGH: Final = re.compile(r"(?:HH?|\+{1,3}|[↑▲⬆]+)$")
_LOW: Final = re.compile(r"(?:LL?|-{1,3}|[↓▼⬇]+)$")


def scanned(row: ReportRow, *, is_sure: bool) -> ReportRow:
    """The row without a value that counts; with a proposal, if all of it is sure and agrees.

    A row that was read, but whose value is in doubt for another reason, keeps that reason.
    """
    if row.value is None:
        return replace(row, is_scanned=True, doubt=row.doubt if is_sure else "scan-unclear")
    if is_sure and _agrees(row, row.value):
        return replace(row, is_scanned=True, doubt="scanned", value=None, proposed=row.value)
    return replace(row, is_scanned=True, doubt="scan-unclear", value=None, range=None)


def doubt_shifted(rows: Sequence[PrintedRow]) -> None:
    """Make all scanned rows unsure if one has a range for a result: columns were confused then."""
    scans = [row for row in rows if row.is_scanned]
    if any(_RANGE.match(text) for row in scans for text in row.values):
        for row in scans:
            row.is_sure = False


def _agrees(row: ReportRow, value: PrintedValue) -> bool:
    if _MISREAD_UNIT.match(row.unit) or _PADDED.match(value.number):
        return False
    limits = row.range
    if limits is None:
        return not row.range_text and not row.flag
    ends = [end for end in (limits.low, limits.high) if end is not None]
    if any(_PADDED.match(end) or _decimals(end) != _decimals(value.number) for end in ends):
        return False
    return _fits_flag(row.flag, Decimal(value.number), limits)


def _decimals(number: str) -> bool:
    return "." in number


def _fits_flag(flag: str, number: Decimal, limits: PrintedRange) -> bool:
    """Whether a flag says of the number what the range says; a word is not understood."""
    is_high = limits.high is not None and number >= Decimal(limits.high)
    is_low = limits.low is not None and number <= Decimal(limits.low)
    for flag_word in flag.split():
        if _HIGH.match(flag_word):
            fits = is_high
        elif _LOW.match(flag_word):
            fits = is_low
        else:
            fits = is_high or is_low
        if not fits:
            return False
    return True
