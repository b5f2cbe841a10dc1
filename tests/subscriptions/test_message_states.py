# SPDX-License-Identifier: Apache-2.0
"""What it takes to find which results of a message were written before."""

from datetime import UTC, datetime, timedelta

import pytest

from cds_service.subscriptions.message_observations import MessageResult
from cds_service.subscriptions.message_order import Statement
from cds_service.subscriptions.message_states import Written, WrittenResult, to_write
from tests.call_counts import with_calls

MANY = 3_000
MOST_CALLS = 200 * MANY  # a comparison of each with each is 9,000,000
NOW = datetime(2026, 3, 5, tzinfo=UTC)


def results_from(begin: datetime) -> list[MessageResult]:
    """One result each minute, all of one order and test."""
    times = [(begin + timedelta(minutes=minute)).isoformat() for minute in range(MANY)]
    return [
        MessageResult(
            known_by=("A1", "ALT"),
            number=number,
            observation={"status": "final", "effectiveDateTime": time},
        )
        for number, time in enumerate(times, start=1)
    ]


def written_of(results: list[MessageResult]) -> Written:
    known = [
        WrittenResult(
            identifier=result.name,
            item=1,
            written=NOW,
            collected=result.collected,
            statement=Statement(status="final"),
        )
        for result in results
    ]
    return {results[0].series: known}


def of_days(known_by: str, times: list[str]) -> list[MessageResult]:
    return [
        MessageResult(
            known_by=(known_by, "ALT"),
            number=number,
            observation={"status": "final", "effectiveDateTime": time},
        )
        for number, time in enumerate(times, start=1)
    ]


DAYS = [(NOW + timedelta(days=day)).date().isoformat() for day in range(MANY)]


@pytest.mark.parametrize("sent", ["days", "minutes"])
@pytest.mark.parametrize("known", ["same", "other", "minutes"])
def test_thousands_of_days_of_one_order_keep_nobody_waiting(sent: str, known: str) -> None:
    """Times without a minute are found by their day, and not compared with each other."""
    minutes = [f"{day}T09:30:00+00:00" for day in DAYS]
    later = [(NOW + timedelta(days=MANY + day)).date().isoformat() for day in range(MANY)]
    made = of_days("A1", {"days": DAYS, "minutes": minutes}[sent])
    before = of_days("A1", {"same": DAYS, "other": later, "minutes": minutes}[known])

    placed, calls = with_calls(lambda: to_write(made, written_of(before), 2))

    assert calls < MOST_CALLS
    names = {result.name for result in before}
    assert len({one.identifier for one in placed}) == MANY
    assert (names == {one.identifier for one in placed}) is (known != "other")


@pytest.mark.parametrize("begin", [NOW, NOW + timedelta(days=30)], ids=["same", "other"])
def test_thousands_of_results_of_one_order_keep_nobody_waiting(begin: datetime) -> None:
    """A sender could hold the database with them, for minutes: each is compared with each."""
    sent = results_from(begin)

    placed, calls = with_calls(lambda: to_write(sent, written_of(results_from(NOW)), 2))

    assert calls < MOST_CALLS
    names = {result.name for result in sent}
    assert len({placed_result.identifier for placed_result in placed}) == MANY
    assert (names == {placed_result.identifier for placed_result in placed}) is (begin == NOW)
