# SPDX-License-Identifier: Apache-2.0
"""Faults that were found from outside, each sent to the real server over HTTP.

Those that no call of a hook shows are tested elsewhere; every fault of the list is named here.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
import requests

from tests.conformance.fault_rows import ROWS, TWO_MINUTES_LATER, Row
from tests.conformance.more_fault_rows import MORE_ROWS
from tests.conformance.server import serving
from tests.house.source import ROOT
from tests.service.patients import TODAY

pytestmark = pytest.mark.server

# What is sent and what must come of it; what follows is tested where it is mended.
ALL_ROWS = ROWS | MORE_ROWS
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "W8": ("tests/render/test_result_units.py",),
    "W10": ("tests/knowledge/test_shared_ids.py",),
    "W11": (),  # of the pages of the rules
    "W12": ("tests/knowledge/test_never_in_frame.py",),
    "W13": ("tests/sandbox/test_two_packs.py",),
    "W14": ("tests/sandbox/test_page.py",),
    "R1": ("tests/feedback/test_stopped_database.py", "tests/trust/test_used_tokens.py"),
    "R2": ("tests/web/test_supervisor.py",),
    "R3": ("tests/web/test_supervisor.py",),
    "R4": ("tests/trust/test_keysets.py",),
    "R5": ("tests/feedback/test_http.py",),
    "R6": ("tests/trust/test_registrations.py",),
    "R7": ("tests/conformance/test_smuggling.py",),
    "R8": ("tests/render/test_cards.py",),
    "R9": ("tests/sandbox/test_page.py", "tests/sandbox/test_command.py"),
    "R10": ("tests/web/test_journal.py",),
    "R11": ("tests/web/test_supervisor.py",),
    "R12": ("tests/memory/test_overrides.py",),
    "P4": ("tests/sources/test_patient_input.py",),
    "P7": ("tests/trust/test_jwt_rows.py",),
    "P11": ("tests/fhir_client/test_client.py",),
    "P12": ("tests/site/test_markers.py",),
}


def numbers() -> set[str]:
    counts = {"V": 11, "W": 14, "R": 12, "P": 13}
    return {f"{kind}{n}" for kind, most in counts.items() for n in range(1, most + 1)}


def test_every_fault_of_the_list_has_its_tests() -> None:
    shown = {name.partition(" ")[0] for name in ALL_ROWS}

    assert numbers() <= shown | set(ELSEWHERE)
    assert all((ROOT / path).is_file() for paths in ELSEWHERE.values() for path in paths)


@pytest.fixture(scope="module", name="port")
def _port() -> Iterator[int]:
    with serving() as port:
        yield port


def written(row: Row, now: datetime) -> str:
    """What is sent as text, with times of today, and with what no `dict` can hold."""
    text = json.dumps(row.sent).replace("@twice", "").replace('"@1e400"', "1e400")
    for sent, hours in ((TODAY, 3), (TWO_MINUTES_LATER, 3 - 2 / 60)):
        time = shown(now, hours)
        text = text.replace(sent, time).replace(sent.lower(), time.lower())
        text = text.replace(sent.replace("T", " "), time.replace("T", " "))
    return re.sub(r"@-([0-9.]+)d", lambda days: shown(now, 24 * float(days[1])), text)


def shown(now: datetime, hours: float) -> str:
    return (now - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("row", ALL_ROWS.values(), ids=ALL_ROWS)
def test_a_fault_found_from_outside(row: Row, port: int) -> None:
    text = written(row, datetime.now(UTC))

    answer = requests.post(
        f"http://127.0.0.1:{port}/cds-services/liver-{row.hook}",
        data=text.encode(),
        headers={"Content-Type": "application/json"},
        timeout=30,
    )

    if row.refused is not None:
        assert answer.status_code == row.refused
        assert all(words in answer.text for words in row.says)
        return
    assert answer.status_code == HTTPStatus.OK, answer.text
    cards = answer.json()["cards"]
    rules = {card["extension"]["org.cds-service.card"]["rule"] for card in cards}
    assert row.cards <= rules
    assert rules.isdisjoint(row.without)
    assert all(words in card["detail"] for card in cards for words in row.says)
    assert sum(len(card.get("suggestions", ())) for card in cards) >= row.orders
