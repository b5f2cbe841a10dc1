# SPDX-License-Identifier: Apache-2.0
"""A worker beside the server, for `serve --with-worker`: started again whenever it ended."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

from cds_service.log import log_worker_ended

_AT_THE_END: Final = 30  # seconds for a worker to end what it does, before it is killed
_PAUSE: Final = 2.0  # seconds before one that ended is started again
_LOOK: Final = 0.25


@contextmanager
def worker_beside(*, wanted: bool) -> Iterator[None]:
    """While the block runs there is a worker, in a process of its own, if one is wanted."""
    if not wanted:
        yield
        return
    stop = Event()
    thread = Thread(target=_keep_running, args=(stop,), name="worker")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _keep_running(stop: Event) -> None:
    command = [sys.executable, "-m", "cds_service", "worker", "--parent", str(os.getpid())]
    while not stop.is_set():
        with subprocess.Popen(command) as process:  # noqa: S603 - this program, by its own path
            while not stop.wait(_LOOK) and process.poll() is None:
                pass
            if stop.is_set():
                _end(process)
                return
        log_worker_ended(worker=0, exit_code=process.returncode, replaced=True)
        stop.wait(_PAUSE)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_AT_THE_END)
    except subprocess.TimeoutExpired:
        process.kill()
