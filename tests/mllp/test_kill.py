# SPDX-License-Identifier: Apache-2.0
"""Everything that was acknowledged is stored once, whatever is killed while messages come."""

import random
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from cds_service.store.engine import upgrade_database
from tests.mllp.listener_process import Listener, code_of, stored
from tests.reports.messages import HEADER, message, obx
from tests.store.postgres import running

pytestmark = pytest.mark.server

NUMBER, SENDERS, KILLS = 500, 4, 5
PATIENCE = 120


def sent_until_acknowledged(listener: Listener, controls: list[str], again: Counter[str]) -> None:
    """Send as an interface engine does: again and again until it is acknowledged."""
    end = time.monotonic() + PATIENCE
    while controls:
        assert time.monotonic() < end
        with suppress(OSError, AssertionError), listener.connected() as sender:
            while controls:
                named = HEADER.replace("|1|P|", f"|{controls[-1]}|P|")
                answer = sender.send(message(obx("1"), header=named))
                if not answer:
                    break
                if code_of(answer) != "AA":
                    again["refused"] += 1
                    return
                controls.pop()
                again["acknowledged"] += 1
        again["connections"] += 1
        time.sleep(0.05)


def check(listener: Listener, capsys: pytest.CaptureFixture[str], kill_database: object) -> None:
    counts: Counter[str] = Counter()
    each = NUMBER // SENDERS
    lists = [[f"c{n}-{m}" for m in range(each)] for n in range(SENDERS)]
    expected = Counter(
        f"LAB|HOSPITAL|{control_id}#1" for controls in lists for control_id in controls
    )
    chance = random.Random(NUMBER)
    kills: Counter[str] = Counter()
    listener.start()
    threads = [
        threading.Thread(target=sent_until_acknowledged, args=(listener, controls, counts))
        for controls in lists
    ]
    for thread in threads:
        thread.start()
    for moment in range(1, KILLS + 1):
        while counts["acknowledged"] < moment * NUMBER // (KILLS + 2) and any(
            thread.is_alive() for thread in threads
        ):
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.01))
        if callable(kill_database) and moment % 2 == 0:
            kill_database()
            kills["database"] += 1
            continue
        assert listener.process is not None
        listener.process.kill()
        listener.process.wait()
        kills["listener"] += 1
        listener.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert listener.stop() == 0
    with capsys.disabled():
        print(f"\n{dict(counts)}, killed: {dict(kills)}")
    assert counts["acknowledged"] == NUMBER
    assert not counts["refused"]
    assert Counter(row.resource_id for row in stored(listener.database)) == expected


def test_on_sqlite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(Listener(tmp_path, f"sqlite:///{tmp_path / 'service.db'}"), capsys, None)


@pytest.mark.database
def test_on_postgresql(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running() as server:  # one of its own, to be killed
        database = server.new_database("messages")
        upgrade_database(database)
        check(Listener(tmp_path, database), capsys, server.kill)
