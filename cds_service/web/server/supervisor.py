# SPDX-License-Identifier: Apache-2.0
"""The process that starts the workers: a worker that ends is replaced, and none outlives it.

The supervisor answers no call. A worker that ended (killed, out of memory) is replaced and that is
logged. If workers end again and again soon after their start, something is wrong that a start does
not mend: the service ends, so that whatever watches it learns.

A worker is asked once to end, by a SIGTERM of the supervisor: granian's handler ends the calls in
progress first, but a third signal blocks its event loop for good. So Ctrl-C, which reaches all
processes and may be pressed again, is for the supervisor alone. A worker begins with the handlers
of the supervisor, which would do nothing there. Until it has its own, a SIGTERM ends it at once, or
stopping would take all the time that granian gives a worker with calls.
"""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from time import sleep
from typing import Any, Final

from granian.net import SocketHolder  # type: ignore[attr-defined]
from granian.server.mp import MPServer, WorkerProcess

from cds_service.clock import Stopwatch, stopwatch
from cds_service.log import log_orphaned, log_worker_ended

SHORT_LIFE: Final = 60_000  # milliseconds; a worker that lived longer is no sign of a fault
MOST_SHORT_LIVES: Final = 5
_PAUSE: Final = 0.5  # seconds before the second restart in a row; each further one waits longer
_BETWEEN_LOOKS: Final = 0.25
_AFTER_THE_PARENT: Final = 5.0  # seconds in which an orphaned worker may finish its calls
_WISHES_TO_END: Final = (signal.SIGINT, signal.SIGTERM)


class Supervisor(MPServer):
    """granian's server of several processes, on a socket that is open already."""

    def __init__(self, listening: socket.socket, **options: Any) -> None:
        """Serve on this socket; `options` are granian's."""
        super().__init__("cds_service", **options)
        self._listening = listening
        self._lives: dict[int, Stopwatch] = {}
        self._before: dict[int, WorkerProcess] = {}  # those that the last reload replaced
        self._short_lives = 0

    def _init_shared_socket(self) -> None:
        # As granian does where workers cannot have a socket each.
        self._ssp = None
        self._shd = SocketHolder(self._listening.fileno(), False, self.backlog)  # type: ignore[call-arg,assignment]
        self._sso = self._listening

    def _spawn_worker(  # type: ignore[override]  # as granian's own subclass has it
        self, idx: int, target: Any, callback_loader: Any
    ) -> WorkerProcess:
        self._lives[idx] = stopwatch()
        worker: WorkerProcess = super()._spawn_worker(idx, target, callback_loader)
        return worker

    def _spawn_workers(self, spawn_target: Any, target_loader: Any) -> None:
        with _signals_held():
            super()._spawn_workers(spawn_target, target_loader)  # type: ignore[no-untyped-call]

    def _respawn_workers(
        self, workers: Any, spawn_target: Any, target_loader: Any, delay: float = 0
    ) -> None:
        self._before = {index: self.wrks[index] for index in workers}
        with _signals_held():
            super()._respawn_workers(workers, spawn_target, target_loader, delay)

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait()
            self.main_loop_interrupt.clear()
            if self.reload_signal and not self.interrupt_signal:
                self._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call]
            while self.interrupt_children and not self.interrupt_signal:
                if not self._replace(self.interrupt_children[0], spawn_target, target_loader):
                    return  # with workers that ended in the list, granian leaves with 1
                self.interrupt_children.pop(0)
        self.interrupt_children.clear()  # Ctrl-C ends workers and supervisor alike: no fault

    def _replace(self, index: int, spawn_target: Any, target_loader: Any) -> bool:
        """Start another worker in the place of one that ended; `False` if that is of no use."""
        if self.wrks[index].inner.is_alive():  # a reload has put it there
            code = self._before[index].inner.exitcode
            log_worker_ended(worker=index + 1, exit_code=code or 0, replaced=True)
            return True
        self._short_lives = self._short_lives + 1 if self._lives[index]() < SHORT_LIFE else 0
        replaced = self._short_lives < MOST_SHORT_LIVES
        code = self.wrks[index].inner.exitcode
        log_worker_ended(worker=index + 1, exit_code=code or 0, replaced=replaced)
        if not replaced:
            return False
        sleep(_PAUSE * max(self._short_lives - 1, 0))
        worker = self._spawn_worker(index, spawn_target, target_loader)
        with _signals_held():
            worker.start()  # type: ignore[no-untyped-call]
        self.wrks[index] = worker
        return True


@contextmanager
def _signals_held() -> Iterator[None]:
    """Start workers that no signal reaches before `begin_worker`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WISHES_TO_END)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_worker(supervisor: int) -> None:
    """Have this process, a worker that begins, end when its supervisor asks it to or has ended.

    Call it first, with the process id of the supervisor.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # One that did not begin as a copy of the supervisor may not hold them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    end_with_parent(supervisor)


def end_with_parent(parent: int) -> None:
    """End this process soon after its parent, the process with this id, has ended.

    A worker that went on would hold the port, and answer by the cards of its start.
    """
    Thread(target=_end_after, args=(parent,), name="parent", daemon=True).start()


def _end_after(parent: int) -> None:
    while os.getppid() == parent:  # an orphan is given to another process
        sleep(_BETWEEN_LOOKS)
    log_orphaned()
    os.kill(os.getpid(), signal.SIGTERM)  # calls that are being answered are answered first
    sleep(_AFTER_THE_PARENT)
    os._exit(1)
