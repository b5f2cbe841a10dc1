# SPDX-License-Identifier: Apache-2.0
"""Whether a text is a unit as laboratories print it, and what stands in a cell of units."""

import re
from typing import Final, NamedTuple

_PER: Final = (
    r"(?:[dmµμunf]?[lL]|µl|mm[3³]|mm\^3|cmm|cumm|h|hr|min|d|24\s?h|24\s?Std|kg|mmol|mol|g|mg|"
    r"1[.,]73\s?m[2²]|HPF|LPF|field|[CG]F)"
)
_SLASHED: Final = (
    rf"(?:[xX×]?\s?10\S{{0,4}}|[^\W\d_µμ%°]?[^\W\d_]{{0,7}}\.?|[%‰])(?:\s?/\s?{_PER}){{1,2}}"
)
_COUNT: Final = rf"[xX×*]?\s?10(?:\s?[*^E]?\s?\d\d?|[⁰¹²³⁴⁵⁶⁷⁸⁹]+)\s?/\s?{_PER}"
UNIT: Final = re.compile(rf"[(\[]?(?:{_SLASHED}|{_COUNT}|/\s?{_PER}|mg\s?%|g\s?%)[)\]]?\.?")
"""A unit that can be nothing else."""

UNIT_OF_LETTERS: Final = re.compile(
    r"[(\[]?(?:%|‰|f[lL]|pg|s|se[ck]\.?|[Ss]ek\.?|seg\.?|INR|[Rr]atio|RATIO|mm|cm|[Ii]ndex|I?U|mmHg|"
    r"G/[lL]|U\.?I\.?/[lL]|mEq|score)[)\]]?\.?"
)
"""A letter or a word that is a unit behind a value only."""

_SIGN: Final = r"[*+!↑↓▲▼]{1,3}|HH|LL|H"
_BEHIND: Final = re.compile(rf"(\S.*?)\s+[(\[]?({_SIGN}|L)[)\]]?")
_ALONE: Final = re.compile(rf"[(\[]?({_SIGN})[)\]]?")
_MOST_WORDS: Final = 8  # of a unit: `x 10 ^ 3 / µl`
_UNCLEAR: Final = re.compile(r"[(\[]?L[)\]]?")  # low, or litres
_BEFORE: Final = re.compile(r"([*+!↑↓▲▼]{1,3}|HH|LL|[HL])\s+(?=\S)")


class UnitCell(NamedTuple):
    """A unit as printed, the flags beside it, and whether nothing else stands there."""

    unit: str
    flags: tuple[str, ...]
    is_clear: bool


def is_unit(text: str) -> bool:
    """Whether a text can be nothing but a unit."""
    return UNIT.fullmatch(text) is not None


def may_be_unit(text: str) -> bool:
    """Whether a text is a unit where units are expected; elsewhere `s` or `ratio` is a word."""
    return is_unit(text) or UNIT_OF_LETTERS.fullmatch(text) is not None


def is_cut(unit: str, flag: str) -> bool:
    """Whether what seems to be a flag behind a unit may be the rest of it.

    >>> is_cut("mg/d", "L"), is_cut("mg/dL", "L")
    (True, False)
    """
    return is_unit(unit) and is_unit(f"{unit}{flag}")


def is_cut_unit(text: str) -> bool:
    """Whether a text is a unit whose last letter may be a flag as well: `mg/d L`."""
    unit, blank, rest = text.rpartition(" ")
    return bool(blank) and is_cut(unit, rest)


def split_flag(text: str) -> tuple[str, str]:
    """A flag without a column of its own, which may stand before a unit or a range, and the rest.

    >>> split_flag("+ U/l")
    ('+', 'U/l')
    """
    match = _BEFORE.match(text)
    return (match[1], text[match.end() :]) if match else ("", text)


def read_unit_cell(text: str) -> UnitCell:
    """The unit of a cell; one with other words, or with a blank in it, is not clear.

    >>> read_unit_cell("g/dL H")
    UnitCell(unit='g/dL', flags=('H',), is_clear=True)
    >>> read_unit_cell("g/dL UV").is_clear, read_unit_cell("g/d L").is_clear
    (False, False)
    """
    flag, unit = split_flag(text)
    alone, behind = _ALONE.fullmatch(unit), _BEHIND.fullmatch(unit)
    other = ""
    if alone is not None:
        unit, other = "", alone[1]
    elif behind is not None and may_be_unit(behind[1]) and not is_cut_unit(unit):
        unit, other = behind[1], behind[2]
    is_clear = _UNCLEAR.fullmatch(unit) is None and not _is_mixed(unit)
    return UnitCell(unit, tuple(filter(None, (flag, other))), is_clear)


def _is_mixed(text: str) -> bool:
    """Whether a text is a unit with other words before or behind it."""
    words = text.split()
    within = range(1, min(len(words), _MOST_WORDS + 1))
    parts = (part for count in within for part in (words[:count], words[-count:]))
    return not may_be_unit(text) and any(is_unit(" ".join(part)) for part in parts)
