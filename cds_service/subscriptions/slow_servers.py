# SPDX-License-Identifier: Apache-2.0
"""FHIR servers that keep a worker waiting: each has a thread of its own, until it answers again.

So one server that hangs holds up one piece of work of the others, and no more. Of a slow server
there is one piece of work at a time in each worker.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread
from typing import Final

from cds_service.errors import StoreError
from cds_service.log import log_arrival_failed, log_crash

LONG: Final = 5.0  # seconds for one piece of work


@dataclass(slots=True, kw_only=True)
class SlowServers:
    """The slow servers of one worker; `step` does one piece of work of a server."""

    step: Callable[[str], object]
    seconds: float = LONG
    names: set[str] = field(default_factory=set, init=False)
    _threads: dict[str, Thread] = field(default_factory=dict, init=False)

    def note(self, server: str, seconds: float) -> None:
        """Keep how long a piece of work of a server took."""
        if seconds > self.seconds:
            self.names.add(server)
        else:
            self.names.discard(server)

    def tend(self) -> None:
        """Go on with the work of each slow server."""
        for server in tuple(self.names):
            if server not in self._threads or not self._threads[server].is_alive():
                self._threads[server] = Thread(target=self._work, args=(server,))
                self._threads[server].start()

    def finish(self) -> None:
        """Return once what was begun has ended."""
        for thread in self._threads.values():
            thread.join()

    def _work(self, server: str) -> None:
        try:
            self.step(server)
        except StoreError:
            log_arrival_failed("database-away")
        except Exception as error:  # noqa: BLE001 - a worker goes on, whatever it meets
            log_crash(error)
