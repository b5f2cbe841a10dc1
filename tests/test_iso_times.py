# SPDX-License-Identifier: Apache-2.0
"""A time means the same on every Python."""

from datetime import UTC, datetime

import pytest

from cds_service.iso_times import moment_of


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-19T24:00:00Z",
        "2026-11-19T24:00",
        "2026-11-19 24:00:00.000+01:00",
        "2026-11-19\n24:00",
        "20261119T240000Z",
        "20261119T24",
        "2026-W47-4T24:00:00Z",
        "2026W474T24",
        "2026-12-31T24:00:00Z",
    ],
)
def test_the_hour_24_is_none(text: str) -> None:
    # Python 3.14 reads it as the day after; FHIR and RFC 3339 have no such hour.
    with pytest.raises(ValueError, match="24"):
        moment_of(text)


@pytest.mark.parametrize("text", ["", "2026", "24:00", "2026-11-19T25:00", "2026-11-19T23:59:60Z"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        moment_of(text)


def test_other_hours_and_dates_with_24_are_read() -> None:
    assert moment_of("2026-11-24T00:24:24Z") == datetime(2026, 11, 24, 0, 24, 24, tzinfo=UTC)
    assert moment_of("20261124T002424Z") == datetime(2026, 11, 24, 0, 24, 24, tzinfo=UTC)
    assert moment_of("2024-12-24") == datetime(2024, 12, 24)  # noqa: DTZ001
    assert moment_of("2026-11-19T23:59:59Z").hour == 23
