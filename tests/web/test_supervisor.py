# SPDX-License-Identifier: Apache-2.0
"""The processes of `cds-service serve`: one owner of a port, workers that are replaced or end."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from time import sleep

import pytest

from tests.web.served import PATIENCE, processes, ready, serving, until

pytestmark = pytest.mark.server


def test_a_port_that_the_machine_chose_is_said(tmp_path: Path) -> None:
    with ready(tmp_path, workers=1) as served:
        assert served.port > 0


def test_a_second_start_on_a_port_is_refused_and_takes_no_call(tmp_path: Path) -> None:
    with ready(tmp_path) as first:
        with serving(tmp_path, port=first.port) as second:
            assert second.process.wait(PATIENCE) == 2
            assert "something listens on 127.0.0.1:" in second.said.read_text(encoding="utf-8")
            assert second.address == ""

        assert all(first.answers() for _ in range(20))


def test_a_worker_that_is_killed_is_replaced_and_logged(tmp_path: Path) -> None:
    with ready(tmp_path) as served:
        before = served.workers()
        killed = min(before)

        os.kill(killed, signal.SIGKILL)

        assert all(served.answers() for _ in range(20))
        until(lambda: len(served.workers() - {killed}) == 2)
        assert before - {killed} < served.workers()
        (line,) = served.events("worker-ended")
        assert (line["level"], line["exit_code"], line["replaced"]) == ("error", -9, True)
        assert served.answers()
        served.process.terminate()
        assert served.process.wait(PATIENCE) == 0


def test_an_interrupt_of_all_processes_is_no_fault(tmp_path: Path) -> None:
    """As Ctrl-C sends it."""
    with ready(tmp_path) as served:
        os.killpg(served.process.pid, signal.SIGINT)

        assert served.process.wait(PATIENCE) == 0
        assert served.events("worker-ended") == []


def test_the_only_worker_is_replaced_too(tmp_path: Path) -> None:
    with ready(tmp_path, workers=1) as served:
        os.kill(min(served.workers()), signal.SIGKILL)

        until(lambda: served.events("worker-ended"))
        assert served.answers()  # what comes meanwhile waits for the new one


def test_a_worker_that_is_killed_while_it_is_replaced_leaves_one(tmp_path: Path) -> None:
    """By a reload (SIGHUP), which has both for some seconds."""
    with ready(tmp_path, workers=1) as served:
        old = min(served.workers())
        served.process.send_signal(signal.SIGHUP)
        until(lambda: len(served.workers()) == 2)

        os.kill(old, signal.SIGKILL)

        until(lambda: served.events("worker-ended"))
        (line,) = served.events("worker-ended")
        assert (line["exit_code"], line["replaced"]) == (-9, True)
        assert served.answers()
        served.process.terminate()
        assert served.process.wait(PATIENCE) == 0


def test_workers_that_end_again_and_again_end_the_service(tmp_path: Path) -> None:
    with ready(tmp_path, workers=1) as served:
        killed: set[int] = set()
        while served.process.poll() is None:
            for worker in served.workers() - killed:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
                killed.add(worker)
            sleep(0.05)

        assert served.process.returncode == 1
        assert [line["replaced"] for line in served.events("worker-ended")] == [True] * 4 + [False]


def test_workers_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with ready(tmp_path) as first:
        workers, port = first.workers(), first.port

        os.kill(first.process.pid, signal.SIGKILL)

        until(lambda: workers.isdisjoint(pid for pid, _ in processes()))
        assert len(first.events("orphaned")) == 2
        with ready(tmp_path, port=port) as again:
            assert again.port == port
