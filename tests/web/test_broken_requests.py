# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent: never a 500, and no patient in an error or a log line."""

import json
from collections import Counter
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog

from cds_service.log import configure_log
from tests.web.broken import broken_call
from tests.web.http_fixtures import NAME, PATIENT, client, empties

CALLS = 10_000
PARTS = 4  # so that several processes can share them
CANARIES = (NAME, PATIENT, NAME.lower())


@pytest.fixture(name="log")
def _log() -> Iterator[StringIO]:
    stream = StringIO()
    configure_log("debug", stream=stream)
    yield stream
    structlog.reset_defaults()


@pytest.mark.parametrize("part", range(PARTS))
def test_broken_requests_give_no_failure_and_no_patient_in_errors_or_logs(
    part: int, log: StringIO
) -> None:
    http = client()
    statuses: Counter[int] = Counter()
    told: list[tuple[int, str]] = []

    for seed in range(part, CALLS, PARTS):
        sent = broken_call(seed)
        response = http.open(
            sent.path, method=sent.method, data=sent.body, headers=sent.headers, buffered=True
        )
        statuses[response.status_code] += 1
        said = f"{response.text} {response.headers}"
        if response.status_code >= 400 and any(canary in said for canary in CANARIES):
            told.append((seed, said[:300]))
        if response.status_code == 200 and response.content_type.startswith("application/json"):
            assert empties(json.loads(response.text)) == [], seed

    assert told == []
    assert sum(statuses.values()) == CALLS // PARTS
    assert {status for status in statuses if status >= 500} == set()
    assert {200, 400, 412, 415} <= set(statuses)
    assert not any(canary in log.getvalue() for canary in CANARIES)
    assert len(log.getvalue().splitlines()) == CALLS // PARTS
