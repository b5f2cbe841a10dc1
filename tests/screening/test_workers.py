# SPDX-License-Identifier: Apache-2.0
"""Processes that decide end with the one that started them, and say nothing of it."""

import os
import signal
import subprocess
import sys
from threading import Event, Thread
from typing import Final

import pytest

from cds_service.screening.workers import forked_early
from cds_service.service import load_knowledge
from cds_service.settings import Settings

_PROGRAM: Final = """
import sys
from cds_service.screening.workers import in_processes

def main():
    try:
        list(in_processes(print, [1], 1, exec, (sys.argv[1],)))
    except KeyboardInterrupt:
        sys.exit(130)

main()
"""
_FORKED: Final = """
import os
from cds_service.screening.workers import forked_early

with forked_early(None, 2, lambda: None) as pool:
    print(*pool.map(abs, [-1, -2]), flush=True)
    os.kill(os.getpid(), 9)
"""
_STARTING: Final = "import time; print('starting', flush=True); time.sleep(60)"


def test_ctrl_c_while_a_process_starts_is_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, _STARTING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "starting\n"
        os.killpg(run.pid, signal.SIGINT)
        _, said = run.communicate(timeout=30)

    assert said == ""
    assert run.returncode == 130


@pytest.mark.skipif(sys.platform != "linux", reason="Processes are forked on Linux alone.")
def test_forked_processes_end_with_a_parent_that_is_killed() -> None:
    # They hold the other end of the output: it is read to its end only once they are gone.
    ended = subprocess.run(
        [sys.executable, "-c", _FORKED], check=False, stdout=subprocess.PIPE, timeout=60
    )

    assert ended.stdout == b"1 2\n"
    assert ended.returncode == -signal.SIGKILL


def test_nothing_is_forked_while_another_thread_runs() -> None:
    knowledge = load_knowledge(Settings())
    over = Event()
    thread = Thread(target=over.wait)
    thread.start()
    try:
        with forked_early(knowledge, 2, over.clear) as pool:
            assert pool is None
    finally:
        over.set()
        thread.join()
