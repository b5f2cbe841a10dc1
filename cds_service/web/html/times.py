# SPDX-License-Identifier: Apache-2.0
"""Times on pages."""

from datetime import UTC, datetime, timedelta
from typing import Final

from cds_service.counting import counted

_UNITS: Final = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_MORE: Final = 2  # of the next smaller unit


def utc(at: datetime) -> str:
    """The time in UTC, to the minute.

    >>> utc(datetime(2026, 6, 15, 9, 5, tzinfo=UTC))
    '2026-06-15 09:05 UTC'
    """
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def span(time: timedelta) -> str:
    """How long that is, in the largest unit of which there are two or more.

    >>> span(timedelta(seconds=100)), span(timedelta(hours=30)), span(timedelta(days=-1))
    ('100 seconds', '30 hours', '0 seconds')
    """
    seconds = max(int(time.total_seconds()), 0)
    name, length = next(
        ((name, length) for name, length in _UNITS if seconds >= _MORE * length), _UNITS[-1]
    )
    return counted(seconds // length, name)
