# SPDX-License-Identifier: Apache-2.0
"""The drawn trend: inside its frame whatever the values are, and round numbers at its lines."""

from hypothesis import given
from hypothesis import strategies as st

from cds_service.explanation.results import Trend, TrendPoint
from cds_service.web.html.trend_chart import chart

AMOUNTS = st.floats(0, 1e7)
POINTS = st.tuples(st.floats(0, 4e9), AMOUNTS, st.none() | AMOUNTS)


def trend(rows: list[tuple[float, float, float | None]]) -> Trend:
    points = (
        TrendPoint(moment=moment, at="2026-01-01", sent="", value=value, limit=limit)
        for moment, value, limit in sorted(rows, key=lambda row: row[0])
    )
    return Trend(marker="m", title="m", unit="", points=tuple(points))


@given(st.lists(POINTS, min_size=1, max_size=20))
def test_every_result_lies_inside(rows: list[tuple[float, float, float | None]]) -> None:
    drawn = chart(trend(rows))

    for dot in drawn.dots:
        assert drawn.left <= dot.x <= drawn.right
        assert 0 <= dot.y <= drawn.floor
    assert 2 <= len(drawn.lines) <= 8
    assert all(0 <= line.y <= drawn.floor for line in drawn.lines)


def test_the_lines_have_round_numbers() -> None:
    drawn = chart(trend([(0, 35, 40), (10, 300, 40)]))

    assert [line.text for line in drawn.lines] == ["0", "100", "200", "300", "400"]
    assert [dot.high for dot in drawn.dots] == [False, True]
