# SPDX-License-Identifier: Apache-2.0
"""How far an export has come, on standard error: sentences, and a line where that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click

from cds_service.bulk_export.run import ExportProgress
from cds_service.cli.printable import printable

_LONGEST: Final = 60
_ERASE: Final = "\r\x1b[K"


@contextmanager
def export_progress_shown() -> Iterator[tuple[ExportProgress, Callable[[str, float], None]]]:
    """What an export reports to, and what it reports its pauses to, while the block runs.

    An interrupted one says how it goes on.
    """
    line = _Line(sys.stderr.isatty())
    try:
        yield ExportProgress(line.say, line.files), line.waits
    except KeyboardInterrupt:
        line.say("Interrupted. Give the same command again, and it goes on")
        raise
    finally:
        line.end()


class _Line:
    """Progress on the last line of a terminal, or on new lines elsewhere."""

    def __init__(self, in_terminal: bool) -> None:
        self._in_terminal = in_terminal
        self._is_drawn = False
        self._text = ""

    def say(self, sentence: str) -> None:
        self.end()
        click.echo(sentence, err=True)

    def waits(self, text: str, seconds: float) -> None:
        """What the server says of its progress; without a terminal only what is new."""
        shown = printable(" ".join(text.split()))[:_LONGEST] or "waiting for the server"
        if self._in_terminal:
            self._draw(f"{shown}; asking again in {seconds:,.0f} s")
        elif shown != self._text:
            self._text = shown
            self.say(f"The server: {shown}" if text else "Waiting for the server")

    def files(self, done: int, count: int, size: int) -> None:
        if self._in_terminal:
            arriving = f"; {size / 1e6:,.0f} MB of the next" if done < count else ""
            self._draw(f"Files: {done:,} of {count:,}{arriving}")
        elif done == count:
            self.say(f"Files: all {count:,} are there")

    def end(self) -> None:
        if self._is_drawn:
            click.echo(err=True)
            self._is_drawn = False

    def _draw(self, text: str) -> None:
        click.echo(f"{_ERASE}{text}", nl=False, err=True)
        self._is_drawn = True
