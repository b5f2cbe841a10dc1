# SPDX-License-Identifier: Apache-2.0
r"""Whether a person sees the cells of a sheet as they are stored; by the XML of a workbook.

Number formats that are known to print a number as it is are let through, and no others: a format
can hold any sign, such as `<0`, which shows 41 as <41, or `0\.0`, which shows it as 4.1.
"""

import re
from collections.abc import Iterator
from html import unescape
from typing import Final

from cds_service.errors import RequestError

HIDDEN: Final = "Expected a sheet without hidden rows and columns: show them, or delete them."
FORMATS: Final = (
    "Expected numbers shown as they are stored: a format shows one with % or another sign."
)
MARKED: Final = "Expected cells without signs that are raised, lowered or struck out."

_NOT_SHOWN: Final = re.compile(
    rb"""<(?:\w+:)?(?:row|col|sheetFormatPr)\b[^>]*\b"""
    rb"""(?:(?:hidden|zeroHeight)\s*=\s*["'](?:1|true)|(?:ht|width)\s*=\s*["']0(?:\.0*)?["'])"""
)
_CELL_STYLES: Final = re.compile(rb"""<(?:\w+:)?c\b[^>]*?\bs\s*=\s*["']0*(\d{1,8})""")
_NUMBER_FORMAT: Final = re.compile(rb"<(?:\w+:)?numFmt\b[^>]*>")
_CODE: Final = re.compile(rb"""\bformatCode\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_FORMAT_ID: Final = re.compile(rb"""\bnumFmtId\s*=\s*["']0*(\d{1,8})""")
_FONT_ID: Final = re.compile(rb"""\bfontId\s*=\s*["']0*(\d{1,8})""")
_CELL_FORMAT: Final = re.compile(rb"<(?:\w+:)?xf\b[^>]*>")
_FONT: Final = re.compile(
    rb"<(?:\w+:)?font(?:\s[^>]*)?/>|<(?:\w+:)?font[\s>].*?</(?:\w+:)?font>", re.DOTALL
)
_STRUCK: Final = re.compile(rb"""<(?:\w+:)?strike\s*(?:/>|>|val\s*=\s*["'](?:1|true))""")
_RAISED: Final = re.compile(rb"""<(?:\w+:)?vertAlign\b[^>]*["'](?:super|sub)script""")
_RICH: Final = re.compile(rb"<(?:\w+:)?(si|is)>(.*?)</(?:\w+:)?\1>", re.DOTALL)
_TEXT: Final = re.compile(rb"<(?:\w+:)?t(?:\s[^>]*)?>([^<]*)<")
# A text that may be a value or a range; 10⁹/L is a unit.
_NUMBER: Final = re.compile(rb"(?!\s*[xX]?\s*10\D?\d{1,2}\s*/)[^\w]*(?:&\w+;\W*)*\d")

_PERCENT: Final = frozenset((b"9", b"10"))  # the built-in formats 0% and 0.00%
_QUOTED: Final = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*[^\]hms][^\]]*\]')
_DATE_PARTS: Final = re.compile(r"[ymdhs]", re.IGNORECASE)
_FRACTION: Final = re.compile(r"(?<=[sS\]])\.0+")
# What shows nothing but a space, or chooses a color or a locale.
_PLAIN: Final = re.compile(
    r'_.|\* |""|\[(?:black|blue|cyan|green|magenta|red|white|yellow|color ?\d+|\$-[0-9a-f,]+)\]',
    re.IGNORECASE,
)
_CONDITION: Final = re.compile(r"\[[<>=]{1,2}-?[\d.]+\]")
_ESCAPED: Final = re.compile(r"\\([ ()-])")
_DIGITS: Final = r"(?:General|GENERAL|@|(?:# ##0|[#0?,]*[#0?])(?:\.[#0?]*)?(?:E[+-]?[#0?]+)?)"
_POSITIVE: Final = re.compile(rf" *{_DIGITS} *")
_NEGATIVE: Final = re.compile(rf" *(?:- *{_DIGITS}|\( *{_DIGITS} *\)|{_DIGITS}) *")


