# SPDX-License-Identifier: Apache-2.0
"""What was acknowledged is decided on once, whatever is killed.

A short run; `pytest tests/subscriptions/test_kill.py --kill-notifications 10000` is the long one.
"""

from pathlib import Path

import pytest

from cds_service.store.engine import upgrade_database
from tests.store.postgres import running
from tests.subscriptions import killed_service
from tests.subscriptions.killed_service import Kept, Outcome

pytestmark = pytest.mark.server


def check(outcome: Outcome, found: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{killed_service.described(outcome, found)}")
    assert sum(outcome.kills.values()) > 0
    # None lost, none that nobody sent, and of each resource the newest version decided on once.
    assert found.versions == outcome.acknowledged
    assert {state for state, _ in found.states} == {"done"}
    assert set(found.decided.values()) == {1}
    newest: dict[str, int] = {}
    for identity, version in outcome.acknowledged:
        newest[identity] = max(newest.get(identity, 0), int(version))
    expected = {f"Observation/{identity}/{version}" for identity, version in newest.items()}
    assert expected <= set(found.decided)
    superseded = found.states["done", "superseded"]
    assert len(found.decided) + superseded == len(outcome.acknowledged)


def kills(number: int) -> int:
    return max(4, number // 100)


def test_nothing_is_lost_or_done_twice_on_sqlite(
    tmp_path: Path, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    number: int = pytestconfig.getoption("--kill-notifications")
    database = f"sqlite:///{tmp_path / 'service.db'}"

    outcome = killed_service.run(database, number, kills=kills(number), seed=number)

    check(outcome, killed_service.kept(database), capsys)


@pytest.mark.database
def test_nothing_is_lost_or_done_twice_on_postgresql(
    pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    number: int = pytestconfig.getoption("--kill-notifications")
    with running() as server:  # one of its own, to be killed
        database = server.new_database("arrivals")
        upgrade_database(database)

        outcome = killed_service.run(
            database, number, kills=kills(number), seed=number, kill_database=server.kill
        )

        check(outcome, killed_service.kept(database), capsys)
