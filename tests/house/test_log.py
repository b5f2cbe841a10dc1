# SPDX-License-Identifier: Apache-2.0
"""Nothing is logged but what the list allows."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from cds_service.errors import every_error
from cds_service.log import FIELDS, configure_log, log_crash, log_request

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    written = io.StringIO()
    configure_log(stream=written, clock=lambda: NOON)
    yield written
    structlog.reset_defaults()


def line(stream: io.StringIO) -> dict[str, Any]:
    (only,) = stream.getvalue().splitlines()
    logged: dict[str, Any] = json.loads(only)
    return logged


def test_a_request_is_one_line(stream: io.StringIO) -> None:
    log_request(service="liver-patient-view", hook="patient-view", status=200, ms=1.5, cards=1)

    assert line(stream) == {
        "at": "2026-01-02T12:00:00.000+00:00",
        "level": "info",
        "event": "request",
        "service": "liver-patient-view",
        "hook": "patient-view",
        "status": 200,
        "ms": 1.5,
        "cards": 1,
    }


def test_a_field_that_is_not_listed_is_dropped_and_counted(stream: io.StringIO) -> None:
    log_request(service="liver", patient="ZZTESTNAME", mrn=999888777)

    assert line(stream)["dropped"] == 2
    assert "patient" not in line(stream)
    assert "999888777" not in stream.getvalue()


@pytest.mark.parametrize("field", sorted(FIELDS))
@pytest.mark.parametrize(
    "value",
    [
        "ZZTESTNAME",
        "Zz Testname",
        "999888777",
        "id-999888777",
        "1970-01-02",
        "zz@example.org",
        "https://fhir.example.org/Patient/zz",
        "a" * 49,
        "liver\nforged",
        "12.5 U/L",
        ["liver"],
        True,
    ],
)
def test_no_field_takes_what_may_name_a_patient(
    stream: io.StringIO, field: str, value: object
) -> None:
    log_request(**{field: value})

    assert field not in line(stream)
    assert line(stream)["dropped"] == 1


def test_every_error_may_be_named_as_the_problem(stream: io.StringIO) -> None:
    for name in ["K202", "ZeroDivisionError", *(each.__name__ for each in every_error())]:
        stream.truncate(0)
        stream.seek(0)
        log_request(problem=name, pack="liver", pack_version="1.0.0")
        assert line(stream)["problem"] == name


def test_an_absent_value_is_not_counted_as_dropped(stream: io.StringIO) -> None:
    log_request(service="liver", hook=None)

    assert "dropped" not in line(stream)


def test_a_crash_tells_the_place_and_not_the_message(stream: io.StringIO) -> None:
    try:
        int("ZZTESTNAME")
    except ValueError as error:
        log_crash(error)

    assert line(stream)["problem"] == "ValueError"
    assert line(stream)["frames"][-1].startswith("test_log.py:")
    assert "ZZTESTNAME" not in stream.getvalue()


def test_the_http_libraries_are_silent(
    stream: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("urllib3").error("GET /Patient/ZZTESTNAME")
    logging.getLogger("urllib3.connectionpool").error("GET /Patient/ZZTESTNAME")

    assert caplog.records == []
    assert stream.getvalue() == ""


def test_a_quieter_level_drops_the_request_line() -> None:
    written = io.StringIO()
    configure_log("error", "text", stream=written)

    log_request(service="liver")

    assert written.getvalue() == ""
    structlog.reset_defaults()
