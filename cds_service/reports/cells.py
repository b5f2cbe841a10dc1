# SPDX-License-Identifier: Apache-2.0
"""The text of a cell -> a value with what stands around it, or a range."""

import re
from typing import Final, NamedTuple

from cds_service.printed_ranges import LONGEST, in_signs
from cds_service.reports.dates import is_date
from cds_service.reports.numbers import (
    DecimalMark,
    OpenMark,
    PrintedRange,
    PrintedValue,
    read_range,
    read_value,
)
from cds_service.reports.report import Doubt
from cds_service.reports.units import is_cut

_SIGNS: Final = r"[*+!↑↓▲▼⬆⬇]{1,3}"
_LETTERS: Final = r"(?:HH|LL|H|L|N|A|B)"
_FLAG: Final = re.compile(
    rf"\s*(?:[(\[]({_LETTERS}|{_SIGNS}|-{{1,3}})[)\]]|({_LETTERS}|{_SIGNS}|-{{1,3}}))(?!\w)\s*"
)
_FLAG_WORD: Final = re.compile(
    r"\s*[(\[]?((?:above|below|over|under) (?:high |low )?(?:range|limit|normal)|out of range|"
    r"in range|high|low|hoch|niedrig|erhöht|erniedrigt|élevée?|elevée?|bas|haut|alto|bajo|alta|"
    r"baja|basso|elevato|elevado|baixo|normal|abnormal|critical|über norm|unter norm|"
    r"fuera de rango|fuori range|hors normes?|augmenté|diminué|aumentado|disminuido|"
    r"diminuído|aumentato|diminuito)[)\]]?(?!\w)\s*",
    re.IGNORECASE,
)
_LEADING: Final = re.compile(rf"(?:({_SIGNS})\s*|({_LETTERS})\s+)(?=[\d<>≤≥=])")
_UNIT_BEHIND: Final = re.compile(
    r"\d[)\]]?\s+([x×]?\s?10\S{1,3}/[^\W\d]\S*|[^\W\d][^\s<>]*/[^\W\d][^\s<>()]*)\s*[)\]]?$"
)
_UNIT_IN_NAME: Final = re.compile(
    r"\s*[(\[]((?:[^\W\d_]{0,7}\.?|[xX×]?\s?10\S{1,3}|%)/(?:[dmµμunf]?[lL]|mm3|h|kg|g)|%)[)\]]"
)
_FOOTNOTE: Final = re.compile(r"\s*[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2}$|\s+\(?\d\)$|\s*[†‡§#]{1,2}$")
# A grade (`2+`), a power of ten alone, or less than a negative number.
_NO_AMOUNT: Final = re.compile(r"(?:[1-4]\+|\+[1-4])\+*$|10[⁰¹²³⁴⁵⁶⁷⁸⁹]|[<>≤≥=]+\s*[-–−]")
_UNIT: Final = re.compile(
    r"\s*([A-Za-zµμ%°][^\s,;]*/[^\s,;()]+|%|\d\d?\^\d+/\S+|[xX]?10\S*/[^\W\d]\S*)\s*"
)
_RANGE_UNIT: Final = re.compile(
    r"\s*(?:[^\W\d]*[/%^*µμ][^\s<>≤≥:;–-]*|INR|f[lL]|pg|s|"
    r"[xX×]?\s?10[*^E]?[\d⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2}/[^\s\d]+)?\s*"
)


class CellValue(NamedTuple):
    """The value in a cell, why it has none, and the unit and the flag that stood there too."""

    value: PrintedValue | None = None
    doubt: Doubt | None = None
    unit: str = ""
    flag: str = ""


def read_cell(text: str, mark: DecimalMark | None) -> CellValue:
    """The value of a cell, which must be all that stands there but for flag, unit and footnote.

    >>> read_cell("<5L", None).flag
    'L'
    >>> read_cell("12,5 *", ",").value.number
    '12.5'
    >>> read_cell("41 45", None).doubt
    'not-one-number'
    """
    if len(text) > LONGEST:
        return CellValue(doubt="not-a-number")
    plain = _FOOTNOTE.sub("", text.strip())
    if not plain or not plain.strip("-–—./ "):
        return CellValue(doubt="no-value")
    if is_date(plain) or _NO_AMOUNT.match(text.strip()):
        return CellValue(doubt="not-one-number")
    flags: list[str] = []
    leading = _LEADING.match(plain)
    if leading:
        flags.append(leading[1] or leading[2])
        plain = plain[leading.end() :]
    if plain[0] in "-–−" or (plain[0] == "+" and not leading):
        return CellValue(doubt="not-one-number")  # a sign of the number, or that it is low
    try:
        value = read_value(plain, mark)
    except OpenMark:
        return CellValue(doubt="comma-or-separator")
    if value is None:
        return CellValue(doubt="not-a-number")
    rest, unit = _FOOTNOTE.sub("", value.rest), ""
    while rest:
        flag = _FLAG.match(rest) or _FLAG_WORD.match(rest)
        found = None if flag or unit else _UNIT.match(rest)
        if flag and unit and is_cut(unit, flag[0].strip()):
            return CellValue(doubt="unit-unclear")
        if flag:
            flags.extend(filter(None, flag.groups()))
        elif found:
            unit = found[1]
        else:
            several = rest[0] in ":/-–~x^" or rest[0].isdigit()
            return CellValue(doubt="not-one-number" if several else "not-a-number")
        rest = rest[(flag or found).end() :]  # type: ignore[union-attr]
    only = PrintedValue(number=value.number, comparator=value.comparator)
    return CellValue(only, None, unit, " ".join(flags))


def beside_unit(cell: CellValue, unit: str) -> CellValue:
    """The value where its unit stands in a place of its own too; two that differ are a doubt."""
    if cell.value is None or not unit or cell.unit in {"", unit}:
        return cell
    return CellValue(doubt="units-differ")


def is_flag_word(text: str) -> bool:
    """Whether the text is a word, or several, that say that a value is in or out of its range."""
    return _FLAG_WORD.fullmatch(text) is not None


def split_unit(name: str) -> tuple[str, str]:
    """A name without the unit in brackets behind it, and the unit.

    >>> split_unit("ALT (GPT) [U/L]")
    ('ALT (GPT)', 'U/L')
    """
    match = _UNIT_IN_NAME.search(name)
    if match is None:
        return name, ""
    return f"{name[: match.start()]}{name[match.end() :]}".strip(" ,"), match[1]


def unit_behind(range_text: str) -> str:
    """The unit behind the numbers of a range.

    >>> unit_behind("7 - 40 U/L")
    'U/L'
    """
    match = _UNIT_BEHIND.search(range_text)
    return match[1] if match else ""


def read_printed_range(text: str, mark: DecimalMark | None) -> PrintedRange | None:
    """The range of a cell, with words for signs; `None` if it is for some people only.

    >>> read_printed_range("bis 40", None)
    PrintedRange(low=None, high='40', low_is_exclusive=False, high_is_exclusive=False)
    >>> read_printed_range("de 7 à 40 U/L", None)
    PrintedRange(low='7', high='40', low_is_exclusive=False, high_is_exclusive=False)
    >>> read_printed_range("<40 w", None) is None
    True
    """
    plain, rest = in_signs(text)
    if not _RANGE_UNIT.fullmatch(rest):
        return None
    found = read_range(plain, mark)
    if found is None or found.low is None or found.high is None:
        return found
    return found if float(found.low) <= float(found.high) else None
