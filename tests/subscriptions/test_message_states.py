# SPDX-License-Identifier: Apache-2.0
"""What it takes to find which results of a message were written before."""

from datetime import UTC, datetime, timedelta

import pytest

from cds_service.subscriptions.message_observations import MessageResult
from cds_service.subscriptions.message_order import Statement, UnclearResult
from cds_service.subscriptions.message_states import (
    PlacedResult,
    Written,
    WrittenResult,
    check_clear,
    to_write,
)
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

    placed, calls = with_calls(lambda: to_write(made, written_of(before), 2, NOW))

    assert calls < MOST_CALLS
    names = {result.name for result in before}
    assert len({one.identifier for one in placed}) == MANY
    assert (names == {one.identifier for one in placed}) is (known != "other")


@pytest.mark.parametrize("begin", [NOW, NOW + timedelta(days=30)], ids=["same", "other"])
def test_thousands_of_results_of_one_order_keep_nobody_waiting(begin: datetime) -> None:
    """A sender could hold the database with them, for minutes: each is compared with each."""
    sent = results_from(begin)

    placed, calls = with_calls(lambda: to_write(sent, written_of(results_from(NOW)), 2, NOW))

    assert calls < MOST_CALLS
    names = {result.name for result in sent}
    assert len({placed_result.identifier for placed_result in placed}) == MANY
    assert (names == {placed_result.identifier for placed_result in placed}) is (begin == NOW)


AT_NINE, AT_TEN, AT_ELEVEN = (NOW.replace(hour=hour).isoformat() for hour in (9, 10, 11))
HALF_PAST_NINE = NOW.replace(hour=9, minute=30).isoformat()
NEXT_YEAR = (NOW + timedelta(days=365)).isoformat()


def said(status: str, value: int | None, sent: str = "") -> MessageResult:
    """What a message says of the one result that these tests are about."""
    content = (
        {"dataAbsentReason": {"text": "unknown"}} if value is None else {"valueInteger": value}
    )
    return MessageResult(
        known_by=("A1", "ALT"),
        number=1,
        observation={"status": status, "effectiveDateTime": NOW.isoformat(), **content},
        sent=sent,
    )


def written_after(*messages: MessageResult) -> Written:
    """What is known once these messages were written, one an hour from eleven on."""
    written: Written = {}
    for item, result in enumerate(messages, start=1):
        now = NOW + timedelta(hours=10 + item)
        for placed in to_write([result], written, item, now):
            written = {placed.series: [_known(placed, item, now)]}
    return written


def _known(placed: PlacedResult, item: int, now: datetime) -> WrittenResult:
    return WrittenResult(
        identifier=placed.identifier,
        item=item,
        written=now,
        collected=placed.collected,
        statement=placed.statement,
    )


def last(written: Written) -> tuple[str, int]:
    ((state,),) = written.values()
    return state.statement.status, state.item


@pytest.mark.parametrize("status", ["corrected", "entered-in-error"])
@pytest.mark.parametrize("sent", [NEXT_YEAR, ""])
def test_a_clock_that_is_ahead_makes_nothing_newer(status: str, sent: str) -> None:
    """An old result that is sent again must not undo its correction, whatever the clock says."""
    written = written_after(
        said("final", 1, AT_NINE), said("final", 2, AT_NINE), said(status, 30, AT_TEN)
    )
    now = NOW.replace(hour=14)

    with pytest.raises(UnclearResult):
        check_clear([said("final", 2, sent)], written, now)
    with pytest.raises(UnclearResult):
        to_write([said("final", 2, sent)], written, 4, now)


def test_a_time_ahead_is_not_kept_until_it_has_come() -> None:
    """A message that waits is written late, and its time looks right by then."""
    written = written_after(said("final", 1, AT_NINE))
    ahead = to_write([said("corrected", 30, AT_ELEVEN)], written, 2, NOW.replace(hour=10))
    known: Written = {ahead[0].series: [_known(ahead[0], 2, NOW.replace(hour=12))]}

    (newer,) = to_write(
        [said("corrected", 31, NOW.replace(hour=10, minute=30).isoformat())],
        known,
        3,
        NOW.replace(hour=12),
    )

    assert newer.observation["valueInteger"] == 31


@pytest.mark.parametrize("sent", [AT_NINE, AT_ELEVEN, ""])
@pytest.mark.parametrize(
    "changes",
    [
        [said("corrected", 30, AT_TEN)],
        [said("corrected", 29, AT_TEN), said("corrected", 30, AT_TEN)],
        [said("entered-in-error", None, AT_TEN)],
        [said("entered-in-error", None, AT_TEN), said("amended", 30, AT_TEN)],
    ],
    ids=["corrected", "twice", "withdrawn", "amended"],
)
def test_what_came_before_a_change_and_is_not_known_is_not_taken_for_news(
    changes: list[MessageResult], sent: str
) -> None:
    """The original comes after what corrects it or takes it back, out of a queue, as if new."""
    written = written_after(*changes)
    original = said("final", 1, sent)

    if sent == AT_NINE:
        assert to_write([original], written, 4, NOW.replace(hour=14)) == ()
    else:
        with pytest.raises(UnclearResult):
            to_write([original], written, 4, NOW.replace(hour=14))


def test_a_correction_of_a_correction_whose_original_never_came_is_taken() -> None:
    written = written_after(said("corrected", 30, AT_NINE), said("corrected", 31, AT_TEN))

    assert last(written) == ("corrected", 2)


@pytest.mark.parametrize("between", ["preliminary", "registered", "unknown"])
def test_what_was_withdrawn_does_not_come_back_by_way_of_what_is_not_final(between: str) -> None:
    written = written_after(
        said("final", 1, AT_NINE), said("entered-in-error", 1, AT_TEN), said(between, 6)
    )
    assert last(written) == (between, 3)

    with pytest.raises(UnclearResult):
        to_write([said("final", 1)], written, 4, NOW.replace(hour=14))
    assert to_write([said("final", 6)], written, 4, NOW.replace(hour=14))


def test_an_older_final_does_not_come_back_past_a_withdrawal_either() -> None:
    """What was sent before a withdrawal was withdrawn, whatever came after that."""
    written = written_after(
        said("final", 1, AT_NINE),
        said("entered-in-error", 1, AT_TEN),
        said("preliminary", 6, AT_ELEVEN),
    )

    with pytest.raises(UnclearResult):
        to_write([said("final", 2, HALF_PAST_NINE)], written, 4, NOW.replace(hour=14))


def test_that_an_original_never_came_is_known_after_many_corrections() -> None:
    corrections = [said("corrected", value, AT_NINE) for value in range(30, 42)]
    written = written_after(*corrections)

    with pytest.raises(UnclearResult):
        to_write([said("final", 1, AT_ELEVEN)], written, 20, NOW + timedelta(days=1))


@pytest.mark.parametrize("status", ["final", "preliminary"])
def test_what_was_collected_after_a_withdrawal_is_another_result(status: str) -> None:
    """What was withdrawn never came; the next sample of the order cannot be it."""
    (withdrawn,) = written_after(said("entered-in-error", None, AT_TEN)).values()
    later = said(status, 1500)
    later.observation["effectiveDateTime"] = (NOW + timedelta(days=3)).isoformat()

    (placed,) = to_write([later], {later.series: withdrawn}, 2, NOW + timedelta(days=3, hours=2))

    assert placed.observation["status"] == status
    assert placed.identifier != withdrawn[0].identifier