def check_looks(sheet: bytes, styles: bytes, texts: bytes) -> None:
    """Raise `RequestError` if a person sees other cells, numbers or texts than are stored.

    The XML of a sheet, of the styles and of the texts that all sheets share is given.
    """
    if _NOT_SHOWN.search(sheet):
        raise RequestError(HIDDEN)
    if any(map(_is_marked, (sheet, texts))):
        raise RequestError(MARKED)
    used = {0, *map(int, _CELL_STYLES.findall(sheet))}  # 0 is that of cells that name none
    otherwise = _PERCENT | {
        found[1]
        for tag in _NUMBER_FORMAT.findall(styles)
        if (found := _FORMAT_ID.search(tag)) and not _is_plain(_code(tag))
    }
    fonts = [bool(_STRUCK.search(font)) for font in _FONT.findall(_part(styles, b"fonts"))]
    for place, tag in enumerate(_CELL_FORMAT.findall(_part(styles, b"cellXfs"))):
        number, font = _FORMAT_ID.search(tag), _FONT_ID.search(tag)
        if place not in used:
            continue
        if number and number[1] in otherwise:
            raise RequestError(FORMATS)
        if font and any(fonts[int(font[1]) : int(font[1]) + 1]):
            raise RequestError(MARKED)
    _check_conditional(sheet, _part(styles, b"dxfs"))


def _check_conditional(sheet: bytes, looks: bytes) -> None:
    """Raise `RequestError` if a condition may change how a number is shown."""
    if b"conditionalFormatting" not in sheet:
        return
    if not all(_is_plain(_code(tag)) for tag in _NUMBER_FORMAT.findall(looks)):
        raise RequestError(FORMATS)
    if _STRUCK.search(looks):
        raise RequestError(MARKED)


def _part(styles: bytes, name: bytes) -> bytes:
    found = re.search(
        rb"<(?:\w+:)?" + name + rb"\b[^>]*>.*?</(?:\w+:)?" + name + rb">", styles, re.DOTALL
    )
    return found[0] if found else b""


def _code(tag: bytes) -> str:
    found = _CODE.search(tag)
    return unescape((found[1] or found[2] or b"").decode("utf-8", "replace")) if found else ""


def _is_plain(code: str) -> bool:
    r"""Whether a format shows a number as it is, or makes a date of it, which is no number here.

    >>> _is_plain("#,##0.00_ ;[Red]\\-#,##0.00\\ "), _is_plain("[<5]0.0;0"), _is_plain("yyyy")
    (True, True, True)
    >>> _is_plain("<0"), _is_plain("0\\.0"), _is_plain("0.0,"), _is_plain(";;;")
    (False, False, False, False)
    """
    bare = _FRACTION.sub("", _QUOTED.sub("", code))
    if _DATE_PARTS.search(bare) and not re.search(r"[#0?]", bare):
        return True
    sections = _ESCAPED.sub(r"\1", _PLAIN.sub("", code)).split(";")
    has_conditions = _CONDITION.search(code) is not None
    for place, section in enumerate(sections):
        looks = _NEGATIVE if place == 1 and not has_conditions else _POSITIVE
        if not looks.fullmatch(_CONDITION.sub("", section)):
            return False
    return True


def _is_marked(xml: bytes) -> bool:
    """Whether a text holds what is struck out, or a number a sign that is raised or lowered.

    A footnote behind a number is otherwise one more digit of it.
    """
    return any(
        _STRUCK.search(inside) or (_RAISED.search(inside) and _NUMBER.match(_joined(inside)))
        for inside in _rich_texts(xml)
    )


def _rich_texts(xml: bytes) -> Iterator[bytes]:
    if b"vertAlign" in xml or b"strike" in xml:
        yield from (found[2] for found in _RICH.finditer(xml))


def _joined(inside: bytes) -> bytes:
    return b"".join(_TEXT.findall(inside))
