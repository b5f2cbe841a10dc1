# SPDX-License-Identifier: Apache-2.0
"""How far a run has come, on standard error: sentences, and a bar where that is a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from cds_service.screening.run import Progress

_WIDTH: Final = 40


@contextmanager
def progress_shown() -> Iterator[Progress]:
    """What a run tells its progress to while the block runs."""
    in_terminal = sys.stderr.isatty()
    yield Progress(_say, _draw if in_terminal else lambda _done, _all: None)
    if in_terminal:
        click.echo(err=True)


def _say(sentence: str) -> None:
    click.echo(f"{sentence} ...", err=True)


def _draw(done: int, count: int) -> None:
    full = _WIDTH * done // count
    bar = "#" * full + "-" * (_WIDTH - full)
    click.echo(f"\r[{bar}] {100 * done // count:3}%", nl=False, err=True)
