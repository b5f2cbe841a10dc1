# SPDX-License-Identifier: Apache-2.0
"""A file that is read again when it changes; while it is wrong, the last good value stays in force.

The file system is asked at each use whether it changed, which costs microseconds; so nothing
has to be started again.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeAlias, TypeVar

from cds_service.errors import SettingsError

T = TypeVar("T")
_Stamp: TypeAlias = tuple[int, ...] | None


class WatchedFile(Generic[T]):
    """The value read from a file. `is_current` is false while the newest file was refused."""

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], T],
        on_reload: Callable[[T, int], None] | None = None,
    ) -> None:
        """Read the file; raises what `read` raises, a `SettingsError` with every problem in it.

        `on_reload` is called with the value in force and the number of problems, now and each time
        that the file was read again.
        """
        self._path = path
        self._read = read
        self._on_reload = on_reload
        self._lock = Lock()
        self._stamp = _stamp(path)
        self._current = read(path)
        self.is_current = True
        self._notify(0)

    def current(self) -> T:
        """The value in force; reads the file again if it has changed."""
        if _stamp(self._path) != self._stamp and self._lock.acquire(blocking=False):
            try:
                self._read_again()
            finally:
                self._lock.release()
        return self._current

    def _read_again(self) -> None:
        stamp = _stamp(self._path)  # before the reading: what changes meanwhile is seen next time
        problems = 0
        try:
            self._current = self._read(self._path)
        except SettingsError as error:
            problems = len(error.problems)
        self._stamp = stamp
        self.is_current = not problems
        self._notify(problems)

    def _notify(self, problems: int) -> None:
        if self._on_reload is not None:
            self._on_reload(self._current, problems)


def _stamp(path: Path) -> _Stamp:
    """What changes when a file is written again."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
