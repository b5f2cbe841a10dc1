# SPDX-License-Identifier: Apache-2.0
"""Which counts of people are shown."""

import pytest

from cds_service.screening.privacy import SMALL_CELL, shown_cells


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([0, 5, 100], [0, 5, 100]),
        ([4, 5, 100], ["<5", "-", 100]),
        ([1, 1, 9, 100], ["<5", "<5", "-", 100]),  # 2 in both together are 1 and 1
        ([4, 4, 9, 100], ["<5", "<5", "-", 100]),
        ([1, 3, 9, 100], ["<5", "<5", 9, 100]),
        ([1, 5, 100], ["<5", "-", "-"]),  # 6 in both are 1 and 5, the least that is possible
        ([4, 4, 0], ["-", "-", "-"]),
        ([3, 0], ["-", "-"]),
        ([1, 5], ["-", "-"]),
        ([3], ["-"]),
        ([], []),
    ],
)
def test_a_small_count_is_not_shown_nor_told_by_the_total(
    counts: list[int], shown: list[int | str]
) -> None:
    assert shown_cells(counts) == shown


def test_fewer_than_five_are_few() -> None:
    assert SMALL_CELL == 5
