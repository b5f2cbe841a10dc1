# SPDX-License-Identifier: Apache-2.0
"""Dates and times as printed -> ISO 8601, no more exact than they are.

Whether 05/03/2026 is in March or in May is decided once for a report: by a date that can be read
in one way only, else by its language. In English it stays open.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, time
from typing import Final, Literal, TypeAlias

from cds_service.plain_words import plain_words

DayOrder: TypeAlias = Literal["day first", "month first"]

_MONTHS: Final[dict[str, int]] = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janner janvier janv enero ene gennaio gen janeiro",
            "feb february februar fevrier fevr febrero febbraio fevereiro fev",
            "mar march marz maerz mrz mars marzo marco",
            "apr april avril avr abril abr aprile",
            "may mai mayo maggio mag maio",
            "jun june juni juin junio giugno giu junho",
            "jul july juli juillet juil julio luglio lug julho",
            "aug august aout agosto ago",
            "sep sept september septembre septiembre settembre set setembro",
            "oct october okt oktober octobre octubre ottobre ott outubro out",
            "nov november novembre noviembre novembro",
            "dec december dez dezember decembre diciembre dic dicembre dezembro",
        ),
        start=1,
    )
    for name in names.split()
}
_ISO = r"(?P<iso>\d{4})[-/.](?P<iso_month>\d{1,2})[-/.](?P<iso_day>\d{1,2})"
_FIGURES = r"(?P<one>\d{1,2})(?P<mark>[./-])\s?(?P<two>\d{1,2})(?P=mark)\s?(?P<year>\d{4}|\d{2})"
_WORDS = (
    r"(?P<day>\d{1,2})(?:\.|st|nd|rd|th|er|º)?[\s-]+(?:de\s+)?(?P<month>[^\W\d_]{3,10})\.?"
    r"[\s,-]+(?:de\s+)?(?P<word_year>\d{4})"
)
_MONTH_FIRST = (
    r"(?P<first_month>[^\W\d_]{3,10})\.?\s+(?P<second_day>\d{1,2})(?:st|nd|rd|th)?,?\s+"
    r"(?P<last_year>\d{4})"
)
_DATE: Final = re.compile(
    rf"(?<![\w./-])(?:{_ISO}|{_FIGURES}|{_WORDS}|{_MONTH_FIRST})(?:(?=T\d\d:\d\d)|(?![\w/-]))"
)
_CLOCK = (
    r"(?:\d{1,2}(?:[:h]|\.(?=\d\d\s*uhr))\d\d(?::\d\d)?"
    r"|(?:[01]\d|2[0-3])[0-5]\d(?!\d|[-/.]\d))"  # `0930`, and not the year of a day
)
_UNTIL = r"(?:[-–—−]|to|until|bis|à|a|al|alle|y|e|et|and|und|hasta|até|ate)"
_ZONED = r"-\d\d:?\d\d(?![\d:])"  # close behind a time it may be a zone
_TIME: Final = re.compile(
    r"T?[\s,/|-]*(?:(?:um|at|a las|a|à|às|ore|alle|as|ora)\s+)?"
    r"(?P<hour>\d{1,2})(?:[:h]|\.(?=\d\d\s*uhr))(?P<minute>\d\d)(?::(?P<second>\d\d))?(?![\d/.])"
    r"\s*(?P<half>[ap]\.?m\b\.?)?(?:\s*uhr\b)?"
    rf"(?P<until>(?!\s*{_ZONED})\s{{0,3}}h?\s{{0,3}}{_UNTIL}\s{{0,3}}{_CLOCK}"
    r"\s?(?:[ap]\.?m\b\.?|uhr\b)?)?"
    r"\s*(?P<zone>Z\b|(?:UTC|GMT)(?:\s?[+-]\d{1,2}(?::?\d\d)?|\b)|[+-]\d\d(?::?\d\d)?(?![\d:]))?",
    re.IGNORECASE,
)
_ZONE: Final = re.compile(
    r"(?:UTC|GMT)?\s?(?P<sign>[+-])(?P<hours>\d\d?)(?::?(?P<minutes>\d\d))?", re.IGNORECASE
)
_FARTHEST: Final = 14 * 60  # minutes that a zone is away
_PARTS_OF_HOUR: Final = frozenset((0, 30, 45))  # by which zones are away, beside whole hours
_FROM_TO: Final = re.compile(rf"\s{{0,3}}{_UNTIL}\s{{0,3}}", re.IGNORECASE)
_TWO_DIGITS: Final = 2000
_ENGLISH: Final = frozenset(
    ("results", "result", "reference", "range", "units", "collected", "birth", "the", "sex")
)
# Words of the other languages, all of which write the day first.
_DAY_FIRST: Final = frozenset(
    ("ergebnis", "referenzbereich", "einheit", "geburtsdatum", "geb", "entnahme", "befund", "und")
    + ("geschlecht", "untersuchung", "resultat", "resultats", "naissance", "prelevement", "valeurs")
    + ("unites", "edition", "analyses", "sexe", "resultado", "referencia", "nacimiento", "prueba")
    + ("extraccion", "unidades", "paciente", "sexo", "risultato", "riferimento", "nascita")
    + ("prelievo", "unita", "esame", "sesso", "coleta", "colheita", "nascimento", "exame")
)


@dataclass(frozen=True, slots=True)
class PrintedDate:
    """A date or time as it was read, and the place in the text after it."""

    iso: str
    start: int
    end: int


def day_order(text: str) -> DayOrder | None:
    """Whether the day stands first in dates of figures with slashes or dashes."""
    found: set[DayOrder] = set()
    for match in _DATE.finditer(text):
        if match["one"] is None or match["mark"] == ".":
            continue
        if int(match["one"]) > 12:
            found.add("day first")
        if int(match["two"]) > 12:
            found.add("month first")
    if found:
        return found.pop() if len(found) == 1 else None
    words = plain_words(text)
    of_others = sum(word in _DAY_FIRST for word in words)
    return "day first" if of_others > sum(word in _ENGLISH for word in words) else None


def dates_in(text: str, order: DayOrder | None) -> Iterable[PrintedDate]:
    """The dates of a text that can be read, each with the time that follows it."""
    for match in _DATE.finditer(text):
        day = _day(match, order)
        if day is not None:
            at = _TIME.match(text, match.end())
            written = _time(at) if at else ""
            end = at.end() if at and written else match.end()
            yield PrintedDate(f"{day.isoformat()}{written}", match.start(), end)


def is_span(text: str) -> bool:
    """Whether a text says from which day to which.

    >>> is_span("05.03.2026 - 06.03.2026"), is_span("05.03.2026 08:30")
    (True, False)
    """
    ends = [0]
    for match in _DATE.finditer(text):
        if _FROM_TO.fullmatch(text[ends[-1] : match.start()]):
            return True
        at = _TIME.match(text, match.end())
        ends.append(at.end() if at else match.end())
    return False


def birth_date_in(text: str, order: DayOrder | None) -> str | None:
    """The only date of a text, if it begins with it and its year says the century."""
    days = list(dates_in(text, order))
    has_century = any(len(word) == 4 and word.isdigit() for word in plain_words(text))
    if not days or days[0].start != 0 or not has_century or len({day.iso for day in days}) > 1:
        return None
    return days[0].iso.partition("T")[0]


def has_date(text: str) -> bool:
    """Whether there is a date in the text, whether or not it can be read."""
    return _DATE.search(text) is not None


def without_dates(text: str) -> str:
    """The text without its dates and the times behind them.

    >>> without_dates("Results of 01 Jan 2025 08:30")
    'Results of '
    """
    kept, at = [], 0
    for match in _DATE.finditer(text):
        kept.append(text[at : match.start()])
        time_behind = _TIME.match(text, match.end())
        at = time_behind.end() if time_behind else match.end()
    return "".join((*kept, text[at:]))


def begins_with_date(text: str) -> bool:
    """Whether a text begins with a date, behind a colon at most."""
    return _DATE.match(text.lstrip(" :")) is not None


def is_date(text: str) -> bool:
    """Whether the text is a date, with or without a time, and nothing else."""
    match = _DATE.match(text.strip())
    if match is None:
        return False
    at = _TIME.match(text.strip(), match.end())
    return not text.strip()[at.end() if at else match.end() :].strip(" .,;:)(")


def begins_date(text: str) -> bool:
    """Whether the text is a day and a month, whose year may stand on the next line.

    >>> begins_date("19 Aug")
    True
    """
    return is_date(f"{text.strip()} 2026") or is_date(f"{text.strip()}2026")


def is_time(text: str) -> bool:
    """Whether the text is a time of day and nothing else.

    >>> is_time("08:30 Uhr")
    True
    """
    match = _TIME.match(text.strip())
    rest = text.strip()[match.end() :] if match else text
    return match is not None and rest.strip(" .").casefold() in {"", "h"}


def _day(match: re.Match[str], order: DayOrder | None) -> date | None:
    if match["iso"]:
        return _date(match["iso"], match["iso_month"], match["iso_day"])
    if match["month"]:
        return _date(match["word_year"], _month(match["month"]), match["day"])
    if match["first_month"]:
        return _date(match["last_year"], _month(match["first_month"]), match["second_day"])
    year, one, two = int(match["year"]), int(match["one"]), int(match["two"])
    year += _TWO_DIGITS if len(match["year"]) == 2 else 0
    if match["mark"] == "." or one == two:
        return _date(year, two, one)
    if order is None:
        return None
    return _date(year, two, one) if order == "day first" else _date(year, one, two)


def _month(name: str) -> int:
    return _MONTHS.get("".join(plain_words(name)), 0)


def _date(year: str | int, month: str | int, day: str | int) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _time(match: re.Match[str]) -> str:
    hour, half = int(match["hour"]), (match["half"] or "").lower()
    if half:
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    try:
        printed = time(hour, int(match["minute"]), int(match["second"] or 0))
    except ValueError:
        return ""
    zone = _zone(match, printed)
    if zone is None:
        return ""
    second = f":{match['second']}" if match["second"] else ""
    return f"T{hour:02}:{match['minute']}{second}{zone}"


def _zone(match: re.Match[str], printed: time) -> str | None:
    """The zone of a time, empty if it has none; `None` if what stands behind it may be none.

    `08:30-09:30` and `08:30-0930` may be from when to when, unless seconds or a `T` show that it is
    one time; `08:30-0500` is not.
    """
    sent = match["zone"] or ""
    if match["until"]:
        return None
    if sent.upper() in {"", "Z", "UTC", "GMT"}:
        return "Z" if sent else ""
    offset = _ZONE.fullmatch(sent)
    if offset is None:
        return None
    hours, minutes = int(offset["hours"]), int(offset["minutes"] or 0)
    if minutes not in _PARTS_OF_HOUR or hours * 60 + minutes > _FARTHEST:
        return None
    is_sure = sent[0].isalpha() or match["second"] or match[0][0] in "Tt"
    is_earlier = len(sent) == len("-0500") and time(hours, minutes) <= printed
    if offset["sign"] == "-" and not (is_sure or is_earlier):
        return None
    return f"{offset['sign']}{hours:02}:{minutes:02}"
