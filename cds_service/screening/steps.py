# SPDX-License-Identifier: Apache-2.0
"""The moments at which a population is asked about, one after the other."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

MOST_STEPS: Final = 4000  # more than ten years of days
_STEP = re.compile(r"([0-9]{1,4})([dh])")


def step_of(text: str) -> timedelta:
    """The time from one moment to the next; raises `ValueError` for anything but days or hours.

    >>> step_of("7d"), step_of("12h")
    (datetime.timedelta(days=7), datetime.timedelta(seconds=43200))
    """
    match = _STEP.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise ValueError
    return timedelta(days=int(match[1])) if match[2] == "d" else timedelta(hours=int(match[1]))


def moments_between(
    first: datetime, last: datetime, step: timedelta, zone: tzinfo
) -> tuple[datetime, ...]:
    """Every moment from the first, none after the last; raises `ValueError` for too many.

    Steps of days keep to the clock of `zone`: a day may have 23 or 25 hours. Hours are hours.
    """
    if (last - first) / step >= MOST_STEPS:
        raise ValueError
    by_clock = step % timedelta(days=1) == timedelta()
    end, moments = last.astimezone(UTC), list[datetime]()
    while (moment := _after(first, step * len(moments), zone, by_clock=by_clock)) <= end:
        moments.append(moment)
    return tuple(moments)


def _after(first: datetime, time: timedelta, zone: tzinfo, *, by_clock: bool) -> datetime:
    if by_clock:
        here = first.astimezone(zone)
        return (here + time).replace(fold=here.fold)
    return (first.astimezone(UTC) + time).astimezone(zone)
