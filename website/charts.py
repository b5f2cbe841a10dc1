# SPDX-License-Identifier: Apache-2.0
"""A chart of lines in the notation of Mermaid as SVG.

Repositories draw it themselves. In a browser Mermaid is a script of three megabytes that the theme
would fetch from another host.
"""

import json
import re
from collections.abc import Sequence
from html import escape
from itertools import pairwise

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 640, 300, 70, 40, 16


def line_chart(text: str) -> str:
    """An `xychart-beta` with a named axis of numbers below and lines; XML that stands in a page.

    Raises ValueError for any other diagram, so that none is left out in silence.
    """
    below = re.search(r'x-axis "([^"]+)" (\[[^\]]+\])', text)
    beside = re.search(r'y-axis "([^"]+)"', text)
    lines: list[list[float]] = [json.loads(each) for each in re.findall(r"line (\[[^\]]+\])", text)]
    if not text.startswith("xychart-beta") or not below or not beside or not lines:
        raise ValueError("of Mermaid only an xychart-beta with an x-axis, a y-axis and lines")
    ticks: list[float] = json.loads(below[2])
    if any(len(line) != len(ticks) for line in lines):
        raise ValueError("each line of a chart has as many points as its x-axis")
    top = max(map(max, lines))
    names = f"{escape(beside[1])} by {escape(below[1])}"
    return "".join(
        [
            f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" class="chart"',
            f' aria-label="{names}; the table above has the numbers">',
            *(_line(line, ticks, top, number) for number, line in enumerate(lines)),
            *(_label(_x(tick, ticks), _HEIGHT - _BOTTOM + 18, f"{tick:g}") for tick in ticks),
            *(_label(_LEFT - 8, _y(part * top / 4, top) + 4, f"{part * top / 4:,.0f}", "end")
              for part in range(5)),
            _label((_WIDTH + _LEFT) / 2, _HEIGHT - 4, below[1]),
            "</svg>",
            f"<figcaption>{names}</figcaption></figure>\n",
        ]
    )  # fmt: skip


def _line(points: Sequence[float], ticks: Sequence[float], top: float, number: int) -> str:
    places = [(_x(tick, ticks), _y(value, top)) for tick, value in zip(ticks, points, strict=True)]
    return "".join(
        f'<line class="line-{number}" x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}"/>'
        for (x1, y1), (x2, y2) in pairwise(places)
    )


def _label(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(text)}</text>'


def _x(tick: float, ticks: Sequence[float]) -> float:
    return _LEFT + (tick - ticks[0]) / (ticks[-1] - ticks[0]) * (_WIDTH - _LEFT - 30)


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _BOTTOM - _TOP)
