# SPDX-License-Identifier: Apache-2.0
"""A file that is read again when it changes; while a new version is invalid the old one counts.

Each use checks the file's metadata, which takes microseconds, so that the service needs no restart
after a change. A file that is being written may be valid and say something else than the whole, so
a change counts only if it is complete: by what it holds, or because another file was put in its
place and nothing changed for a moment. At the start the file is read as it is.
"""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final, Generic, NamedTuple, TypeVar

from cds_service.clock import Stopwatch, stopwatch, system_clock
from cds_service.errors import SettingsError

T = TypeVar("T")
MOMENT: Final = 1.0  # seconds
# Opened without reading where the system can; else without waiting for the writer of a pipe.
_TO_HOLD: Final = getattr(os, "O_PATH", os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))


class _Stamp(NamedTuple):
    """Metadata that changes when a file is written again, or another takes its place."""

    written: int
    changed: int
    size: int
    inode: int


class _Held:
    """Which file is in a place, kept open: while it is, no other has its number (inode)."""

    file: tuple[int, int] | None = None

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, _TO_HOLD)
            status = os.fstat(self._descriptor)
            self.file = (status.st_dev, status.st_ino)
        except OSError:  # there is none, or it may not be read
            pass

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


class WatchedFile(Generic[T]):
    """The value read from a file. `is_current` is false while a newer version is not in force."""

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], T],
        on_reload: Callable[[T, int], None] | None = None,
        *,
        is_whole: Callable[[Path], bool] = lambda _: True,
    ) -> None:
        """Read the file; raises what `read` raises, a `SettingsError` with every problem in it.

        `on_reload` is called with the value that counts and the number of problems: now, and after
        each further reading of the file. `is_whole` says whether the content shows its end; a cut
        file of which that is always true must be one that `read` refuses.
        """
        self._path = path
        self._read = read
        self._on_reload = on_reload
        self._is_whole = is_whole
        self._lock = Lock()
        self._judged = self._seen = _stamp(path)
        self._held = _Held(path)
        self._unchanged: Stopwatch = stopwatch()
        self._replaced = self._whole = False
        self._current = read(path)
        self.is_current = True
        self._notify(0)

    def current(self) -> T:
        """The value that counts now; reads the file again if it has changed."""
        if _stamp(self._path) != self._judged and self._lock.acquire(blocking=False):
            try:
                self._look_again()
            finally:
                self._lock.release()
        return self._current

    def _look_again(self) -> None:
        stamp = _stamp(self._path)  # before reading, so that a change meanwhile is seen
        if stamp != self._seen:
            self._replaced = self._hold(stamp) or self._replaced
            self._seen, self._unchanged = stamp, stopwatch()
            self._whole = stamp is None or self._is_whole(self._path)
        if self._whole or (self._replaced and self._is_settled(stamp)):
            self._take(stamp)
        elif not self._replaced:  # whether the rest is still to come cannot be known
            self._finish(stamp, 1)

    def _hold(self, stamp: _Stamp | None) -> bool:
        """Whether another file is in the place of the one that was held, which is let go."""
        held = _Held(self._path)
        if stamp is None or held.file is None:
            return False
        before, self._held = self._held, held
        return held.file != before.file

    def _take(self, stamp: _Stamp | None) -> None:
        value, problems = self._current, 0
        try:
            value = self._read(self._path)
        except SettingsError as error:
            problems = len(error.problems)
        if _stamp(self._path) == stamp:
            self._current = value
            self._finish(stamp, problems)

    def _finish(self, stamp: _Stamp | None, problems: int) -> None:
        self._judged = stamp
        self._replaced = False
        self.is_current = not problems
        self._notify(problems)

    def _is_settled(self, stamp: _Stamp | None) -> bool:
        """Whether the file has not changed for a moment, by its own times or before our eyes."""
        changed = stamp.changed / 1e9 if stamp else 0.0
        return system_clock().timestamp() - changed >= MOMENT or self._unchanged() >= 1000 * MOMENT

    def _notify(self, problems: int) -> None:
        if self._on_reload is not None:
            self._on_reload(self._current, problems)


def _stamp(path: Path) -> _Stamp | None:
    """The stamp of the file that the path leads to; `None` if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _Stamp(status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
