# SPDX-License-Identifier: Apache-2.0
"""A lease that is held for as long as its work goes on: a search may take many pages.

A thread renews it beside the work. If another worker has the work all the same, the fence keeps
what is found here from being marked as done.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

from cds_service.clock import Clock, stopwatch
from cds_service.errors import StoreError
from cds_service.log import log_crash
from cds_service.subscriptions.inbox import Inbox
from cds_service.subscriptions.work import Lease, LeaseLost

_TIMES: Final = 3  # in which a lease is renewed while it lasts
LONGEST: Final = 1800.0  # seconds: a worker that hangs must not keep the work for ever


@contextmanager
def held_lease(inbox: Inbox, lease: Lease, clock: Clock) -> Iterator[None]:
    """Hold the lease until the block ends."""
    ended = Event()
    thread = Thread(target=_hold, args=(inbox, lease, clock, ended), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _hold(inbox: Inbox, lease: Lease, clock: Clock, ended: Event) -> None:
    pause = inbox.limits.lease.total_seconds() / _TIMES
    since = stopwatch()
    try:
        while not ended.wait(pause) and since() < LONGEST * 1000:
            try:
                inbox.hold(lease, clock())
            except StoreError:
                continue  # the next time, while the lease lasts
    except LeaseLost:
        return
    except Exception as error:  # noqa: BLE001 - the work goes on without it
        log_crash(error)
