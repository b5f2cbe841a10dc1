# SPDX-License-Identifier: Apache-2.0
"""Cards of several services on one page: in the order of their urgency, each thing once."""

from typing import Any

from cds_service.web.html.sandbox_view import most_urgent_first


def card(summary: str, indicator: str, *labels: str) -> dict[str, Any]:
    suggestions = [{"label": label} for label in labels]
    return {
        "summary": summary,
        "detail": "",
        "indicator": indicator,
        "suggestions": suggestions,
        "service": summary,
    }


def test_the_most_urgent_is_on_top_and_nothing_stands_twice() -> None:
    first = [card("a", "info", "INR"), card("b", "warning", "INR", "ALT")]
    second = [card("a", "info", "INR"), card("c", "critical", "ALT"), card("d", "warning")]

    found = most_urgent_first([*first, *second])

    assert [(card["summary"], [s["label"] for s in card["suggestions"]]) for card in found] == [
        ("c", ["ALT"]),
        ("b", ["INR"]),
        ("d", []),
        ("a", []),
    ]
