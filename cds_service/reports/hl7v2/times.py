# SPDX-License-Identifier: Apache-2.0
"""Times of HL7 v2 (data types TS, DTM, DT) -> ISO 8601, no more exact than they are."""

import re
from datetime import date, time

_TIME = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.\d+)?)?)?)?)?)?([+-](?:(?:0\d|1[0-3])[0-5]\d|1400))?"
)


def iso_time(text: str, zone: str = "") -> str | None:
    """The date or time, `None` if it is none; a time without a zone has that of its message.

    >>> iso_time("202603050930")
    '2026-03-05T09:30'
    >>> iso_time("20260305093000", "+0100")
    '2026-03-05T09:30:00+01:00'
    >>> iso_time("202603")
    '2026-03'

    A zone is at most 14 hours away, else the time is none. So is one in the first or the last year
    that there is: in another zone it is in no year.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None or match[1] in {"0000", "0001", "9999"}:
        return None
    year, month, day, hour, minute, second, own_zone = match.groups()
    try:
        date(int(year), int(month or 1), int(day or 1))
        time(int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:
        return None
    written = "-".join(filter(None, (year, month, day)))
    if minute is None:  # FHIR has no hours without minutes
        return written
    offset = own_zone or zone
    shown = f"{offset[:3]}:{offset[3:]}" if offset else ""
    return f"{written}T{':'.join(filter(None, (hour, minute, second)))}{shown}"


def zone_of(text: str) -> str:
    """The offset at the end of the time of a message (MSH-7), which holds for all others in it."""
    match = _TIME.fullmatch(text.strip())
    return match[7] or "" if match else ""
