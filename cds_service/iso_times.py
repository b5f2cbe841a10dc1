# SPDX-License-Identifier: Apache-2.0
"""Times in the words of ISO 8601, read alike on every Python."""

import re
from datetime import datetime

_HOUR_24 = re.compile(r"\d{4}-?(?:\d\d-?\d\d|W\d\d(?:-?\d)?).24", re.DOTALL)


def moment_of(text: str) -> datetime:
    """The moment as `datetime.fromisoformat` reads it; raises `ValueError` for anything else.

    The hour 24 is refused, which Python reads from 3.14 on, as the day after: FHIR ("The time 24:00
    SHALL NOT be used") and RFC 3339 have none, and engines that screen populations read none.

    >>> moment_of("2026-03-05T09:30:00+01:00").isoformat()
    '2026-03-05T09:30:00+01:00'
    """
    if "24" in text and _HOUR_24.match(text):
        raise ValueError("the hour 24")
    return datetime.fromisoformat(text)
