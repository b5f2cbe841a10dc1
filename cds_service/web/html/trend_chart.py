# SPDX-License-Identifier: Apache-2.0
"""The drawn trend of a marker: results over time, with the upper limit that each had."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cds_service.explanation.results import Trend, TrendPoint

_WIDTH: Final = 400
_HEIGHT: Final = 200
_LEFT: Final = 52
_RIGHT: Final = 18
_TOP: Final = 16
_BOTTOM: Final = 34
_STEPS: Final = (1, 2, 2.5, 5, 10)
_TICKS: Final = 4  # about so many lines across


@dataclass(frozen=True, slots=True)
class Dot:
    """One result: its place, and whether it lies above (1) or below (-1) of what is drawn."""

    x: float
    y: float
    towards: int
    high: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A line across, and the number at its left end."""

    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that the template writes down; `limit` is drawn in steps from result to result."""

    width: int
    height: int
    left: int
    right: int
    floor: int
    course: str
    limit: str
    dots: tuple[Dot, ...]
    lines: tuple[Line, ...]
    first: str
    last: str


def chart(trend: Trend) -> Chart:
    """The trend from left to right, from nothing at the bottom to its highest at the top."""
    points = trend.points
    highest = max(max(point.value, point.limit or 0) for point in points)
    step = _step(highest)
    top = step * (int(highest / step) + 1)
    floor = _HEIGHT - _BOTTOM

    def height(value: float) -> float:
        return round(floor - (floor - _TOP) * max(value, 0) / top, 1)

    across = _across(points)
    places = [(x, height(point.value)) for x, point in zip(across, points, strict=True)]
    return Chart(
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        floor=floor,
        course=" ".join(f"{x},{y}" for x, y in places),
        limit=" ".join(
            f"{x},{height(point.limit)}"
            for x, point in zip(across, points, strict=True)
            if point.limit is not None
        ),
        dots=tuple(
            Dot(x, y, point.towards, point.limit is not None and point.value > point.limit)
            for (x, y), point in zip(places, points, strict=True)
        ),
        lines=tuple(Line(height(value), f"{value:g}") for value in _values(step, top)),
        first=points[0].at[:10],
        last=points[-1].at[:10],
    )


def _across(points: tuple[TrendPoint, ...]) -> list[float]:
    begin, end = points[0].moment, points[-1].moment
    width = _WIDTH - _LEFT - _RIGHT - 20
    if end <= begin:
        return [round(_LEFT + 10 + width / 2, 1)] * len(points)
    return [
        round(_LEFT + 10 + width * (point.moment - begin) / (end - begin), 1) for point in points
    ]


def _step(highest: float) -> float:
    """A round distance between lines."""
    rough = max(highest, 1e-9) / _TICKS
    power = 1.0
    while power * 10 <= rough:
        power *= 10
    while power > rough:
        power /= 10
    return next(step * power for step in _STEPS if step * power >= rough)


def _values(step: float, top: float) -> Iterator[float]:
    count = round(top / step)
    return (step * n for n in range(count + 1))
