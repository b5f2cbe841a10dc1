# SPDX-License-Identifier: Apache-2.0
"""What is shown of patients: keyed hashes of their ids, and no small counts of them."""

import hmac
from collections.abc import Sequence
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
    too; such a cell is `-`. Where that is not enough, no cell is shown. Else nought is.

    >>> shown_cells([120, 0, 3, 9]), shown_cells([120, 2, 3]), shown_cells([120, 8])
    ([120, 0, '<5', '-'], [120, '<5', '<5'], [120, 8])
    >>> shown_cells([4, 4, 0])
    ['-', '-', '-']
    """
    hidden = {place for place, count in enumerate(counts) if is_small(count)}
    others = sorted(
        (place for place, count in enumerate(counts) if count and place not in hidden),
        key=lambda place: counts[place],
        reverse=True,
    )
    while hidden and _tells([counts[place] for place in hidden]):
        if not others:
            return [HIDDEN] * len(counts)
        hidden.add(others.pop())
    return [_hidden(count) if place in hidden else count for place, count in enumerate(counts)]


def is_small(count: int) -> bool:
    """Whether a count of people is so small that it may tell who they are."""
    return 0 < count < SMALL_CELL


def cell(count: int) -> int | str:
    """A count of people as it may be shown where no total tells it.

    >>> cell(3), cell(0), cell(12)
    ('<5', 0, 12)
    """
    return f"<{SMALL_CELL}" if is_small(count) else count


def _tells(hidden: Sequence[int]) -> bool:
    """Whether the total of the hidden counts leaves one possibility for them.

    `<5` is at least 1 and `-` at least 5, so that a total may be the least that is possible.
    """
    total = sum(hidden)
    least = sum(1 if is_small(count) else SMALL_CELL for count in hidden)
    all_small = all(map(is_small, hidden))
    return (
        len(hidden) == 1
        or total == least
        or (all_small and total == len(hidden) * (SMALL_CELL - 1))
    )


def _hidden(count: int) -> int | str:
    return cell(count) if is_small(count) else HIDDEN
