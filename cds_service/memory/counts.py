# SPDX-License-Identifier: Apache-2.0
"""Cards that were shown, added up until they are written."""

from collections import Counter, OrderedDict
from collections.abc import Mapping
from threading import Lock

from cds_service.store.store import ShownCards

_LAST_CARDS = 10_000


class CardCounts:
    """Adds up the cards that are shown.

    A call that is repeated soon shows the same cards, by their uuids: they count once.
    """

    def __init__(self) -> None:
        self._waiting: Counter[ShownCards] = Counter()
        self._last: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def add(self, cards: Mapping[str, ShownCards]) -> None:
        """Count cards, each by its uuid."""
        with self._lock:
            for uuid, shown in cards.items():
                if uuid not in self._last:
                    self._waiting[shown] += 1
                    self._last[uuid] = None
            while len(self._last) > _LAST_CARDS:
                self._last.popitem(last=False)

    def take(self) -> Counter[ShownCards]:
        """What was counted since it was last taken."""
        with self._lock:
            taken, self._waiting = self._waiting, Counter()
        return taken

    def give_back(self, counts: Counter[ShownCards]) -> None:
        """Count again what could not be written."""
        with self._lock:
            self._waiting += counts
