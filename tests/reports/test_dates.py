# SPDX-License-Identifier: Apache-2.0
"""Printed dates: a time and its zone count if they can be nothing else."""

import pytest

from cds_service.reports.dates import dates_in, is_date, is_span, is_time, without_dates


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-03-05T08:30-05:00", "2026-03-05T08:30-05:00"),
        ("2026-03-05 08:30 +01:00", "2026-03-05T08:30+01:00"),
        ("2026-03-05T08:30+14:00", "2026-03-05T08:30+14:00"),
        ("2026-03-05 08:30 UTC", "2026-03-05T08:30Z"),
        ("2026-03-05T08:30+14:30", "2026-03-05"),  # no zone that there is
        ("05.03.2026 08:30 +99:00", "2026-03-05"),
        ("2026-03-05 08:30-09:30", "2026-03-05"),  # from when to when
        ("2026-03-05 08:30 - 09:30", "2026-03-05"),
        ("2026-03-05 8:30-9:30", "2026-03-05"),
        ("05.03.2026 08:30 – 09:30 Uhr", "2026-03-05"),
        ("05.03.2026, 08:30 Uhr bis 09:30 Uhr", "2026-03-05"),
        ("5 mars 2026 à 8h30 à 9h30", "2026-03-05"),
        ("5 de marzo de 2026 08:30 a 09:30", "2026-03-05"),
        ("5 Mar 2026 8:30 am to 9:30 am", "2026-03-05"),
        ("2026-03-05 08:30 -0500", "2026-03-05"),  # the same, perhaps
        ("2026-03-05T08:30-0500", "2026-03-05T08:30-05:00"),
        ("2026-03-05 08:30:00 -0500", "2026-03-05T08:30:00-05:00"),
        ("2026-03-05 08:30:00-05:00", "2026-03-05T08:30:00-05:00"),
        ("2026-03-05 08:30:00-09:30:00", "2026-03-05"),
        ("2026-03-05 08:30 +0100", "2026-03-05T08:30+01:00"),
        ("2026-03-05T08:30+01", "2026-03-05T08:30+01:00"),
        ("2026-03-05 08:30 UTC+1", "2026-03-05T08:30+01:00"),
        ("2026-03-05 08:30 GMT-05:30", "2026-03-05T08:30-05:30"),
        ("2026-03-05 08:30 GMT", "2026-03-05T08:30Z"),
        ("2026-03-05 08:30 UTC+15", "2026-03-05"),
        ("2026-03-05 08:30 am", "2026-03-05T08:30"),
        ("2026-03-05 08:30 1", "2026-03-05T08:30"),
        ("2026-03-05 08:30 - Dr. Maier", "2026-03-05T08:30"),
    ],
)
def test_a_zone_that_may_be_none_leaves_the_time_open(text: str, read: str) -> None:
    assert [date.iso for date in dates_in(text, None)] == [read]


def test_a_day_with_a_span_of_times_is_still_a_date() -> None:
    assert is_date("05.03.2026 08:30 - 09:30")
    assert is_time("08:30 Uhr")
    assert without_dates("Kontrolle am 05.03.2026 08:30 bis 09:30 Uhr") == "Kontrolle am "


@pytest.mark.parametrize("text", ["05.03.2026 - 06.03.2026", "vom 05.03.2026 8:00 bis 06.03.2026"])
def test_from_a_day_to_another_is_a_span(text: str) -> None:
    assert is_span(text)
    assert not is_span("05.03.2026 08:30, printed 06.03.2026")
