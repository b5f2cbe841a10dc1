# SPDX-License-Identifier: Apache-2.0
"""A file that is read again when it changes; while a new version is invalid the old one counts.

Each use checks the file's metadata, which takes microseconds, so that the service needs no restart
after a change.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeAlias, TypeVar

from cds_service.errors import SettingsError

T = TypeVar("T")
_Stamp: TypeAlias = tuple[int, ...] | None


class WatchedFile(Generic[T]):
    """The value read from a file. `is_current` is false while its newest version is invalid."""

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], T],
        on_reload: Callable[[T, int], None] | None = None,
    ) -> None:
        """Read the file; raises what `read` raises, a `SettingsError` with every problem in it.

        `on_reload` is called with the value that counts and the number of problems: now, and after
        each further reading of the file.
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
        """The value that counts now; reads the file again if it has changed."""
        if _stamp(self._path) != self._stamp and self._lock.acquire(blocking=False):
            try:
                self._read_again()
            finally:
                self._lock.release()
        return self._current

    def _read_again(self) -> None:
        stamp = _stamp(
            self._path
        )  # taken before reading, so that a change meanwhile is seen next time
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
    """Metadata that changes when a file is written again; `None` if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
