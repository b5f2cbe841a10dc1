# SPDX-License-Identifier: Apache-2.0
"""Spans of time, made once each: packs name a few of them and frames ask for them often."""

from datetime import timedelta
from functools import cache


@cache
def span_of_days(days: int) -> timedelta:
    """So many days."""
    return timedelta(days=days)


@cache
def span_of_hours(hours: int) -> timedelta:
    """So many hours."""
    return timedelta(hours=hours)


@cache
def span_of_minutes(minutes: int) -> timedelta:
    """So many minutes."""
    return timedelta(minutes=minutes)
