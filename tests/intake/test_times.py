# SPDX-License-Identifier: Apache-2.0
"""When a result was taken."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.intake.intake_fixtures import (
    DAY,
    Json,
    aside_of,
    coded,
    observation,
    record_of,
    result_of,
)

VIENNA = ZoneInfo("Europe/Vienna")
AUCKLAND = ZoneInfo("Pacific/Auckland")


def at(**times: object) -> Json:
    return observation(effectiveDateTime=None, **times)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-06-14T08:00:00Z", datetime(2026, 6, 14, 8, tzinfo=UTC)),
        ("2026-06-14T08:00:00+05:30", datetime(2026, 6, 14, 2, 30, tzinfo=UTC)),
        ("2026-06-14T08:00:00.1234567-03:00", datetime(2026, 6, 14, 11, 0, 0, 123456, tzinfo=UTC)),
        ("2026-06-14T23:59:60Z", datetime(2026, 6, 15, tzinfo=UTC)),
        ("2026-06-14T08:00:00", datetime(2026, 6, 14, 6, tzinfo=UTC)),
        ("2026-01-14T08:00:00", datetime(2026, 1, 14, 7, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_with_its_offset_or_the_sites(text: str, moment: datetime) -> None:
    result = result_of(observation(effectiveDateTime=text), zone=VIENNA)

    assert (result.time, result.precision) == (moment, "instant")


@pytest.mark.parametrize(
    ("text", "precision", "moment"),
    [
        ("2026-06-14", "day", datetime(2026, 6, 14, 21, 59, 59, tzinfo=UTC)),
        ("2026-01-14", "day", datetime(2026, 1, 14, 22, 59, 59, tzinfo=UTC)),
        ("2026-02", "month", datetime(2026, 2, 28, 22, 59, 59, tzinfo=UTC)),
        ("2025-12", "month", datetime(2025, 12, 31, 22, 59, 59, tzinfo=UTC)),
        ("2025", "year", datetime(2025, 12, 31, 22, 59, 59, tzinfo=UTC)),
        # What has begun and may still go on is not later than now.
        ("2026-06-15", "day", datetime(2026, 6, 15, 9, tzinfo=UTC)),
        ("2026-06", "month", datetime(2026, 6, 15, 9, tzinfo=UTC)),
        ("2026", "year", datetime(2026, 6, 15, 9, tzinfo=UTC)),
    ],
)
def test_a_partial_date_is_its_last_moment_at_the_site(
    text: str, precision: str, moment: datetime
) -> None:
    result = result_of(observation(effectiveDateTime=text), zone=VIENNA)

    assert (result.time, result.precision) == (moment, precision)


def test_tomorrow_elsewhere_is_its_first_moment() -> None:
    result = result_of(observation(effectiveDateTime="2026-06-16"))

    assert result.time == datetime(2026, 6, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    "times",
    [
        {"effectivePeriod": {"start": "2026-06-13", "end": DAY}},
        {"effectivePeriod": {"start": DAY}},
        {"effectiveInstant": DAY},
        {"effectiveTiming": {"event": ["2026-06-12", DAY, "2026-06-13", None]}},
        {"effectiveTiming": {"event": ["not a time", DAY]}},
    ],
)
def test_other_forms_of_time_are_read(times: Json) -> None:
    result = result_of(at(**times))

    assert (result.time, result.issued_only) == (datetime(2026, 6, 14, 8, tzinfo=UTC), False)


@pytest.mark.parametrize(
    "times", [{}, {"effectivePeriod": {}}, {"_effectiveDateTime": {"extension": []}}]
)
def test_the_time_of_issue_is_the_last_resort(times: Json) -> None:
    result = result_of(at(issued=DAY, **times))

    assert (result.time, result.issued_only) == (datetime(2026, 6, 14, 8, tzinfo=UTC), True)


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2026-13", "2026-02-30", "2026-W24-1", "0001-01-01", "2026-6-1",
     "2026-06-14T24:00:00Z", "2026-06-14T25:00:00Z", "-026", "9999-12-31T23:59:60Z",
     "1899-12-30", "1900-01-01T00:00:00", "1970-01-01T00:00:00Z"],
)  # fmt: skip
def test_an_unreadable_time_is_no_time(text: str) -> None:
    assert aside_of(observation(effectiveDateTime=text)).reason == "no-time"
    reported = result_of(observation(effectiveDateTime=text, issued=DAY))
    assert (reported.time, reported.issued_only) == (datetime(2026, 6, 14, 8, tzinfo=UTC), True)


def test_a_missing_time_is_no_time() -> None:
    assert aside_of(at()).reason == "no-time"


def test_a_day_ahead_is_allowed_and_no_more() -> None:
    allowed = observation(effectiveDateTime="2026-06-16T09:00:00Z")
    beyond = observation(effectiveDateTime="2026-06-16T09:00:01Z")

    assert result_of(allowed).time > datetime(2026, 6, 16, tzinfo=UTC)
    aside = aside_of(beyond)
    assert (aside.reason, aside.marker) == ("future-dated", "enzyme")


@pytest.mark.parametrize("text", ["2026-07", "2027", "2026-06-18", "9000-01-01"])
def test_a_date_that_has_not_begun_is_in_the_future(text: str) -> None:
    assert aside_of(observation(effectiveDateTime=text)).reason == "future-dated"


def test_the_order_of_zones_does_not_matter() -> None:
    made = [
        observation(id="a", effectiveDateTime="2026-06-14T20:00:00+12:00"),
        observation(id="b", effectiveDateTime=DAY),
    ]

    results = record_of(*made, zone=AUCKLAND).results

    assert len(results) == 1  # the same moment, the same value: counted once


def test_a_member_without_time_has_that_of_its_panel() -> None:
    panel = observation(
        id="panel",
        code=coded("24325-3"),
        valueQuantity=None,
        hasMember=[{"reference": "Observation/member"}],
    )
    record = record_of(panel, at(id="member"))

    (result,) = record.results
    assert result.time == datetime(2026, 6, 14, 8, tzinfo=UTC)


def test_a_result_of_a_report_without_time_has_that_of_the_report() -> None:
    report: Json = {
        "resourceType": "DiagnosticReport",
        "id": "d",
        "effectiveDateTime": DAY,
        "result": [{"reference": "https://fhir.example/Observation/member"}],
    }

    (result,) = record_of(report, at(id="member")).results

    assert (result.time, result.issued_only) == (datetime(2026, 6, 14, 8, tzinfo=UTC), False)
