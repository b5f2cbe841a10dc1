# SPDX-License-Identifier: Apache-2.0
"""A test that starts a browser, a database or a server carries the marker that names it.

`./test fast` leaves these tests out by their markers, so a test without its marker would make it
slow for everybody. Fixtures set what they can (`add_markers`); the rest is refused at the start of
the program itself, however deep in a helper that is (`watch`).
"""

import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

Command = str | bytes | os.PathLike[Any] | Sequence[str | bytes | os.PathLike[Any]]

FIXTURES = {
    "browser": ("browser",),
    "hapi": ("hapi", "server"),
    "postgres": ("database",),
}
PROGRAMS = {
    "chromium": "browser",
    "chromium-browser": "browser",
    "google-chrome": "browser",
    "initdb": "database",
    "pg_ctl": "database",
    "postgres": "database",
    "granian": "server",
    "gunicorn": "server",
    "java": "server",
}
WORDS = {
    "run-driver": "browser",  # playwright, which starts the browser from a process of its own
    "--port": "server",  # a server of a test listens on a port of its own
    "serve": "server",
}

_running: pytest.Item | None = None


def marker_for(command: Command) -> str | None:
    """The marker that a test needs to start this program, or None.

    >>> marker_for(["python", "-m", "cds_service", "serve", "--port", "8000"])
    'server'
    >>> marker_for(["python", "-c", "pass"])
    >>> marker_for(["python", "-m", "cds_service", "serve", "--help"])
    """
    words = [command] if isinstance(command, str | bytes | os.PathLike) else list(command)
    program, *arguments = [os.fsdecode(word) for word in words]
    if "--help" in arguments or "stop" in arguments:  # pg_ctl stops what a fixture has started
        return None
    return next(
        (WORDS[word] for word in arguments if word in WORDS),
        PROGRAMS.get(Path(program).name),
    )


def add_markers(items: Iterable[pytest.Item]) -> None:
    """Mark the tests that ask for a fixture which is a browser or a database server."""
    for item in items:
        for fixture in FIXTURES.keys() & set(getattr(item, "fixturenames", ())):
            for marker in FIXTURES[fixture]:
                item.add_marker(marker)


def run_by(item: pytest.Item | None) -> None:
    """Programs that start from now on are started by this test."""
    global _running  # noqa: PLW0603 - pytest runs one test at a time in a process
    _running = item


def starts(marker: str) -> None:
    """The running test fails unless it has this marker."""
    if _running is not None and _running.get_closest_marker(marker) is None:
        pytest.fail(f"this test starts a {marker}: mark it @pytest.mark.{marker}")


def watch() -> Callable[[], None]:
    """Refuse programs that the running test has no marker for, until the result is called."""
    original = subprocess.Popen.__init__

    def checked(self: Any, args: Command, *rest: Any, **options: Any) -> None:
        self.returncode = 0  # its __del__ asks for it
        if marker := marker_for(args):
            starts(marker)
        original(self, args, *rest, **options)

    subprocess.Popen.__init__ = checked  # type: ignore[method-assign]

    def restore() -> None:
        subprocess.Popen.__init__ = original  # type: ignore[method-assign]

    return restore
