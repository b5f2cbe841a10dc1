# SPDX-License-Identifier: Apache-2.0
"""What a report says of its specimen."""

import pytest

from cds_service.reports.remarks import says_hemolyzed
from tests.call_counts import ended_after


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Hämolyse", True),
        ("Probe: Hämolyse", True),
        ("Hämolyse-", False),
        ("Hämolyse‑ Index", False),
        ("Hämolyse -", True),
        ("stark-hämolytisch", True),
    ],
)
def test_the_first_line_of_an_index_is_no_hemolysis(text: str, says: bool) -> None:
    assert says_hemolyzed(text) is says


@pytest.mark.parametrize("part", ["moli", "hemoly", "mol", "moli-moli ", "moli "])
def test_a_long_remark_is_read_in_time(part: str) -> None:
    with ended_after(4):
        says_hemolyzed(part * 15_000)
