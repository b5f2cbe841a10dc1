# SPDX-License-Identifier: Apache-2.0
"""How often the next step of a card was taken, as data and as a table for people."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from cds_service.screening.look_back import DUE, OUTCOMES, StepOutcome
from cds_service.screening.over_time import ReplayTally
from cds_service.screening.run import Screened

_KEYS: Mapping[StepOutcome, str] = {
    "already": "already",
    "early": "early",
    "in time": "inTime",
    "late": "late",
    "never": "never",
    "not over": "notOver",
}
NOT_KNOWN = "Tests and orders elsewhere, and those that SOURCE does not hold, are not known."


def look_back_data(screened: Screened) -> dict[str, Any]:
    """What became of each order of each rule's cards since they were first shown."""
    replay = screened.tally.replay
    pairs = sorted({(rule, order) for rule, order, _ in replay.steps})
    without = {rule for rule, _ in replay.first} - {rule for rule, _ in pairs}
    return {
        "until": screened.data_end.isoformat(timespec="seconds") if screened.data_end else None,
        "ordersKnown": "ServiceRequest" in screened.known,
        "steps": [
            {
                "rule": rule,
                "order": order,
                "windows": _windows(replay, rule, order),
                "due": sum(replay.steps[rule, order, outcome] for outcome in DUE),
                **{_KEYS[outcome]: replay.steps[rule, order, outcome] for outcome in OUTCOMES},
            }
            for rule, order in pairs
        ],
        "rulesWithoutStep": sorted(without),
    }


def _windows(replay: ReplayTally, rule: str, order: str) -> list[list[int]]:
    """The windows in which the order was proposed, in days."""
    return sorted(
        [first, last]
        for of_rule, of_order, first, last in replay.windows
        if (of_rule, of_order) == (rule, order)
    )


def look_back_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """The same for people."""
    heading = (
        f"Next steps after a card was first shown, in results and orders until {data['until']}"
    )
    yield click.style(heading, bold=True)
    columns = ("due", "in time", "late", "never", "early", "already", "not over")
    yield f"  {'rule':<32}{'order':<24}{'days':<12}" + "".join(
        f"{column:>10}" for column in columns
    )
    for step in data["steps"]:
        keys = ("due", "inTime", "late", "never", "early", "already", "notOver")
        numbers = "".join(f"{step[key]:>10,}" for key in keys)
        days = in_days(step["windows"])
        yield f"  {step['rule']:<32}{step['order']:<24}{days:<12}{numbers}"
    yield ""
    yield "  due: the window is over; in time: a result or an order until its last day"
    yield "  early: before its first day; already: done or ordered when the card was first shown"
    if data["rulesWithoutStep"]:
        yield f"  No next step to look for: {', '.join(data['rulesWithoutStep'])}"
    if not data["ordersKnown"]:
        yield "  There are no orders (ServiceRequest): only results count."
    yield f"  {NOT_KNOWN}"
    yield ""


def in_days(windows: list[list[int]]) -> str:
    """The windows in words.

    >>> in_days([[0, 1], [0, 5]]), in_days([])
    ('0-1, 0-5', '-')
    """
    return ", ".join(f"{first}-{last}" for first, last in windows) or "-"
