# SPDX-License-Identifier: Apache-2.0
"""What is shown of patients: keyed hashes of their ids, and no small counts of them."""

import hmac
from collections.abc import Collection, Sequence
from hashlib import sha256
from secrets import token_hex
from typing import Final

SMALL_CELL: Final = 5
"""Fewer people than this are not counted in a table by sex, age or ward."""

HIDDEN: Final = "-"
"""What stands for a count that would tell a small one."""

_LENGTH: Final = 32  # hexadecimal digits: 128 bits, so that no two patients share one


def new_key() -> str:
    """A key that nobody can guess."""
    return token_hex(32)


def name_of(patient: str, key: str | None) -> str:
    """The keyed hash of a patient's id; without a key the id itself.

    >>> name_of("p1", None), len(name_of("p1", "key")), name_of("p1", "key") == name_of("p2", "key")
    ('p1', 32, False)
    """
    if key is None:
        return patient
    return hmac.new(key.encode(), patient.encode(), sha256).hexdigest()[:_LENGTH]


def shown_cells(counts: Sequence[int]) -> list[int | str]:
    """The counts of the cells of one row or column as they may be shown beside their total.

    A small count is `<5`. Where the total would still tell it, the least of the others is hidden
    too; such a cell is `-`. Nought is shown.

    >>> shown_cells([120, 0, 3, 9]), shown_cells([120, 2, 3]), shown_cells([120, 8])
    ([120, 0, '<5', '-'], [120, '<5', '<5'], [120, 8])
    """
    hidden = {place for place, count in enumerate(counts) if is_small(count)}
    others = sorted(
        (place for place, count in enumerate(counts) if count and place not in hidden),
        key=lambda place: counts[place],
        reverse=True,
    )
    while hidden and others and _tells(counts, hidden):
        hidden.add(others.pop())
    return [_cell(count) if place in hidden else count for place, count in enumerate(counts)]


def is_small(count: int) -> bool:
    """Whether a count of people is so small that it may tell who they are."""
    return 0 < count < SMALL_CELL


def _tells(counts: Sequence[int], hidden: Collection[int]) -> bool:
    """Whether the total and what is shown leave one possibility for the small cells."""
    total = sum(counts[place] for place in hidden)
    all_small = all(is_small(counts[place]) for place in hidden)
    return len(hidden) == 1 or (
        all_small and total in {len(hidden), len(hidden) * (SMALL_CELL - 1)}
    )


def _cell(count: int) -> str:
    return f"<{SMALL_CELL}" if is_small(count) else HIDDEN
