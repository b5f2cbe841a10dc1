# SPDX-License-Identifier: Apache-2.0
"""What stands in the column of units of a row -> the unit, and a flag that stands there too."""

import re
from typing import Final, NamedTuple

from cds_service.reports.cells import split_flag
from cds_service.reports.pdf.contents import is_unit, kind_of

_SIGN: Final = r"[*+!↑↓▲▼]{1,3}|HH|LL|H"
_BEHIND: Final = re.compile(rf"(\S.*?)\s+[(\[]?({_SIGN}|L)[)\]]?")
_ALONE: Final = re.compile(rf"[(\[]?({_SIGN})[)\]]?")
_UNCLEAR: Final = re.compile(r"[(\[]?L[)\]]?")  # low, or litres


class UnitCell(NamedTuple):
    """A unit as printed, the flags beside it, and whether nothing else stands there."""

    unit: str
    flags: tuple[str, ...]
    is_clear: bool


def read_unit_cell(text: str) -> UnitCell:
    """The unit of a cell; one with other words is not clear.

    >>> read_unit_cell("g/dL H")
    UnitCell(unit='g/dL', flags=('H',), is_clear=True)
    >>> read_unit_cell("g/dL UV").is_clear
    False
    """
    flag, unit = split_flag(text)
    alone, behind = _ALONE.fullmatch(unit), _BEHIND.fullmatch(unit)
    other = ""
    if alone is not None:
        unit, other = "", alone[1]
    elif behind is not None and kind_of(behind[1]) == "unit":
        unit, other = behind[1], behind[2]
    is_clear = _UNCLEAR.fullmatch(unit) is None and not _is_mixed(unit)
    return UnitCell(unit, tuple(filter(None, (flag, other))), is_clear)


def _is_mixed(text: str) -> bool:
    """Whether a text is a unit with other words before or behind it."""
    words = text.split()
    parts = (part for n in range(1, len(words)) for part in (words[:n], words[n:]))
    return kind_of(text) != "unit" and any(is_unit(" ".join(part)) for part in parts)
