# SPDX-License-Identifier: Apache-2.0
"""The registrations in force: read again when their file changes, kept when the new one is wrong.

Whether the file changed is asked of the file system at every use, which costs microseconds; so a
client can be added or shut out without a restart.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from cds_service.errors import SettingsError
from cds_service.knowledge.problems import Problem, in_words
from cds_service.trust.clients import Registrations
from cds_service.trust.read_clients import read_registrations

Told: TypeAlias = Callable[[Registrations, int], None]
Stamp: TypeAlias = tuple[int, ...] | None


class Registry:
    """The clients of a file. `problems` are those of the newest file that was refused."""

    def __init__(self, path: Path, *, development: bool, told: Told | None = None) -> None:
        """Read the file; raises `SettingsError` with every problem in it.

        `told` is called with the registrations in force and the count of problems, now and after
        every reading of the file.
        """
        self._path = path
        self._development = development
        self._told = told
        self._lock = Lock()
        self._stamp = stamp_of(path)
        found, problems = read_registrations(path, development=development)
        if found is None:
            raise SettingsError([f"CDS_CLIENTS: {line}" for line in in_words(problems)])
        self._current = found
        self.problems: tuple[Problem, ...] = ()
        self._tell()

    @property
    def is_current(self) -> bool:
        """Whether the file as it now is, is what is in force."""
        return not self.problems

    def current(self) -> Registrations:
        """The registrations in force now."""
        if stamp_of(self._path) != self._stamp and self._lock.acquire(blocking=False):
            try:
                self._read_again()
            finally:
                self._lock.release()
        return self._current

    def _read_again(self) -> None:
        stamp = stamp_of(self._path)  # before the reading: what changes meanwhile is seen next time
        found, problems = read_registrations(self._path, development=self._development)
        self._stamp = stamp
        self.problems = () if found is not None else tuple(problems)
        if found is not None:
            self._current = found
        self._tell()

    def _tell(self) -> None:
        if self._told is not None:
            self._told(self._current, len(self.problems))


def stamp_of(path: Path) -> Stamp:
    """What changes when a file is written again."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
