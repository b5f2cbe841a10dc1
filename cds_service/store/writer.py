# SPDX-License-Identifier: Apache-2.0
"""Cards that were sent are written behind the answer: a card never waits for a disk.

One thread writes whatever has come in since it last wrote. What is waiting when a process is
killed is lost; a call that is repeated writes it again. A process that ends in order writes all.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from cds_service.errors import StoreError
from cds_service.log import log_crash
from cds_service.store.store import ShownCard

MOST_WAITING = 10_000
_AT_ONCE = 500


class CardWriter:
    """Hands cards to `write` in the background, in the order they came."""

    def __init__(self, write: Callable[[Sequence[ShownCard]], None]) -> None:
        self._write = write
        self._waiting: deque[ShownCard] = deque(maxlen=MOST_WAITING)  # the oldest give way
        self._lock = Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._running: Future[None] | None = None

    def add(self, cards: Sequence[ShownCard]) -> None:
        """Take cards to be written; returns at once."""
        if cards:
            self._waiting.extend(cards)
            self._start()

    def flush(self) -> None:
        """Return when what was added before has been written or has failed to be."""
        running = self._start() if self._waiting else self._running
        if running is not None:
            running.result()

    def close(self) -> None:
        """Write what is waiting and end the thread."""
        self.flush()
        if self._thread is not None:
            self._thread.shutdown()

    def _start(self) -> "Future[None] | None":
        """The run that will write what is waiting now; a thread that waits ends with the process.

        An executor's thread is joined when the interpreter ends, after its last job.
        """
        with self._lock:
            if self._running is not None and not self._running.done():
                return self._running
            try:
                if self._thread is None:
                    self._thread = ThreadPoolExecutor(1, thread_name_prefix="cards")
                self._running = self._thread.submit(self._drain)
            except RuntimeError:  # the interpreter is about to end
                return None
            return self._running

    def _drain(self) -> None:
        while True:
            with self._lock:
                count = min(_AT_ONCE, len(self._waiting))
                batch = [self._waiting.popleft() for _ in range(count)]
                if not batch:
                    self._running = None
                    return
            try:
                self._write(batch)
            except StoreError as error:
                # Not tried again: a database that is away would be asked for every card.
                log_crash(error)
