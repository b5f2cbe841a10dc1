# SPDX-License-Identifier: Apache-2.0
"""Processes that decide end with the one that started them, and say nothing of it."""

import os
import signal
import subprocess
import sys
from typing import Final

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
