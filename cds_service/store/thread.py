# SPDX-License-Identifier: Apache-2.0
"""A thread that uses the database for requests, which wait for it for a bounded time.

A database that hangs blocks its caller. Here that is this one thread: a request that asks
waits for its `patience`, and not at all while the thread is held up for longer than that.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock, Thread, main_thread
from typing import Any, TypeAlias, TypeVar
from weakref import ReferenceType, ref

from cds_service.clock import Stopwatch, stopwatch
from cds_service.errors import StoreError
from cds_service.log import log_crash
from cds_service.tracing.calls import carried

T = TypeVar("T")
_Job: TypeAlias = "tuple[Future[Any], Callable[[], Any]] | None"  # none is a round

PATIENCE = 2.0  # seconds
BETWEEN = 0.5  # seconds between two rounds


class DatabaseThread:
    """Does one job after the other, and between them, twice a second, the `round`.

    Each process has a thread of its own, from the first job on. It ends when this object is no
    longer used or the program ends, after the jobs that are waiting and a last round.
    """

    def __init__(
        self,
        name: str,
        round_: Callable[[], object] = lambda: None,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._name = name
        self._round = round_
        self._patience = patience
        self._threads: dict[int, _Thread] = {}

    def start(self) -> None:
        """Begin with the rounds, unless they have begun."""
        self._thread()

    def submit(self, job: Callable[[], T]) -> "Future[T]":
        """Have a job done; returns at once."""
        future: Future[T] = Future()
        self._thread().jobs.put((future, carried(job)))
        return future

    def ask(self, job: Callable[[], T]) -> T:
        """What the job returns or raises; `StoreError` if that would take too long.

        A job that was begun is finished, even if nobody waits for it any more.
        """
        if self.is_held_up:
            raise StoreError("The database does not answer.")
        future = self.submit(job)
        try:
            return future.result(self._patience)
        except TimeoutError:
            future.cancel()
            raise StoreError("The database does not answer in time.") from None

    @property
    def is_held_up(self) -> bool:
        """Whether one job has been going on for longer than anyone waits."""
        busy = self._thread().busy
        return busy is not None and busy() > self._patience * 1000

    def finish(self) -> None:
        """Return when what was submitted was done, with a last round, and the thread has ended."""
        thread = self._threads.pop(os.getpid(), None)
        if thread is not None:
            thread.jobs.put(None)
            thread.join()

    def _thread(self) -> "_Thread":
        process = os.getpid()
        thread = self._threads.get(process)
        if thread is None:  # the first job of this process: no thread comes along with a fork
            made = _Thread(self._name, self._round, ref(self))
            thread = self._threads.setdefault(process, made)
            thread.start_once()
        return thread


class _Thread:
    """The thread of one process; `busy` runs since the job at hand was begun."""

    def __init__(
        self, name: str, round_: Callable[[], object], owner: "ReferenceType[DatabaseThread]"
    ) -> None:
        self.jobs: SimpleQueue[_Job] = SimpleQueue()
        self.busy: Stopwatch | None = None
        self._round = round_
        self._owner = owner
        self._starting = Lock()
        self._thread = Thread(target=self._work, name=name)

    def start_once(self) -> None:
        with self._starting:
            if self._thread.ident is None:
                self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _work(self) -> None:
        since_round = stopwatch()
        while True:
            # The program waits for this thread when it ends: it has to look.
            is_last = self._owner() is None or not main_thread().is_alive()
            left = BETWEEN - since_round() / 1000
            if left <= 0:
                self._do(None)
                since_round = stopwatch()
                continue
            try:
                job = self.jobs.get(timeout=0 if is_last else left)
            except Empty:
                if not is_last:
                    continue
                job = None
            self._do(job)
            if job is None:
                return
            del job  # what it holds need not wait for the next one

    def _do(self, job: _Job) -> None:
        self.busy = stopwatch()
        try:
            if job is None:
                self._round()
                return
            future, call = job
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except Exception as error:  # noqa: BLE001 - passed on to the caller
                    future.set_exception(error)
        except Exception as error:  # noqa: BLE001 - the thread has to live
            log_crash(error)
        finally:
            self.busy = None
