# SPDX-License-Identifier: Apache-2.0
"""Printed dates: a time and its zone count if they can be nothing else."""

import pytest

from cds_service.reports.dates import dates_in


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
    ],
)
def test_a_zone_that_may_be_none_leaves_the_time_open(text: str, read: str) -> None:
    assert [date.iso for date in dates_in(text, None)] == [read]
