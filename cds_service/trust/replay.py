# SPDX-License-Identifier: Apache-2.0
"""Every token is used once: the memory of those that were.

`MemoryReplay` is for one process. Several processes share a table (`store/replay.py`).
"""

from datetime import datetime
from hashlib import sha256
from heapq import heappop, heappush
from threading import Lock
from typing import Protocol


class ReplayStore(Protocol):
    """Remembers the `jti` of each issuer until the token could no longer be used anyway."""

    def first_use(self, issuer: str, token_id: str, *, until: datetime, now: datetime) -> bool:
        """Whether this token was not used before; from now on it was.

        Of several calls at the same time with the same token exactly one gets `True`, in whatever
        thread or process. Raises if that cannot be told: the call is then refused.
        """


class MemoryReplay:
    """A `ReplayStore` of one process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._used: set[bytes] = set()
        self._by_end: list[tuple[datetime, bytes]] = []

    def first_use(self, issuer: str, token_id: str, *, until: datetime, now: datetime) -> bool:
        """See `ReplayStore`."""
        name = use_of(issuer, token_id)
        with self._lock:
            while self._by_end and self._by_end[0][0] < now:
                self._used.discard(heappop(self._by_end)[1])
            if name in self._used:
                return False
            self._used.add(name)
            heappush(self._by_end, (until, name))
            return True

    def __len__(self) -> int:
        return len(self._used)


def use_of(issuer: str, token_id: str) -> bytes:
    """A name of fixed length for a token; the length before the issuer keeps pairs apart."""
    return sha256(f"{len(issuer)}:{issuer}{token_id}".encode("utf-8", "surrogatepass")).digest()
