# SPDX-License-Identifier: Apache-2.0
"""From which id on a table is to be read again.

The database gives its ids in order, and transactions may end in another: what came lately is read
once more each time.
"""

from collections import deque

from cds_service.clock import Stopwatch, stopwatch


class NewestIds:
    """The highest ids that a table had in the last so many milliseconds."""

    def __init__(self, newest: int = 0, *, again: int) -> None:
        self._again = again
        self._ids: deque[tuple[Stopwatch, int]] = deque([(stopwatch(), newest)])

    @property
    def newest(self) -> int:
        """The highest id of the last time."""
        return self._ids[-1][1]

    @property
    def after(self) -> int:
        """The highest id of so long ago: what has a higher one is to be read."""
        while len(self._ids) > 1 and self._ids[1][0]() > self._again:
            self._ids.popleft()
        return self._ids[0][1]

    def add(self, newest: int) -> None:
        """Note the highest id of now."""
        self._ids.append((stopwatch(), newest))
