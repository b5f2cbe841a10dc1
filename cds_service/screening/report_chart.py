# SPDX-License-Identifier: Apache-2.0
"""How often cards were first shown over time, as bars; small counts have no height of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cds_service.iso_times import moment_of
from cds_service.screening.privacy import shown_cells

_MOST_BARS: Final = 24
_WIDTH: Final = 400
_HEIGHT: Final = 150
_LEFT: Final = 40
_TOP: Final = 12
_FLOOR: Final = 124
_GAP: Final = 2
_HIDDEN: Final = 5  # the height of a bar whose count is not shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """So many steps together: from and to, the count as it is shown, and where the bar stands."""

    begins: str
    ends: str
    count: int | str
    x: float
    y: float
    width: float
    height: float

    @property
    def is_hidden(self) -> bool:
        """Whether its height says nothing."""
        return not isinstance(self.count, int)


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """The bars of one severity; `before` is what stood at the first step already."""

    indicator: str
    width: int
    height: int
    left: int
    floor: int
    top: int
    most: int
    first: str
    last: str
    before: int | str
    bars: tuple[Bar, ...]


def chart_of(indicator: str, moments: Sequence[str], counts: Sequence[int]) -> BarChart:
    """The counts of the steps after the first, some steps together where there are many."""
    days = [str(moment_of(moment).date()) for moment in moments]
    each = -(-max(len(days) - 1, 1) // _MOST_BARS)
    parts = [range(at, min(at + each, len(days))) for at in range(1, len(days), each)]
    before, *cells = shown_cells([counts[0], *(sum(counts[at] for at in part) for part in parts)])
    most = max((count for count in cells if isinstance(count, int)), default=0)
    width = (_WIDTH - _LEFT - _GAP) / max(len(parts), 1)
    bars = []
    for place, (part, count) in enumerate(zip(parts, cells, strict=True)):
        height = (_FLOOR - _TOP) * count / most if isinstance(count, int) and most else 0.0
        if not isinstance(count, int):
            height = _HIDDEN
        bars.append(
            Bar(
                begins=days[part[0]],
                ends=days[part[-1]],
                count=count,
                x=round(_LEFT + place * width, 1),
                y=round(_FLOOR - height, 1),
                width=round(width - _GAP, 1),
                height=round(height, 1),
            )
        )
    return BarChart(
        indicator=indicator,
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        floor=_FLOOR,
        top=_TOP,
        most=most,
        first=days[0],
        last=days[-1],
        before=before,
        bars=tuple(bars),
    )
